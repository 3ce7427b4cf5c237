"""Convolutions, plain and transposed, in one to three dimensions, and the folding of blocks that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, Term
from opcount.rules.registry import free, rule
from opcount.rules.shapes import batch_of, per_axis, planes_of, spatial, weight_shape


@rule(nn.Conv1d, nn.Conv2d, nn.Conv3d, helpers=("_conv_forward",))
def convolution(layer: Any, call: Call) -> Iterator[Term]:
    """One dot of C_in/groups x kernel for each output; the output's shape says where padding and stride led."""
    weight = weight_shape(layer)
    axes = len(weight) - 2
    before, padding = spatial(call.input, axes), _padding_before(layer, weight[2:])
    if layer.padding_mode != "zeros":  # what is padded is real input: a copy of it
        before = tuple(size + added for size, added in zip(before, _padding_added(layer, weight[2:])))
        padding = (0,) * axes
    yield Term(
        "convolution",
        batch=batch_of(call.output, axes),
        in_channels=weight[1] * layer.groups,
        out_channels=weight[0],
        groups=layer.groups,
        kernel=weight[2:],
        input=before,
        output=spatial(call.output, axes),
        stride=layer.stride,
        padding=padding,
        dilation=layer.dilation,
    )
    yield from bias(layer, call)


@rule(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, helpers=("_output_padding",))
def transposed_convolution(layer: Any, call: Call) -> Iterator[Term]:
    """Every input element times C_out/groups filters; each product but the first to land somewhere is added."""
    weight = weight_shape(layer)
    axes = len(weight) - 2
    yield Term(
        "transposed_convolution",
        batch=batch_of(call.output, axes),
        in_channels=weight[0],
        out_channels=weight[1] * layer.groups,
        groups=layer.groups,
        kernel=weight[2:],
        input=spatial(call.input, axes),
        stride=layer.stride,
        dilation=layer.dilation,
    )
    yield from bias(layer, call)


@rule(nn.Fold)
def fold(layer: Any, call: Call) -> Iterator[Term]:
    """Each value of the blocks but the first to land on a position of the output is added there."""
    axes = 2  # PyTorch folds images only
    kernel, stride = per_axis(layer.kernel_size, axes), per_axis(layer.stride, axes)
    padding, dilation = per_axis(layer.padding, axes), per_axis(layer.dilation, axes)
    planes, output = planes_of(call.output, axes), spatial(call.output, axes)
    yield Term("fold", planes=planes, kernel=kernel, output=output, stride=stride, padding=padding, dilation=dilation)


free(nn.Unfold)


def bias(layer: Any, call: Call) -> Iterable[Term]:
    """One addition for each output of a layer that has a bias."""
    return () if layer.bias is None else (Term("bias", role="bias", count=call.output.elements),)


def _padding_added(layer: Any, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Padding along each axis, both sides together."""
    if layer.padding == "same":
        return tuple(gap * (size - 1) for gap, size in zip(layer.dilation, kernel))
    if layer.padding == "valid":
        return (0,) * len(kernel)
    return tuple(2 * size for size in layer.padding)


def _padding_before(layer: Any, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Padding in front along each axis: "same" puts the odd element behind."""
    return tuple(size // 2 for size in _padding_added(layer, kernel))
