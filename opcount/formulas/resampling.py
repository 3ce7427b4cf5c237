"""Interpolation between the values of a grid."""

from __future__ import annotations

from opcount.formulas.arithmetic import one_less
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


@formula()
def interpolation(count: Number, taps: Number) -> OpCount:
    """For each output a sum of ``taps`` neighbours, each times a weight that the shapes fix.

    >>> interpolation(count=10, taps=4)
    OpCount(multiplications=40, additions=30)
    """
    return OpCount(multiplications=count * taps, additions=count * one_less(taps))
