"""Polynomials through points, in exact fractions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

Point = tuple[int, ...]


def degree(xs: Sequence[int], ys: Sequence[int], most: int) -> int | None:
    """The degree of the polynomial through all points, if it leaves at least one point over that it was not made from.

    >>> degree([1, 2, 3, 4], [1, 4, 9, 16], 2), degree([1, 2, 3], [1, 4, 9], 2), degree([1, 2, 3], [1, 1, 2], 1)
    (2, None, None)
    """
    if all(y == ys[0] for y in ys):
        return 0
    differences = [Fraction(y) for y in ys]
    for order in range(1, len(xs)):
        differences = [
            (differences[at + 1] - differences[at]) / (xs[at + order] - xs[at]) for at in range(len(differences) - 1)
        ]
        if order <= most + 1 and all(value == 0 for value in differences):
            return order - 1
    return None


@lru_cache(maxsize=1024)
def basis(xs: Point) -> tuple[tuple[Fraction, ...], ...]:
    """For each point the coefficients, lowest first, of the polynomial that is 1 there and 0 at the others.

    >>> basis((0, 1))
    ((Fraction(1, 1), Fraction(-1, 1)), (Fraction(0, 1), Fraction(1, 1)))
    """
    rows = []
    for x in xs:
        row = [Fraction(1)]
        for other in xs:
            if other != x:  # times (t - other) / (x - other)
                scale = Fraction(1, x - other)
                shifted = [Fraction(0), *row]
                row = [(shifted[at] - other * (row[at] if at < len(row) else 0)) * scale for at in range(len(shifted))]
        rows.append(tuple(row))
    return tuple(rows)


def through(grid: Sequence[Point], values: Mapping[Point, int]) -> dict[Point, Fraction]:
    """The polynomial through the values on a grid, as its coefficients by their exponents.

    Args:
        grid: for each variable the points along it.
        values: a value for each combination of these.

    >>> through([(1, 2), (1, 2)], {(1, 1): 5, (1, 2): 10, (2, 1): 10, (2, 2): 20})
    {(1, 1): Fraction(5, 1)}
    """
    coefficients = {index: Fraction(values[tuple(axis[at] for axis, at in zip(grid, index))])
                    for index in itertools.product(*(range(len(axis)) for axis in grid))}  # fmt: skip
    for place, axis in enumerate(grid):  # one variable after the other: from values along it to coefficients
        rows, turned = basis(tuple(axis)), dict.fromkeys(coefficients, Fraction(0))
        for index, value in coefficients.items():
            if value:
                for power, factor in enumerate(rows[index[place]]):
                    key = tuple(power if at == place else each for at, each in enumerate(index))
                    turned[key] += factor * value
        coefficients = turned
    return {exponents: value for exponents, value in coefficients.items() if value}
