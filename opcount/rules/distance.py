"""Distances and similarities between pairs of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term
from opcount.rules.reading import given
from opcount.rules.registry import rule
from opcount.rules.shapes import broadcast, rows_along


@rule(nn.CosineSimilarity, F.cosine_similarity)
def cosine_similarity(subject: Any, call: Call) -> Iterator[Term]:
    """One product and two norms for each pair along a dimension."""
    asked = given(subject, call)
    yield Term("cosine_similarity", **rows_along(broadcast(asked.x1.shape, asked.x2.shape), asked.dim))


@rule(nn.PairwiseDistance, F.pairwise_distance)
def pairwise_distance(subject: Any, call: Call) -> Iterator[Term]:
    """The norm of the difference of each pair along the last dimension."""
    asked = given(subject, call)
    norm = asked.norm if isinstance(subject, nn.Module) else asked.p
    yield from distance(broadcast(asked.x1.shape, asked.x2.shape), norm)


def distance(pairs: TensorSpec, norm: float, role: str = "") -> Iterator[Term]:
    """The difference, eps, and the p-norm of each row of what two tensors broadcast to."""
    prefix = f"{role} " if role else ""
    yield Term("addition", role=f"{prefix}difference", count=pairs.elements)
    yield Term("addition", role=f"{prefix}eps", count=pairs.elements)
    yield Term("vector_norm", role=f"{prefix}norm", **rows_along(pairs, -1), norm=float(norm))


@rule("aten._cdist_forward", "aten.cdist", "aten._euclidean_dist", "aten._pdist_forward", "aten.pdist")
def distances(operator: Any, call: Call) -> Iterator[Term]:
    """The p-norm of the difference of every pair of rows, of two matrices or within one."""
    pairs, length = call.out.elements, call.input.shape[-1]
    yield from _norms_of_differences(pairs, length, given(operator, call).get("p", 2.0))


@rule("aten.dist")
def distance_of_tensors(operator: Any, call: Call) -> Iterator[Term]:
    """The p-norm of one difference."""
    asked = given(operator, call)
    yield from _norms_of_differences(1, broadcast(asked.input.shape, asked.other.shape).elements, asked.p)


def _norms_of_differences(pairs: int, length: int, norm: float) -> Iterator[Term]:
    yield Term("addition", role="differences", count=product((pairs, length)))
    yield Term("vector_norm", role="norm", rows=pairs, length=length, norm=float(norm))
