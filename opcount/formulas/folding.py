"""Blocks of values folded into an image."""

from __future__ import annotations

from opcount.formulas.arithmetic import distinct_sums, floor_quotient, maximum, per_axis, product
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount

Axes = tuple[Number, ...]


@formula()
def fold(planes: Number, kernel: Axes, output: Axes, stride: Axes, padding: Axes, dilation: Axes) -> OpCount:
    """Sliding blocks added up where they overlap: the first value to reach a position is stored, the rest are added.

    As in a transposed convolution, sums that padding crops away again are counted.

    >>> fold(planes=1, kernel=(3,), output=(6,), stride=(1,), padding=(0,), dilation=(1,))
    OpCount(additions=6)
    """
    blocks = [
        floor_quotient(size + 2 * around - gap * (taps - 1) - 1, step) + 1
        for size, taps, step, around, gap in per_axis(output, kernel, stride, padding, dilation)
    ]
    values = product(blocks) * product(kernel)
    positions = product(distinct_sums(*axis) for axis in per_axis(blocks, kernel, stride, dilation))
    return OpCount(additions=planes * (values - positions))


@formula()
def gathered(values: Number, positions: Number) -> OpCount:
    """``values`` added up at ``positions`` that all receive one: the first is stored, the rest are added.

    >>> gathered(values=10, positions=4)
    OpCount(additions=6)
    """
    return OpCount(additions=maximum(values - positions, 0))
