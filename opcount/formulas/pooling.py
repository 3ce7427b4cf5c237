"""Pooling: windows clipped to the input, so that padding costs nothing."""

from __future__ import annotations

from opcount.formulas.arithmetic import (
    adaptive_windows,
    covered_inputs,
    one_less,
    per_axis,
    product,
    reached_outputs,
    real_taps,
)
from opcount.formulas.pointwise import power
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount

Axes = tuple[Number, ...]


def _folds(
    planes: Number, kernel: Axes, input: Axes, output: Axes, stride: Axes, padding: Axes, dilation: Axes
) -> Number:
    """Operations that fold every clipped window into one value: its size less one, none for an empty window."""
    axes = list(per_axis(input, output, kernel, stride, padding, dilation))
    taps = product(real_taps(*axis) for axis in axes)
    return planes * (taps - product(reached_outputs(*axis) for axis in axes))


@formula()
def average_pool(planes: Number, kernel: Axes, input: Axes, output: Axes, stride: Axes, padding: Axes) -> OpCount:
    """Average pooling of ``planes`` channels: a window's sum and one division for each output.

    >>> average_pool(planes=6, kernel=(2, 2), input=(28, 28), output=(14, 14), stride=(2, 2), padding=(0, 0))
    OpCount(additions=3_528, divisions=1_176)
    """
    sums = _folds(planes, kernel, input, output, stride, padding, (1,) * len(kernel))
    return OpCount(additions=sums, divisions=planes * product(output))


@formula()
def max_pool(
    planes: Number, kernel: Axes, input: Axes, output: Axes, stride: Axes, padding: Axes, dilation: Axes
) -> OpCount:
    """Max pooling of ``planes`` channels: a window's size less one comparisons for each output.

    >>> max_pool(1, kernel=(2,), input=(6,), output=(3,), stride=(2,), padding=(0,), dilation=(1,))
    OpCount(comparisons=3)
    """
    return OpCount(comparisons=_folds(planes, kernel, input, output, stride, padding, dilation))


@formula()
def power_average_pool(planes: Number, kernel: Axes, input: Axes, output: Axes, stride: Axes, norm: float) -> OpCount:
    """Power-average pooling: x^p once for each input element, the window's sum, one root.

    For p = 1 neither power nor root, for p = inf the window's maximum.

    >>> power_average_pool(1, kernel=(2,), input=(6,), output=(3,), stride=(2,), norm=2)
    OpCount(multiplications=6, additions=3, transcendentals=3)
    """
    zeros, ones = (0,) * len(kernel), (1,) * len(kernel)
    folds = _folds(planes, kernel, input, output, stride, zeros, ones)
    if norm == float("inf"):
        return OpCount(comparisons=folds)
    sums = OpCount(additions=folds)
    if norm == 1:
        return sums
    return sums + power(planes * product(input), norm) + OpCount(transcendentals=planes * product(output))


@formula()
def adaptive_average_pool(planes: Number, input: Axes, output: Axes) -> OpCount:
    """Adaptive average pooling over its true, unequal windows.

    >>> adaptive_average_pool(planes=1, input=(7,), output=(3,))
    OpCount(additions=6, divisions=3)
    """
    outputs = product(output)
    windows = product(adaptive_windows(*axis) for axis in per_axis(input, output))
    return OpCount(additions=planes * (windows - outputs), divisions=planes * outputs)


@formula()
def adaptive_max_pool(planes: Number, input: Axes, output: Axes) -> OpCount:
    """Adaptive max pooling over its true, unequal windows.

    >>> adaptive_max_pool(planes=1, input=(7,), output=(3,))
    OpCount(comparisons=6)
    """
    windows = product(adaptive_windows(*axis) for axis in per_axis(input, output))
    return OpCount(comparisons=planes * (windows - product(output)))


@formula()
def fractional_max_pool(planes: Number, kernel: Axes, output: Axes) -> OpCount:
    """Fractional max pooling: its windows are whole wherever they start.

    >>> fractional_max_pool(planes=1, kernel=(2, 2), output=(3, 3))
    OpCount(comparisons=27)
    """
    return OpCount(comparisons=planes * product(output) * one_less(product(kernel)))


def _overlaps(kernel: Axes, input: Axes, output: Axes, stride: Axes, padding: Axes, dilation: Axes) -> Number:
    """How often windows share an input: taps on the input less the inputs under any."""
    axes = list(per_axis(input, output, kernel, stride, padding, dilation))
    return product(real_taps(*axis) for axis in axes) - product(covered_inputs(*axis) for axis in axes)


@formula()
def average_pool_gradient(
    planes: Number, kernel: Axes, input: Axes, output: Axes, stride: Axes, padding: Axes
) -> OpCount:
    """Each output's gradient divided once and added to its window: additions where windows overlap.

    >>> average_pool_gradient(planes=1, kernel=(3,), input=(7,), output=(3,), stride=(2,), padding=(0,))
    OpCount(additions=2, divisions=3)
    """
    shared = _overlaps(kernel, input, output, stride, padding, (1,) * len(kernel))
    return OpCount(additions=planes * shared, divisions=planes * product(output))


@formula()
def max_pool_gradient(
    planes: Number, kernel: Axes, input: Axes, output: Axes, stride: Axes, padding: Axes, dilation: Axes
) -> OpCount:
    """Each output's gradient put where its maximum came from: free, or added there where windows overlap.

    >>> max_pool_gradient(1, kernel=(2,), input=(6,), output=(3,), stride=(2,), padding=(0,), dilation=(1,))
    OpCount()
    >>> max_pool_gradient(1, kernel=(3,), input=(7,), output=(3,), stride=(2,), padding=(0,), dilation=(1,))
    OpCount(additions=3)
    """
    shared = _overlaps(kernel, input, output, stride, padding, dilation)
    return OpCount(additions=planes * product(output) if shared != 0 else 0)


@formula()
def adaptive_average_pool_gradient(planes: Number, input: Axes, output: Axes) -> OpCount:
    """Each output's gradient divided once and added to its true window.

    >>> adaptive_average_pool_gradient(planes=1, input=(7,), output=(3,))
    OpCount(additions=2, divisions=3)
    """
    windows = product(adaptive_windows(*axis) for axis in per_axis(input, output))
    shared = windows - product(input) if windows != 0 else 0
    return OpCount(additions=planes * shared, divisions=planes * product(output))


@formula()
def adaptive_max_pool_gradient(planes: Number, input: Axes, output: Axes) -> OpCount:
    """Each output's gradient put where its maximum came from, or added there where true windows overlap.

    >>> adaptive_max_pool_gradient(planes=1, input=(6,), output=(3,))
    OpCount()
    """
    windows = product(adaptive_windows(*axis) for axis in per_axis(input, output))
    return OpCount(additions=planes * product(output) if windows - product(input) != 0 else 0)
