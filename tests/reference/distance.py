"""Similarities and distances of vectors. Their sums of products are no contractions: nothing here is a mac."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.geometry import cells
from tests.reference.machine import Array, maximum, objects, sqrt, total
from tests.reference.reductions import norm_row


def cosine_row(first: list[Any], second: list[Any], eps: float) -> Any:
    """x · y / (max(‖x‖, eps) · max(‖y‖, eps))"""
    shared = total(x * y for x, y in zip(first, second, strict=True))
    lengths = [maximum(sqrt(total(x * x for x in row)), eps) for row in (first, second)]
    return shared / (lengths[0] * lengths[1])


def cosine_similarity(first: Array, second: Array, axis: int = 1, eps: float = 1e-8) -> Array:
    """torch.nn.CosineSimilarity along the axis."""
    left, right = np.broadcast_arrays(first, second)
    left, right = np.moveaxis(left, axis, -1), np.moveaxis(right, axis, -1)
    output = objects(left.shape[:-1])
    for place in cells(output.shape):
        output[place] = cosine_row(list(left[place]), list(right[place]), eps)
    return output


def distance_row(first: list[Any], second: list[Any], p: float, eps: float | None = None) -> Any:
    """‖x - y + eps‖ₚ, or without the eps."""
    differences = [x - y for x, y in zip(first, second, strict=True)]
    if eps is not None:
        differences = [x + eps for x in differences]
    return norm_row(differences, p)


def pairwise_distance(first: Array, second: Array, *, p: float = 2.0, eps: float = 1e-6) -> Array:
    """torch.nn.PairwiseDistance along the last axis."""
    left, right = np.broadcast_arrays(first, second)
    output = objects(left.shape[:-1])
    for place in cells(output.shape):
        output[place] = distance_row(list(left[place]), list(right[place]), p, eps)
    return output


def cdist(first: Array, second: Array, *, p: float = 2.0) -> Array:
    """torch.cdist: every row of (..., P, D) against every row of (..., R, D)."""
    lead = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    left = np.broadcast_to(first, (*lead, *first.shape[-2:]))
    right = np.broadcast_to(second, (*lead, *second.shape[-2:]))
    output = objects((*lead, first.shape[-2], second.shape[-2]))
    for *place, i, j in cells(output.shape):
        output[(*place, i, j)] = distance_row(list(left[(*place, i)]), list(right[(*place, j)]), p)
    return output
