"""Activations: one formula an element, as a layer and as the operator it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from opcount.ops import Call, Term
from opcount.rules.reading import given, held, needs_grad
from opcount.rules.registry import rule

_SUBJECTS: dict[str, tuple[Any, ...]] = {
    "relu": (nn.ReLU, "aten.relu"),
    "relu6": (nn.ReLU6, F.relu6, "aten.relu6"),
    "hardtanh": (nn.Hardtanh, "aten.hardtanh"),
    "leaky_relu": (
        *(nn.LeakyReLU, nn.PReLU, nn.RReLU),
        *("aten.leaky_relu", "aten._prelu_kernel", "aten.rrelu_with_noise", "aten.rrelu_with_noise_functional"),
    ),
    "threshold": (nn.Threshold, "aten.threshold"),
    "hardshrink": (nn.Hardshrink, "aten.hardshrink"),
    "softshrink": (nn.Softshrink, "aten.softshrink"),
    "sigmoid": (nn.Sigmoid, "aten.sigmoid"),
    "tanh": (nn.Tanh, "aten.tanh"),
    "silu": (nn.SiLU, "aten.silu"),
    "gated_linear_unit": (nn.GLU, "aten.glu"),
    "hardsigmoid": (nn.Hardsigmoid, "aten.hardsigmoid"),
    "hardswish": (nn.Hardswish, "aten.hardswish"),
    "elu": (nn.ELU,),
    "selu": (nn.SELU, F.selu, torch.selu, torch.selu_),
    "celu": (nn.CELU, "aten.celu"),
    "softplus": (nn.Softplus, "aten.softplus"),
    "mish": (nn.Mish, "aten.mish"),
    "log_sigmoid": (nn.LogSigmoid, "aten.log_sigmoid_forward", "aten.log_sigmoid"),
    "softsign": (nn.Softsign,),
    "tanhshrink": (nn.Tanhshrink,),
}


def _tie(formula: str, subjects: tuple[Any, ...]) -> None:
    @rule(*subjects)
    def activation(subject: Any, call: Call) -> Iterator[Term]:
        """The activation's documented formula for each output, whichever branch an element takes."""
        yield Term(formula, count=call.out.elements)


for _formula, _subjects in _SUBJECTS.items():
    _tie(_formula, _subjects)


_GRADIENTS: dict[str, tuple[Any, ...]] = {
    "relu": (nn.ReLU,),
    "relu6": (nn.ReLU6, F.relu6),
    "hardtanh": (nn.Hardtanh,),
    "leaky_relu": (nn.LeakyReLU,),
    "threshold": (nn.Threshold,),
    "hardshrink": (nn.Hardshrink,),
    "softshrink": (nn.Softshrink,),
    "sigmoid": (nn.Sigmoid,),
    "tanh": (nn.Tanh,),
    "silu": (nn.SiLU,),
    "hardsigmoid": (nn.Hardsigmoid,),
    "hardswish": (nn.Hardswish,),
    "selu": (nn.SELU, F.selu, torch.selu),
    "softplus": (nn.Softplus,),
    "mish": (nn.Mish,),
    "log_sigmoid": (nn.LogSigmoid,),
}
_BACKWARDS: dict[str, tuple[str, ...]] = {
    "relu": ("threshold_backward",),  # ReLU's as well
    "hardtanh": ("hardtanh_backward",),
    "leaky_relu": ("leaky_relu_backward",),
    "hardshrink": ("hardshrink_backward",),
    "softshrink": ("softshrink_backward",),
    "sigmoid": ("sigmoid_backward",),
    "tanh": ("tanh_backward",),
    "silu": ("silu_backward",),
    "hardsigmoid": ("hardsigmoid_backward",),
    "hardswish": ("hardswish_backward",),
    "softplus": ("softplus_backward",),
    "mish": ("mish_backward",),
    "log_sigmoid": ("log_sigmoid_backward",),
}


