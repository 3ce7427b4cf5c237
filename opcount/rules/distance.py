"""Distances and similarities between pairs of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, TensorSpec, Term, tensors
from opcount.rules.registry import rule
from opcount.rules.shapes import broadcast, rows_along


@rule(nn.CosineSimilarity)
def cosine_similarity(layer: Any, call: Call) -> Iterator[Term]:
    """One product and two norms for each pair along the layer's dimension."""
    yield Term("cosine_similarity", **rows_along(_pairs(call), layer.dim))


@rule(nn.PairwiseDistance)
def pairwise_distance(layer: Any, call: Call) -> Iterator[Term]:
    """The norm of the difference of each pair along the last dimension."""
    yield from distance(_pairs(call), layer.norm)


def distance(pairs: TensorSpec, norm: float, role: str = "") -> Iterator[Term]:
    """The difference, eps, and the p-norm of each row of what two tensors broadcast to."""
    prefix = f"{role} " if role else ""
    yield Term("addition", role=f"{prefix}difference", count=pairs.elements)
    yield Term("addition", role=f"{prefix}eps", count=pairs.elements)
    yield Term("vector_norm", role=f"{prefix}norm", **rows_along(pairs, -1), norm=norm)


def _pairs(call: Call) -> TensorSpec:
    first, second = tensors((call.args, call.kwargs))
    return broadcast(first.shape, second.shape)
