"""Activations: one formula an element, as a layer and as the operator it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from opcount.ops import Call, Term
from opcount.rules.reading import given
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
