"""Reductions and running reductions along an axis, or over all elements where none is given."""

from __future__ import annotations

import math
from typing import Any

from tests.reference import machine
from tests.reference.geometry import by_rows, reduce_rows
from tests.reference.machine import Array, largest, maximum, power, smallest, sqrt, total


def summed(inputs: Array, axis: int | None = None) -> Array:
    """torch.sum."""
    return reduce_rows(total, inputs, axis)


def mean(inputs: Array, axis: int | None = None) -> Array:
    """torch.mean: the sum and one division."""
    return reduce_rows(machine.mean, inputs, axis)


def multiplied(inputs: Array, axis: int | None = None) -> Array:
    """torch.prod."""
    return reduce_rows(machine.product, inputs, axis)


def greatest(inputs: Array, axis: int | None = None) -> Array:
    """torch.max, amax."""
    return reduce_rows(largest, inputs, axis)


def least(inputs: Array, axis: int | None = None) -> Array:
    """torch.min, amin."""
    return reduce_rows(smallest, inputs, axis)


def variance_row(row: list[Any], correction: float) -> Any:
    """Σ (x - mean)² / (n - correction)"""
    average = machine.mean(row)
    centred = [x - average for x in row]
    return total(x * x for x in centred) / (len(row) - correction)


def variance(inputs: Array, axis: int | None = None, *, correction: float = 1) -> Array:
    """torch.var."""
    return reduce_rows(lambda row: variance_row(row, correction), inputs, axis)


def standard_deviation(inputs: Array, axis: int | None = None, *, correction: float = 1) -> Array:
    """torch.std: the root of the variance."""
    return reduce_rows(lambda row: sqrt(variance_row(row, correction)), inputs, axis)


def norm_row(row: list[Any], p: float) -> Any:
    """(Σ |x|ᵖ)^(1/p); the greatest or least |x| for p = ±∞."""
    sizes = [abs(x) for x in row]
    if p == 1:
        return total(sizes)
    if p == 2:
        return sqrt(total(x * x for x in sizes))
    if math.isinf(p):
        return largest(sizes) if p > 0 else smallest(sizes)
    return power(total(power(x, p) for x in sizes), 1 / p)


def norm(inputs: Array, axis: int | None = None, *, p: float = 2) -> Array:
    """torch.linalg.vector_norm."""
    return reduce_rows(lambda row: norm_row(row, p), inputs, axis)


def normalize(inputs: Array, axis: int = 1, *, p: float = 2, eps: float = 1e-12) -> Array:
    """torch.nn.functional.normalize: every row divided by the greater of its norm and eps."""

    def one(row: list[Any]) -> list[Any]:
        length = maximum(norm_row(row, p), eps)
        return [x / length for x in row]

    return by_rows(one, inputs, axis)


def _running(row: list[Any], operation: Any) -> list[Any]:
    result = row[:1]
    for x in row[1:]:
        result.append(operation(result[-1], x))
    return result


def cumsum(inputs: Array, axis: int) -> Array:
    """torch.cumsum."""
    return by_rows(lambda row: _running(row, lambda a, b: a + b), inputs, axis)


def cumprod(inputs: Array, axis: int) -> Array:
    """torch.cumprod."""
    return by_rows(lambda row: _running(row, lambda a, b: a * b), inputs, axis)


def cummax(inputs: Array, axis: int) -> Array:
    """torch.cummax."""
    return by_rows(lambda row: _running(row, maximum), inputs, axis)
