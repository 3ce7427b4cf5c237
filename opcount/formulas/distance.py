"""Similarity of vectors."""

from __future__ import annotations

from opcount.formulas.arithmetic import one_less
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


@formula()
def cosine_similarity(rows: Number, length: Number) -> OpCount:
    """x·y / (max(‖x‖, eps) · max(‖y‖, eps)) of each pair of rows.

    >>> cosine_similarity(rows=1, length=4)
    OpCount(multiplications=13, additions=9, divisions=1, comparisons=2, transcendentals=2)
    """
    return OpCount(
        multiplications=rows * (3 * length + 1),
        additions=3 * rows * one_less(length),
        divisions=rows,
        comparisons=2 * rows,
        transcendentals=2 * rows,
    )
