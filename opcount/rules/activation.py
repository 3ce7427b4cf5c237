"""Activations: one formula an element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, Term
from opcount.rules.registry import rule
from opcount.rules.shapes import entry_of

_FORMULAS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardtanh: "hardtanh",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "leaky_relu",
    nn.RReLU: "leaky_relu",
    nn.Threshold: "threshold",
    nn.Hardshrink: "hardshrink",
    nn.Softshrink: "softshrink",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.SiLU: "silu",
    nn.GLU: "gated_linear_unit",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.CELU: "celu",
    nn.Softplus: "softplus",
    nn.Mish: "mish",
    nn.LogSigmoid: "log_sigmoid",
    nn.Softsign: "softsign",
    nn.Tanhshrink: "tanhshrink",
}


@rule(*_FORMULAS)
def activation(layer: Any, call: Call) -> Iterator[Term]:
    """The activation's documented formula for each output, whichever branch an element takes."""
    yield Term(entry_of(layer, _FORMULAS), count=call.output.elements)


@rule(nn.GELU)
def gelu(layer: Any, call: Call) -> Iterator[Term]:
    """By erf, or by tanh where the layer approximates."""
    yield Term("gelu_tanh" if layer.approximate == "tanh" else "gelu", count=call.output.elements)
