"""Convolutions, plain and transposed, in one to three dimensions, and the folding of blocks that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.ops import Call, Term
from opcount.rules.linear import bias_terms
from opcount.rules.reading import Given, given
from opcount.rules.registry import free, rule
from opcount.rules.shapes import batch_of, per_axis, planes_of, spatial


@rule(nn.Conv1d, nn.Conv2d, nn.Conv3d, helpers=("_conv_forward",))
@rule(F.conv1d, F.conv2d, F.conv3d)
def convolution(subject: Any, call: Call) -> Iterator[Term]:
    """One dot of C_in/groups x kernel for each output, and the bias."""
    yield from _convolution(given(subject, call), call)


@rule(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, helpers=("_output_padding",))
@rule(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
def transposed_convolution(subject: Any, call: Call) -> Iterator[Term]:
    """Every input element times C_out/groups filters; each product but the first to land somewhere is added."""
    yield from _transposed_convolution(given(subject, call), call)


@rule("aten.convolution", "aten._convolution", "aten.convolution_overrideable")
def any_convolution(operator: Any, call: Call) -> Iterator[Term]:
    """Plain or transposed, as the operator is told."""
    asked = given(operator, call)
    yield from (_transposed_convolution if asked.transposed else _convolution)(asked, call)


def _convolution(asked: Given, call: Call) -> Iterator[Term]:
    """The output's shape says where padding and stride led."""
    weight = asked.weight.shape
    axes, kernel = len(weight) - 2, tuple(weight[2:])
    dilation = per_axis(asked.dilation, axes)
    added = _padding_added(asked.padding, kernel, dilation)
    before, padding = spatial(asked.input, axes), tuple(size // 2 for size in added)  # "same" puts the odd one behind
    if asked.get("padding_mode", "zeros") != "zeros":  # what is padded is real input: a copy of it
        before = tuple(size + more for size, more in zip(before, added))
        padding = (0,) * axes
    yield Term(
        "convolution",
        batch=batch_of(call.out, axes),
        in_channels=weight[1] * asked.groups,
        out_channels=weight[0],
        groups=asked.groups,
        kernel=kernel,
        input=before,
        output=spatial(call.out, axes),
        stride=per_axis(asked.stride, axes),
        padding=padding,
        dilation=dilation,
    )
    yield from bias_terms(asked.bias, call.out.elements)


def _padding_added(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Padding along each axis, both sides together."""
    if padding == "same":
        return tuple(gap * (size - 1) for gap, size in zip(dilation, kernel))
    if padding == "valid":
        return (0,) * len(kernel)
    return tuple(2 * size for size in per_axis(padding, len(kernel)))


def _transposed_convolution(asked: Given, call: Call) -> Iterator[Term]:
    weight = asked.weight.shape
    axes = len(weight) - 2
    yield Term(
        "transposed_convolution",
        batch=batch_of(call.out, axes),
        in_channels=weight[0],
        out_channels=weight[1] * asked.groups,
        groups=asked.groups,
        kernel=tuple(weight[2:]),
        input=spatial(asked.input, axes),
        stride=per_axis(asked.stride, axes),
        dilation=per_axis(asked.dilation, axes),
    )
    yield from bias_terms(asked.bias, call.out.elements)


@rule("aten.conv_tbc")
def time_first_convolution(operator: Any, call: Call) -> Iterator[Term]:
    """A convolution of (time, batch, channels)."""
    asked = given(operator, call)
    kernel, in_channels, out_channels = asked.weight.shape
    yield Term(
        "convolution",
        batch=call.out.shape[1],
        in_channels=in_channels,
        out_channels=out_channels,
        groups=1,
        kernel=(kernel,),
        input=(asked.input.shape[0],),
        output=(call.out.shape[0],),
        stride=(1,),
        padding=(asked.pad,),
        dilation=(1,),
    )
    yield from bias_terms(asked.bias, call.out.elements)


@rule(nn.Fold, "aten.col2im")
def fold(subject: Any, call: Call) -> Iterator[Term]:
    """Each value of the blocks but the first to land on a position of the output is added there."""
    asked, axes = given(subject, call), 2  # PyTorch folds images only
    yield Term(
        "fold",
        planes=planes_of(call.out, axes),
        kernel=per_axis(asked.kernel_size, axes),
        output=spatial(call.out, axes),
        stride=per_axis(asked.stride, axes),
        padding=per_axis(asked.padding, axes),
        dilation=per_axis(asked.dilation, axes),
    )


free(nn.Unfold, "aten.im2col")
