"""Linear and bilinear maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term, Tree
from opcount.rules.reading import given, needs_grad
from opcount.rules.registry import free, rule


@rule(nn.Linear, F.linear, "aten.linear")
def linear(subject: Any, call: Call) -> Iterator[Term]:
    """One dot of the input features for each output, whatever dimensions lead, and the bias."""
    asked = given(subject, call)
    yield Term("dots", count=call.out.elements, length=asked.input.shape[-1])
    yield from bias_terms(asked.bias, call.out.elements)


@rule(nn.Linear, F.linear, phase="backward")
def linear_gradient(subject: Any, call: Call) -> Iterator[Term]:
    """For each input a dot over the outputs, for each weight a dot over the rows, for each bias a sum over them."""
    asked, outputs = given(subject, call), call.out.elements
    features = asked.input.shape[-1]
    width = product(asked.weight.shape[:-1])
    needed = needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)
    yield from linear_gradient_terms(outputs // width if width else 0, features, width, needed)


def linear_gradient_terms(
    rows: int, features: int, width: int, needed: tuple[bool, bool, bool], role: str = ""
) -> Iterator[Term]:
    """The gradients of a linear map of ``rows`` vectors from ``features`` to ``width``.

    Args:
        needed: whether those of the input, the weight and the bias are asked for.
    """
    prefix = f"{role} " if role else ""
    if needed[0]:
        yield Term("dots", role=f"{prefix}input", count=product((rows, features)), length=width)
    if needed[1]:
        yield Term("dots", role=f"{prefix}weight", count=product((width, features)), length=rows)
    if needed[2]:
        yield from bias_gradient(width, product((rows, width)))


def bias_gradient(width: int, outputs: int) -> Iterator[Term]:
    """Each bias's gradient: the sum of its outputs' gradients."""
    yield Term("sums", role="bias", rows=width, length=outputs // width if width else 0)


@rule(nn.Bilinear, F.bilinear)
def bilinear(subject: Any, call: Call) -> Iterator[Term]:
    """For each output the first input by every column of its matrix, and that row by the second input."""
    asked, outputs = given(subject, call), call.out.elements
    _, first, second = asked.weight.shape
    yield from bilinear_terms(outputs, first, second)
    yield from bias_terms(asked.bias, outputs)


def bilinear_terms(outputs: int, first: int, second: int) -> Iterator[Term]:
    """The products of a bilinear form, without its bias."""
    yield Term("dots", role="first input", count=product((outputs, second)), length=first)
    yield Term("dots", role="second input", count=outputs, length=second)


def bias_terms(bias: Tree, outputs: int) -> Iterator[Term]:
    """One addition for each output, where there is a bias."""
    if bias is not None:
        yield Term("bias", role="bias", count=outputs)


free(nn.Identity)
