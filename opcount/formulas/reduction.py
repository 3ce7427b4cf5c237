"""Reductions: many values folded into one, and the functions built on that."""

from __future__ import annotations

from opcount.formulas.arithmetic import ceil_log2, one_less
from opcount.formulas.pointwise import power
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


@formula()
def sums(rows: Number, length: Number) -> OpCount:
    """Each row of ``length`` added up.

    >>> sums(rows=2, length=5)
    OpCount(additions=8)
    """
    return OpCount(additions=rows * one_less(length))


@formula()
def means(rows: Number, length: Number) -> OpCount:
    """Each row added up and divided once.

    >>> means(rows=2, length=5)
    OpCount(additions=8, divisions=2)
    """
    return OpCount(additions=rows * one_less(length), divisions=rows)


@formula()
def products(rows: Number, length: Number) -> OpCount:
    """Each row multiplied up.

    >>> products(rows=2, length=5)
    OpCount(multiplications=8)
    """
    return OpCount(multiplications=rows * one_less(length))


@formula()
def extrema(rows: Number, length: Number) -> OpCount:
    """The largest or smallest of each row, or where it is.

    >>> extrema(rows=2, length=5)
    OpCount(comparisons=8)
    """
    return OpCount(comparisons=rows * one_less(length))


@formula()
def sorting(rows: Number, length: Number) -> OpCount:
    """Each row sorted, or searched for its k-th: n·ceil(log2 n) comparisons, a model rather than a definition.

    >>> sorting(rows=2, length=5)
    OpCount(comparisons=30)
    """
    return OpCount(comparisons=rows * length * ceil_log2(length))


@formula()
def variance(rows: Number, length: Number) -> OpCount:
    """The variance of each row, whatever the correction: mean, centring, squares, their sum, one division.

    >>> variance(rows=1, length=5)
    OpCount(multiplications=5, additions=13, divisions=2)
    """
    return OpCount(
        multiplications=rows * length,
        additions=rows * (2 * one_less(length) + length),
        divisions=2 * rows,
    )


@formula()
def vector_norm(rows: Number, length: Number, norm: float) -> OpCount:
    """The p-norm of each row: for p = 2 squares, sum and root; for 1 the sum; for ±inf the extremum; for 0 the count.

    >>> vector_norm(rows=1, length=5, norm=2)
    OpCount(multiplications=5, additions=4, transcendentals=1)
    >>> vector_norm(rows=1, length=5, norm=float("inf"))
    OpCount(comparisons=4)
    """
    if norm in (float("inf"), float("-inf")):
        return extrema(rows, length)
    if norm == 0:
        return OpCount(comparisons=rows * length, additions=rows * one_less(length))
    if norm == 1:
        return sums(rows, length)
    if norm == 2:
        return power(rows * length, 2) + sums(rows, length) + OpCount(transcendentals=rows)
    return OpCount(transcendentals=rows * (length + 1)) + sums(rows, length)


@formula()
def softmax(rows: Number, length: Number) -> OpCount:
    """Softmax of each row: its maximum, the shift, exp, the sum, the quotients.

    >>> softmax(rows=1, length=4)
    OpCount(additions=7, divisions=4, comparisons=3, transcendentals=4)
    """
    elements = rows * length
    folds = rows * one_less(length)
    return OpCount(additions=elements + folds, divisions=elements, comparisons=folds, transcendentals=elements)


@formula()
def log_softmax(rows: Number, length: Number) -> OpCount:
    """Log-softmax of each row: its maximum, the shift, exp, the sum, one logarithm, the differences.

    >>> log_softmax(rows=1, length=4)
    OpCount(additions=11, comparisons=3, transcendentals=5)
    """
    elements = rows * length
    folds = rows * one_less(length)
    return OpCount(
        additions=2 * elements + folds,
        comparisons=folds,
        transcendentals=elements + (rows if length != 0 else 0),
    )


@formula()
def log_sum_exp(rows: Number, length: Number) -> OpCount:
    """log(sum(exp(x))) of each row: its maximum, the shift, exp, the sum, one logarithm, the shift back.

    >>> log_sum_exp(rows=1, length=4)
    OpCount(additions=8, comparisons=3, transcendentals=5)
    """
    elements = rows * length
    folds = rows * one_less(length)
    return OpCount(additions=elements + folds + rows, comparisons=folds, transcendentals=elements + rows)


@formula()
def fourier_transform(rows: Number, length: Number, normalized: Number) -> OpCount:
    """A fast Fourier transform of each row of ``length`` points, in real arithmetic.

    Args:
        normalized: how many real numbers the normalization divides, 0 without.

    >>> fourier_transform(rows=1, length=8, normalized=0)
    OpCount(multiplications=48, additions=72)
    """
    butterflies = rows * length * ceil_log2(length)
    return OpCount(multiplications=2 * butterflies, additions=3 * butterflies, divisions=normalized)


@formula()
def softmax_gradient(rows: Number, length: Number) -> OpCount:
    """The gradient through softmax of each row: dx = y * (dy - sum(dy * y)).

    >>> softmax_gradient(rows=1, length=4)
    OpCount(multiplications=8, additions=7)
    """
    elements = rows * length
    return OpCount(multiplications=2 * elements, additions=elements + rows * one_less(length))


@formula()
def log_softmax_gradient(rows: Number, length: Number) -> OpCount:
    """The gradient through log-softmax of each row: dx = dy - exp(y) * sum(dy).

    >>> log_softmax_gradient(rows=1, length=4)
    OpCount(multiplications=4, additions=7, transcendentals=4)
    """
    elements = rows * length
    return OpCount(multiplications=elements, additions=elements + rows * one_less(length), transcendentals=elements)
