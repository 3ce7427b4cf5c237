"""Softmax and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, Term
from opcount.rules.registry import rule
from opcount.rules.shapes import rows_along


@rule(nn.Softmax, nn.Softmin, nn.Softmax2d)
def softmax(layer: Any, call: Call) -> Iterator[Term]:
    """Each row along the layer's dimension; the sign that softmin turns is free."""
    yield Term("softmax", **rows_along(call.output, _dimension(layer, call)))


@rule(nn.LogSoftmax)
def log_softmax(layer: Any, call: Call) -> Iterator[Term]:
    """Each row along the layer's dimension."""
    yield Term("log_softmax", **rows_along(call.output, _dimension(layer, call)))


def _dimension(layer: Any, call: Call) -> int:
    """The dimension that is normalized; PyTorch still chooses one for layers that do not say."""
    if isinstance(layer, nn.Softmax2d):
        return -3
    if layer.dim is not None:
        return int(layer.dim)
    return 0 if len(call.output.shape) in (0, 1, 3) else 1
