"""Softmax and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, Term
from opcount.rules.reading import given
from opcount.rules.registry import rule
from opcount.rules.shapes import rows_along


@rule(nn.Softmax, nn.Softmin, nn.Softmax2d, "aten._softmax", "aten.softmax", "aten._safe_softmax")
def softmax(subject: Any, call: Call) -> Iterator[Term]:
    """Each row along a dimension; the sign that softmin turns is free."""
    yield Term("softmax", **rows_along(call.out, _dimension(subject, call)))


@rule(nn.LogSoftmax, "aten._log_softmax", "aten.log_softmax")
def log_softmax(subject: Any, call: Call) -> Iterator[Term]:
    """Each row along a dimension."""
    yield Term("log_softmax", **rows_along(call.out, _dimension(subject, call)))


@rule(nn.Softmax, nn.Softmin, nn.Softmax2d, phase="backward")
def softmax_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each row along a dimension, from what came out."""
    yield Term("softmax_gradient", **rows_along(call.out, _dimension(layer, call)))


@rule(nn.LogSoftmax, phase="backward")
def log_softmax_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each row along a dimension, from what came out."""
    yield Term("log_softmax_gradient", **rows_along(call.out, _dimension(layer, call)))


@rule("aten._softmax_backward_data")
def softmax_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("softmax_gradient", **rows_along(call.out, given(operator, call).dim))


@rule("aten._log_softmax_backward_data")
def log_softmax_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("log_softmax_gradient", **rows_along(call.out, given(operator, call).dim))


def _dimension(subject: Any, call: Call) -> int:
    """The dimension that is normalized; PyTorch still chooses one for layers that do not say."""
    if isinstance(subject, nn.Softmax2d):
        return -3
    dimension = given(subject, call).dim
    if dimension is not None:
        return int(dimension)
    return 0 if len(call.out.shape) in (0, 1, 3) else 1
