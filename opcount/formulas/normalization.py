"""Normalization: centring, variance, scaling, and the affine map behind it."""

from __future__ import annotations

from opcount.formulas.arithmetic import one_less, reached_outputs, real_taps
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


@formula()
def fixed_normalization(count: Number) -> OpCount:
    """Normalization by running statistics: with those fixed it is one multiplication and one addition an element.

    >>> fixed_normalization(count=256)
    OpCount(multiplications=256, additions=256)
    """
    return OpCount(multiplications=count, additions=count)


@formula()
def normalization(rows: Number, length: Number) -> OpCount:
    """Each row of ``length`` brought to mean 0 and variance 1: mean, centring, variance, eps, rsqrt, scaling.

    >>> normalization(rows=1, length=4)
    OpCount(multiplications=8, additions=11, divisions=2, transcendentals=1)
    """
    if length == 0:
        return OpCount()
    elements = rows * length
    return OpCount(
        multiplications=2 * elements,  # squares, scaling
        additions=elements + rows * (2 * one_less(length) + 1),  # centring; mean, variance, eps
        divisions=2 * rows,
        transcendentals=rows,
    )


@formula()
def root_mean_square_normalization(rows: Number, length: Number) -> OpCount:
    """Each row of ``length`` divided by its root mean square, without the weight.

    >>> root_mean_square_normalization(rows=1, length=4)
    OpCount(multiplications=8, additions=4, divisions=1, transcendentals=1)
    """
    if length == 0:
        return OpCount()
    return OpCount(
        multiplications=2 * rows * length,
        additions=rows * (one_less(length) + 1),
        divisions=rows,
        transcendentals=rows,
    )


@formula()
def running_update(channels: Number) -> OpCount:
    """Running mean and variance moved towards a batch's: per channel 4 multiplications, 2 additions, 1 division.

    >>> running_update(channels=6)
    OpCount(multiplications=24, additions=12, divisions=6)
    """
    return OpCount(multiplications=4 * channels, additions=2 * channels, divisions=channels)


@formula()
def local_response_normalization(rows: Number, channels: Number, size: Number) -> OpCount:
    """Local response normalization of ``rows`` positions over windows of ``size`` neighbouring channels.

    >>> local_response_normalization(rows=1, channels=4, size=3)
    OpCount(multiplications=12, additions=10, transcendentals=4)
    """
    axis = (channels, channels, size, 1, size // 2, 1)
    elements = rows * channels
    sums = rows * (real_taps(*axis) - reached_outputs(*axis))
    return OpCount(multiplications=3 * elements, additions=sums + elements, transcendentals=elements)


@formula()
def normalization_gradient(rows: Number, length: Number) -> OpCount:
    """The gradient through rows brought to mean 0 and variance 1: dx = rstd * (g - mean(g) - x * mean(g * x)).

    The normalized rows x, and the gradient g of them, are there already.

    >>> normalization_gradient(rows=1, length=4)
    OpCount(multiplications=12, additions=14, divisions=2)
    """
    elements = rows * length
    return OpCount(
        multiplications=3 * elements,
        additions=2 * elements + 2 * rows * one_less(length),
        divisions=2 * rows if length != 0 else 0,
    )


@formula()
def batch_normalization_gradient(rows: Number, length: Number, scaled: bool) -> OpCount:
    """The same where one weight scales a whole row, and the sums of g and of g * x are there already.

    Args:
        scaled: whether there is a weight, which is multiplied with the row's rstd first.

    >>> batch_normalization_gradient(rows=1, length=4, scaled=True)
    OpCount(multiplications=9, additions=8, divisions=2)
    """
    if length == 0:
        return OpCount()
    elements = rows * length
    return OpCount(multiplications=2 * elements + (rows if scaled else 0), additions=2 * elements, divisions=2 * rows)


@formula()
def root_mean_square_gradient(rows: Number, length: Number) -> OpCount:
    """The gradient through rows divided by their root mean square: dx = r * (g - x * mean(g * x)).

    >>> root_mean_square_gradient(rows=1, length=4)
    OpCount(multiplications=12, additions=7, divisions=1)
    """
    elements = rows * length
    return OpCount(
        multiplications=3 * elements,
        additions=elements + rows * one_less(length),
        divisions=rows if length != 0 else 0,
    )