def _tie_gradient(formula: str, layers: tuple[Any, ...], operators: tuple[str, ...]) -> None:
    def activation_gradient(subject: Any, call: Call) -> Iterator[Term]:
        """The derivative from the input or output that is kept, times the gradient that comes in."""
        yield Term(f"{formula}_gradient", count=call.out.elements)

    if layers:
        rule(*layers, phase="backward")(activation_gradient)
    if operators:
        rule(*(f"aten.{name}" for name in operators))(activation_gradient)


for _formula in {**_GRADIENTS, **_BACKWARDS}:
    _tie_gradient(_formula, _GRADIENTS.get(_formula, ()), _BACKWARDS.get(_formula, ()))


@rule(nn.ELU, phase="backward")
def elu_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """From the input; in place only the output is left, from which it takes no exponential."""
    yield Term("elu_from_output_gradient" if layer.inplace else "elu_gradient", count=call.out.elements)


@rule("aten.elu_backward")
def elu_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same; a scale on either side, as SELU and CELU have it, multiplies once."""
    asked, count = given(operator, call), call.out.elements
    yield Term("elu_from_output_gradient" if asked.is_result else "elu_gradient", count=count)
    if asked.scale != 1:
        yield Term("multiplication", role="scale", count=count)
    if asked.input_scale != 1:
        yield Term("multiplication", role="input scale", count=count)


@rule(nn.CELU, phase="backward")
def celu_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """dy * exp(x / alpha) below 0; in place dy * (y / alpha + 1) likewise."""
    yield Term("elu_from_output_gradient" if layer.inplace else "elu_gradient", count=call.out.elements)
    if layer.alpha != 1:
        yield Term("multiplication", role="input scale", count=call.out.elements)


@rule(nn.GLU, phase="backward")
def gated_linear_unit_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Of the half that is gated and of the gate."""
    yield Term("gated_linear_unit_gradient", count=call.out.elements)


@rule("aten.glu_backward")
def glu_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("gated_linear_unit_gradient", count=given(operator, call).grad_output.elements)


@rule(nn.PReLU, phase="backward")
def learned_slope_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """The input's, and each slope's a sum of the products where it was taken."""
    count, slopes = call.out.elements, layer.num_parameters
    if needs_grad(call.input) or needs_grad(held(layer, "weight")):
        yield Term("comparison", role="branch", count=count)
    if needs_grad(call.input):
        yield Term("multiplication", role="input", count=count)
    if needs_grad(held(layer, "weight")):
        yield Term("multiplication", role="slope", count=count)
        yield Term("sums", role="slope", rows=slopes, length=count // slopes if slopes else 0)


@rule("aten._prelu_kernel_backward")
def prelu_backward(operator: Any, call: Call) -> Iterator[Term]:
    """Both products of each element, before they are summed."""
    yield Term("each", count=call.input.elements, comparisons=1, multiplications=2)


@rule("aten.rrelu_with_noise_backward")
def rrelu_backward(operator: Any, call: Call) -> Iterator[Term]:
    """In training the slope that was drawn times the gradient."""
    training = given(operator, call).training
    yield Term("multiplication" if training else "leaky_relu_gradient", count=call.out.elements)


@rule(nn.GELU, phase="backward")
def gelu_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """By erf, or by tanh where it is approximated."""
    yield Term("gelu_tanh_gradient" if layer.approximate == "tanh" else "gelu_gradient", count=call.out.elements)


@rule("aten.gelu_backward")
def gelu_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    tanh = given(operator, call).approximate == "tanh"
    yield Term("gelu_tanh_gradient" if tanh else "gelu_gradient", count=call.out.elements)


@rule(nn.GELU, "aten.gelu")
def gelu(subject: Any, call: Call) -> Iterator[Term]:
    """By erf, or by tanh where it is approximated."""
    yield Term("gelu_tanh" if given(subject, call).approximate == "tanh" else "gelu", count=call.out.elements)


@rule("aten.elu")
def elu(operator: Any, call: Call) -> Iterator[Term]:
    """ELU; with a scale other than 1, one multiplication more."""
    yield Term("elu", count=call.out.elements)
    if given(operator, call).scale != 1:
        yield Term("multiplication", role="scale", count=call.out.elements)
