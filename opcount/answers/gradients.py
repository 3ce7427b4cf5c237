"""Answers of the operators that training runs: convolutions as operators, and what autograd's nodes call.

A gradient has the shape of what it is the gradient of.
"""

from __future__ import annotations

from typing import Any

from opcount.answers.operators import elementwise
from opcount.answers.registry import answer
from opcount.ops import Call, TensorSpec, Tree
from opcount.rules.reading import Given, given
from opcount.rules.shapes import per_axis

_FROM_VALUE = """
    threshold hardtanh leaky_relu sigmoid tanh silu gelu hardsigmoid hardswish elu softplus mish hardshrink softshrink
"""
_LIKE_INPUT = """
    avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices _adaptive_avg_pool2d _adaptive_avg_pool3d
    adaptive_max_pool2d adaptive_max_pool3d mse_loss smooth_l1_loss huber_loss binary_cross_entropy nll_loss
"""

answer(*(f"aten.{name}_backward" for name in _FROM_VALUE.split()))(elementwise)


@answer(*(f"aten.{name}_backward" for name in _LIKE_INPUT.split()))
def like_input(operator: Any, call: Call) -> TensorSpec | None:
    """The gradient of the input."""
    spec: TensorSpec = given(operator, call).input
    return _plain(spec)


@answer("aten._softmax_backward_data", "aten._log_softmax_backward_data")
def like_gradient(operator: Any, call: Call) -> TensorSpec | None:
    """The gradient of the input, whose shape the output's is too."""
    asked = given(operator, call)
    same = asked.input_dtype == asked.grad_output.dtype
    return _plain(asked.grad_output) if same else None


@answer("aten.convolution")
def convolution(operator: Any, call: Call) -> TensorSpec | None:
    """Samples, channels out, and where the windows fit."""
    asked = given(operator, call)
    axes = len(asked.weight.shape) - 2
    if len(asked.input.shape) != axes + 2 or asked.input.dtype != asked.weight.dtype:
        return None
    names = ("stride", "padding", "dilation", "output_padding")
    options = zip(*(per_axis(getattr(asked, name), axes) for name in names))
    sizes = zip(asked.input.shape[2:], asked.weight.shape[2:], options)
    channels, per_group, groups = asked.input.shape[1], asked.weight.shape[1], asked.groups
    if asked.transposed:
        after = [(size - 1) * s - 2 * p + d * (taps - 1) + more + 1 for size, taps, (s, p, d, more) in sizes]
        fits, width = asked.weight.shape[0] == channels, per_group * groups
    else:
        after = [(size + 2 * p - d * (taps - 1) - 1) // s + 1 for size, taps, (s, p, d, _) in sizes]
        fits, width = per_group * groups == channels and asked.weight.shape[0] % groups == 0, asked.weight.shape[0]
    if not fits or min(after, default=1) < 1 or (asked.bias is not None and asked.bias.shape != (width,)):
        return None
    return _plain(TensorSpec((asked.input.shape[0], width, *after), asked.input.dtype))


@answer("aten.convolution_backward")
def convolution_backward(operator: Any, call: Call) -> Tree:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    channels = asked.weight.shape[1] * asked.groups if asked.transposed else asked.weight.shape[0]
    return _masked(asked, asked.input, asked.weight, TensorSpec((channels,), asked.weight.dtype))


@answer("aten.native_layer_norm_backward")
def layer_norm_backward(operator: Any, call: Call) -> Tree:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    return _masked(asked, asked.input, asked.weight, asked.bias)


@answer("aten.native_batch_norm")
def batch_norm(operator: Any, call: Call) -> Tree:
    """The normalized input, and mean and reciprocal deviation of each channel, in training alone."""
    asked = given(operator, call)
    if _plain(asked.input) is None or len(asked.input.shape) < 2:
        return None
    saved = TensorSpec((asked.input.shape[1] if asked.training else 0,), asked.input.dtype)
    return TensorSpec(asked.input.shape, asked.input.dtype), saved, saved


@answer("aten.native_batch_norm_backward")
def batch_norm_backward(operator: Any, call: Call) -> Tree:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    channels = TensorSpec((asked.input.shape[1],), asked.input.dtype)
    return _masked(asked, asked.input, channels, channels)


@answer("aten.embedding_dense_backward")
def embedding_backward(operator: Any, call: Call) -> TensorSpec | None:
    """A gradient for each row of the table."""
    asked = given(operator, call)
    return _plain(TensorSpec((asked.num_weights, asked.grad_output.shape[-1]), asked.grad_output.dtype))


def _masked(asked: Given, *specs: TensorSpec | None) -> Tree:
    wanted = [spec for spec, needed in zip(specs, asked.output_mask) if needed]
    if any(spec is None or _plain(spec) is None for spec in wanted):
        return None
    return tuple(
        TensorSpec(spec.shape, spec.dtype) if needed and spec is not None else None
        for spec, needed in zip(specs, asked.output_mask)
    )


def _plain(spec: TensorSpec) -> TensorSpec | None:
    """A new tensor like that, if it is of a type that no mixed precision is made of."""
    return TensorSpec(spec.shape, spec.dtype) if spec.dtype in ("float32", "float64") else None
