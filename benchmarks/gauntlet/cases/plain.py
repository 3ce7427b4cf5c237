"""Controls: models that a counter is expected to get right, without biases, activations or norms."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.gauntlet.case import Built, Family

family = Family("plain")


@family.case("control: one linear layer, four rows", macs=4 * 20 * 10, additions=4 * 20 * (10 - 1))
def linear() -> Built:
    return Built(nn.Linear(10, 20, bias=False), (torch.randn(4, 10),))


@family.case(
    "control: two linear layers in a row",
    macs=24 * 12 + 6 * 24,
    additions=24 * (12 - 1) + 6 * (24 - 1),
)
def mlp() -> Built:
    model = nn.Sequential(nn.Linear(12, 24, bias=False), nn.Linear(24, 6, bias=False))
    return Built(model, (torch.randn(1, 12),))


# Output length (15 + 2·2 - 5) // 2 + 1 = 8; a tap for each of 4 channels and 5 kernel positions.
@family.case("control: one dimension, with a stride", macs=6 * 8 * (4 * 5), additions=6 * 8 * (4 * 5 - 1))
def conv1d() -> Built:
    return Built(nn.Conv1d(4, 6, 5, stride=2, padding=2, bias=False), (torch.randn(1, 4, 15),))


@family.case(
    "control: the textbook convolution",
    macs=8 * 8 * 8 * (3 * 3 * 3),
    additions=8 * 8 * 8 * (3 * 3 * 3 - 1),
)
def conv2d() -> Built:
    return Built(nn.Conv2d(3, 8, 3, padding=1, bias=False), (torch.randn(1, 3, 8, 8),))


# The kernel is 1x3x3, so the output is 4x4x4.
@family.case(
    "control: three dimensions, an uneven kernel",
    macs=4 * (4 * 4 * 4) * (2 * 9),
    additions=4 * (4 * 4 * 4) * (2 * 9 - 1),
)
def conv3d() -> Built:
    return Built(nn.Conv3d(2, 4, (1, 3, 3), bias=False), (torch.randn(1, 2, 4, 6, 6),))


# Depthwise: 6 channels of 7x7 with 9 taps each; pointwise: 10 channels of 7x7 with 6 taps each.
@family.case(
    "control: as many groups as channels, then a pointwise convolution",
    macs=6 * 49 * 9 + 10 * 49 * 6,
    additions=6 * 49 * (9 - 1) + 10 * 49 * (6 - 1),
)
def depthwise_separable() -> Built:
    model = nn.Sequential(
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
        nn.Conv2d(6, 10, 1, bias=False),
    )
    return Built(model, (torch.randn(1, 6, 7, 7),))


# H: (11 + 2·1 - 2·(3-1) - 1) // 2 + 1 = 5. W: (13 - (5-1) - 1) // 3 + 1 = 3. Taps 3·3·5.
@family.case(
    "kernel, stride, padding and dilation differ between the axes",
    macs=8 * (5 * 3) * (3 * 3 * 5),
    additions=8 * (5 * 3) * (3 * 3 * 5 - 1),
)
def conv_uneven() -> Built:
    model = nn.Conv2d(3, 8, (3, 5), stride=(2, 3), padding=(1, 0), dilation=(2, 1), bias=False)
    return Built(model, (torch.randn(1, 3, 11, 13),))
