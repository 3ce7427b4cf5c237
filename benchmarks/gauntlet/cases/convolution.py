"""Convolutions: padding by name, missing batches, biases, and transposed convolutions."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.gauntlet.case import Built, Family

family = Family("convolution")


@family.case(
    "padding='same' is traced as an operator of its own",
    macs=8 * 8 * 8 * (3 * 3 * 3),
    additions=8 * 8 * 8 * (3 * 3 * 3 - 1),
)
def conv_same_padding() -> Built:
    return Built(nn.Conv2d(3, 8, 3, padding="same", bias=False), (torch.randn(1, 3, 8, 8),))


# The output stays 8x8 although an even kernel needs three columns of padding.
@family.case(
    "an even kernel pads unevenly; halving the padding loses a column",
    macs=8 * 8 * 8 * (3 * 4 * 4),
    additions=8 * 8 * 8 * (3 * 4 * 4 - 1),
)
def conv_same_even_kernel() -> Built:
    return Built(nn.Conv2d(3, 8, 4, padding="same", bias=False), (torch.randn(1, 3, 8, 8),))


@family.case(
    "no batch dimension: the first size is the channels",
    macs=8 * 8 * 8 * (3 * 3 * 3),
    additions=8 * 8 * 8 * (3 * 3 * 3 - 1),
)
def conv_unbatched() -> Built:
    return Built(nn.Conv2d(3, 8, 3, padding=1, bias=False), (torch.randn(3, 8, 8),))


# The bias adds one addition to each of the 8·8·8 outputs and multiplies nothing.
@family.case(
    "a bias is an addition, not a MAC",
    macs=8 * 8 * 8 * (3 * 3 * 3),
    additions=8 * 8 * 8 * (3 * 3 * 3 - 1) + 8 * 8 * 8,
)
def conv_bias() -> Built:
    return Built(nn.Conv2d(3, 8, 3, padding=1), (torch.randn(1, 3, 8, 8),))


@family.case(
    "circular padding copies in front of an unpadded convolution",
    macs=8 * 8 * 8 * (3 * 3 * 3),
    additions=8 * 8 * 8 * (3 * 3 * 3 - 1),
)
def conv_circular_padding() -> Built:
    model = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular", bias=False)
    return Built(model, (torch.randn(1, 3, 8, 8),))


# Each output sees 8/4 channels.
@family.case(
    "groups and a batch of three at once",
    macs=3 * 8 * 36 * (2 * 9),
    additions=3 * 8 * 36 * (2 * 9 - 1),
)
def conv_grouped_batch() -> Built:
    return Built(nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False), (torch.randn(3, 8, 6, 6),))


# A transposed convolution multiplies each input by the whole kernel of each output channel. Its additions are
# the products less one for each output position that receives any: here all of the 11x11.
@family.case(
    "transposed: the input's positions count, not the output's",
    macs=4 * 25 * 6 * 9,
    additions=4 * 25 * 6 * 9 - 6 * 11 * 11,
)
def transposed_conv() -> Built:
    return Built(nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False), (torch.randn(1, 4, 5, 5),))


# Before cropping the result is 11x11, as above; the 10x10 that is left does not undo the work.
@family.case(
    "transposed with padding: what is cropped has been computed",
    macs=4 * 25 * 6 * 9,
    additions=4 * 25 * 6 * 9 - 6 * 11 * 11,
)
def transposed_conv_cropped() -> Built:
    model = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, bias=False)
    return Built(model, (torch.randn(1, 4, 5, 5),))


@family.case(
    "transposed with groups: the groups divide once, not twice",
    macs=8 * 16 * (8 // 4) * 9,
    additions=8 * 16 * (8 // 4) * 9 - 8 * 6 * 6,
)
def transposed_conv_grouped() -> Built:
    return Built(nn.ConvTranspose2d(8, 8, 3, groups=4, bias=False), (torch.randn(1, 8, 4, 4),))


# 4 inputs of 2 taps each, 3 apart, reach 8 of the (4-1)·3+2 = 11 outputs; the bias is added to all 11.
@family.case(
    "transposed with a stride past the kernel: outputs that no product reaches still get the bias",
    macs=2 * 3 * 4 * 5 * 2,
    additions=(2 * 3 * 4 * 5 * 2 - 2 * 5 * 8) + 2 * 5 * 11,
)
def transposed_conv_gaps() -> Built:
    return Built(nn.ConvTranspose1d(3, 5, 2, stride=3), (torch.randn(2, 3, 4),))


@family.case(
    "a lazy layer has no weight until its first call",
    macs=8 * 8 * 8 * (3 * 3 * 3),
    additions=8 * 8 * 8 * (3 * 3 * 3 - 1),
)
def conv_lazy() -> Built:
    return Built(nn.LazyConv2d(8, 3, padding=1, bias=False), (torch.randn(1, 3, 8, 8),))


@family.case(
    "layers that only move elements: Identity and PixelShuffle are free",
    macs=8 * 36 * (3 * 9),
    additions=8 * 36 * (3 * 9 - 1),
)
def pixel_shuffle() -> Built:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Identity(), nn.PixelShuffle(2))
    return Built(model, (torch.randn(1, 3, 6, 6),))
