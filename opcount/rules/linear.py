"""Linear and bilinear layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.convolution import bias
from opcount.rules.registry import free, rule
from opcount.rules.shapes import weight_shape


@rule(nn.Linear)
def linear(layer: Any, call: Call) -> Iterator[Term]:
    """One dot of the input features for each output, whatever dimensions lead."""
    yield Term("dots", count=call.output.elements, length=weight_shape(layer)[1])
    yield from bias(layer, call)


@rule(nn.Bilinear)
def bilinear(layer: Any, call: Call) -> Iterator[Term]:
    """For each output the first input by every column of its matrix, and that row by the second input."""
    _, first, second = weight_shape(layer)
    yield Term("dots", role="first input", count=product((call.output.elements, second)), length=first)
    yield Term("dots", role="second input", count=call.output.elements, length=second)
    yield from bias(layer, call)


free(nn.Identity)
