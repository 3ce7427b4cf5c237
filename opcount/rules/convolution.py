"""Convolutions, plain and transposed, in one to three dimensions, and the folding of blocks that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term
from opcount.rules.linear import bias_gradient, bias_terms
from opcount.rules.reading import Given, given, needs_grad
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


@rule(nn.Conv1d, nn.Conv2d, nn.Conv3d, F.conv1d, F.conv2d, F.conv3d, phase="backward")
def convolution_gradient(subject: Any, call: Call) -> Iterator[Term]:
    """The input's through the transposed convolution, each weight's one dot over all outputs, the bias's a sum."""
    asked = given(subject, call)
    needed = needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)
    yield from _convolution_gradient(_convolution_numbers(asked, call.out), call.out, needed)
    if needed[0] and asked.get("padding_mode", "zeros") != "zeros":
        copies = product((*call.input.shape[: -len(asked.weight.shape) + 2], *_padded(asked))) - call.input.elements
        yield Term("addition", role="copies in the padding", count=copies)


@rule(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, phase="backward")
@rule(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d, phase="backward")
def transposed_convolution_gradient(subject: Any, call: Call) -> Iterator[Term]:
    """The input's through the convolution that it transposes, each weight's one dot over all inputs."""
    asked = given(subject, call)
    needed = needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)
    yield from _transposed_gradient(asked, call.out, needed)


@rule("aten.convolution_backward", "aten.convolution_backward_overrideable")
def any_convolution_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    after, needed = asked.grad_output, tuple(asked.output_mask)
    if asked.transposed:
        yield from _transposed_gradient(asked, after, needed)
    else:
        yield from _convolution_gradient(_convolution_numbers(asked, after), after, needed)


def _convolution(asked: Given, call: Call) -> Iterator[Term]:
    yield Term("convolution", **_convolution_numbers(asked, call.out))
    yield from bias_terms(asked.bias, call.out.elements)


def _convolution_numbers(asked: Given, after: TensorSpec) -> dict[str, Any]:
    """What a convolution is made of; the output's shape says where padding and stride led."""
    weight = asked.weight.shape
    axes, kernel = len(weight) - 2, tuple(weight[2:])
    dilation = per_axis(asked.dilation, axes)
    added = _padding_added(asked.padding, kernel, dilation)
    before, padding = spatial(asked.input, axes), tuple(size // 2 for size in added)  # "same" puts the odd one behind
    if asked.get("padding_mode", "zeros") != "zeros":  # what is padded is real input: a copy of it
        before, padding = _padded(asked), (0,) * axes
    return {
        "batch": batch_of(after, axes),
        "in_channels": weight[1] * asked.groups,
        "out_channels": weight[0],
        "groups": asked.groups,
        "kernel": kernel,
        "input": before,
        "output": spatial(after, axes),
        "stride": per_axis(asked.stride, axes),
        "padding": padding,
        "dilation": dilation,
    }


def _convolution_gradient(
    numbers: dict[str, Any], after: TensorSpec, needed: tuple[bool, bool, bool]
) -> Iterator[Term]:
    of_input, of_weight, of_bias = needed
    if of_input:
        yield Term("convolution_input_gradient", role="input", **numbers)
    if of_weight:
        yield Term("convolution_weight_gradient", role="weight", **numbers)
    if of_bias:
        yield from bias_gradient(numbers["out_channels"], after.elements)


def _padded(asked: Given) -> tuple[int, ...]:
    """The size of the input with its padding."""
    kernel = tuple(asked.weight.shape[2:])
    added = _padding_added(asked.padding, kernel, per_axis(asked.dilation, len(kernel)))
    return tuple(size + more for size, more in zip(spatial(asked.input, len(kernel)), added))


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


def _transposed_gradient(asked: Given, after: TensorSpec, needed: tuple[bool, ...]) -> Iterator[Term]:
    """The output's gradient convolved: for each input a dot over the filters' outputs, taps on its padding included."""
    weight, before = asked.weight, asked.input
    of_input, of_weight, of_bias = needed
    if of_input:
        yield Term("dots", role="input", count=before.elements, length=product(weight.shape[1:]))
    if of_weight:
        places = before.elements // weight.shape[0] if weight.shape[0] else 0
        yield Term("dots", role="weight", count=product(weight.shape), length=places)
    if of_bias:
        yield from bias_gradient(weight.shape[1] * asked.groups, after.elements)


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
