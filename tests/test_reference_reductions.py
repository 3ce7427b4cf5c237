"""Reductions, norms and distances: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from tests.reference import distance, reductions
from tests.reference.checking import counted
from tests.reference.machine import Tally


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


SHAPES = [((6,), None), ((6,), 0), ((3, 4), 1), ((3, 4), 0), ((3, 4), None), ((2, 3, 4), -2), ((5, 1), 1)]


def rows_of(inputs: torch.Tensor, axis: int | None) -> tuple[int, int]:
    length = inputs.numel() if axis is None else inputs.shape[axis]
    return inputs.numel() // length, length


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums_products_and_extremes(shape, axis):
    x = normal(*shape)
    rows, n = rows_of(x, axis)
    folds = rows * (n - 1)
    over = {} if axis is None else {"dim": axis}
    assert counted(x.sum(**over), reductions.summed, x, axis) == Tally(0, folds)
    assert counted(x.mean(**over), reductions.mean, x, axis) == Tally(0, folds, rows)
    assert counted(x.prod(**over), reductions.multiplied, x, axis) == Tally(folds)
    assert counted(x.amax(**over), reductions.greatest, x, axis) == Tally(comparisons=folds)
    assert counted(x.amin(**over), reductions.least, x, axis) == Tally(comparisons=folds)


@pytest.mark.parametrize(("shape", "axis"), [case for case in SHAPES if case[0] != (5, 1)])
@pytest.mark.parametrize("correction", [0, 1, 2])
def test_variance(shape, axis, correction):
    x = normal(*shape)
    rows, n = rows_of(x, axis)
    # mean n-1 add 1 div; n differences; n squares; n-1 add 1 div
    expected = Tally(rows * n, rows * (3 * n - 2), rows * 2)
    options = {"correction": correction}
    assert counted(torch.var(x, axis, **options), reductions.variance, x, axis, **options) == expected
    expected.transcendentals = rows
    assert counted(torch.std(x, axis, **options), reductions.standard_deviation, x, axis, **options) == expected


def test_the_variance_of_one_element_is_not_a_number():
    x = normal(2, 1)
    with pytest.warns(UserWarning, match="degrees of freedom"):
        expected = x.var(1)
    assert counted(expected, reductions.variance, x, 1) == Tally(2, 2, 4)


NORMS = {
    1: lambda n: Tally(0, n - 1),
    2: lambda n: Tally(n, n - 1, transcendentals=1),
    3: lambda n: Tally(0, n - 1, transcendentals=n + 1),
    0.5: lambda n: Tally(0, n - 1, transcendentals=n + 1),
    math.inf: lambda n: Tally(comparisons=n - 1),
    -math.inf: lambda n: Tally(comparisons=n - 1),
}


def times(number: int, one: Tally, **more: int) -> Tally:
    figures = {name: number * (value + more.get(name, 0)) for name, value in one.figures().items()}
    return Tally(**figures)


@pytest.mark.parametrize("p", NORMS)
def test_norms_and_what_is_made_of_them(p):
    x = normal(3, 4)
    one = NORMS[p](4)
    assert counted(torch.linalg.vector_norm(x, p, 1), reductions.norm, x, 1, p=p) == times(3, one)
    assert counted(torch.linalg.vector_norm(x, p), reductions.norm, x, p=p) == NORMS[p](12)
    expected = F.normalize(x, p, 1)
    assert counted(expected, reductions.normalize, x, p=p) == times(3, one, comparisons=1, divisions=4)
    y = normal(3, 4)
    expected = F.pairwise_distance(x, y, p)
    assert counted(expected, distance.pairwise_distance, x, y, p=p) == times(3, one, additions=8)
    if p > 0:
        z = normal(2, 4)
        assert counted(torch.cdist(x, z, p), distance.cdist, x, z, p=p) == times(6, one, additions=4)


def test_distances_of_batches():
    x, y = normal(2, 3, 4), normal(2, 2, 4)
    assert counted(torch.cdist(x, y), distance.cdist, x, y) == times(12, NORMS[2](4), additions=4)


@pytest.mark.parametrize(("first", "second", "axis"), [((3, 4), (3, 4), 1), ((2, 5, 3), (2, 5, 3), 1), ((4,), (4,), 0)])
def test_cosine_similarity(first, second, axis):
    x, y = normal(*first), normal(*second)
    expected = F.cosine_similarity(x, y, axis)
    rows, d = expected.numel(), first[axis]
    spent = counted(expected, distance.cosine_similarity, x, y, axis)
    assert spent == Tally(rows * (3 * d + 1), rows * 3 * (d - 1), rows, rows * 2, rows * 2)


@pytest.mark.parametrize("axis", [0, 1])
def test_running_reductions(axis):
    x = normal(3, 4)
    operations = 8 if axis == 0 else 9
    assert counted(x.cumsum(axis), reductions.cumsum, x, axis) == Tally(0, operations)
    assert counted(x.cumprod(axis), reductions.cumprod, x, axis) == Tally(operations)
    assert counted(x.cummax(axis).values, reductions.cummax, x, axis) == Tally(comparisons=operations)
