"""Interpolation, grid sampling, fold: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import assume, given, strategies as st
from torch.nn import functional as F

from tests.reference import resampling
from tests.reference.checking import counted
from tests.reference.machine import Tally

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("wanted", [(3,), (7, 2), (2, 5, 4), (1, 3)])
def test_nearest_costs_nothing(wanted):
    image = normal(2, 2, *(4, 3, 2)[: len(wanted)])
    expected = F.interpolate(image, wanted, mode="nearest")
    assert counted(expected, resampling.nearest, image, wanted) == Tally()
    exact = F.interpolate(image, wanted, mode="nearest-exact")
    assert counted(exact, resampling.nearest, image, wanted, exact=True) == Tally()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("sizes", "wanted"), [((4,), (7,)), ((5, 3), (2, 6)), ((3, 1), (1, 4)), ((2, 3, 4), (3, 5, 2))]
)
def test_linear_interpolation(sizes, wanted, align_corners):
    image, axes = normal(1, 2, *sizes), len(sizes)
    expected = F.interpolate(image, wanted, mode=MODES[axes], align_corners=align_corners)
    spent = counted(expected, resampling.interpolate, image, wanted, align_corners=align_corners)
    mul, add = {1: (2, 1), 2: (4, 3), 3: (8, 7)}[axes]
    assert spent == Tally(expected.numel() * mul, expected.numel() * add)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("sizes", "wanted"), [((4, 5), (7, 3)), ((2, 3), (5, 1))])
def test_bicubic_interpolation(sizes, wanted, align_corners):
    image = normal(1, 2, *sizes)
    expected = F.interpolate(image, wanted, mode="bicubic", align_corners=align_corners)
    spent = counted(expected, resampling.interpolate, image, wanted, cubic=True, align_corners=align_corners)
    assert spent == Tally(expected.numel() * 16, expected.numel() * 15)


def test_interpolation_by_a_scale_factor():
    image = normal(1, 1, 5, 4)
    expected = F.interpolate(image, scale_factor=(1.7, 0.6), mode="bilinear")
    spent = counted(expected, resampling.interpolate, image, expected.shape[2:], steps=(1 / 1.7, 1 / 0.6))
    assert spent == Tally(expected.numel() * 4, expected.numel() * 3)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("sizes", "places"), [((3, 4), (2, 3)), ((1, 2), (2, 2)), ((2, 3, 4), (2, 1, 3))])
def test_grid_sample(sizes, places, channels, align_corners):
    axes = len(sizes)
    image = normal(2, channels, *sizes)
    grid = torch.rand(2, *places, axes, dtype=torch.float64) * 2.6 - 1.3  # some of it outside
    expected = F.grid_sample(image, grid, align_corners=align_corners)
    spent = counted(expected, resampling.grid_sample, image, grid, align_corners=align_corners)
    locations, corners = 2 * prod(places), 2**axes
    corner_weights = {2: 4, 3: 16}[axes]
    assert spent == Tally(
        multiplications=locations * (axes + corner_weights + channels * corners),
        additions=locations * (3 * axes + channels * (corners - 1)),
    )


@given(st.data())
def test_fold(data):
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = data.draw(pair), data.draw(pair), data.draw(pair)
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    sizes = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    reach = [gap * (length - 1) + 1 for gap, length in zip(dilation, kernel)]
    assume(all(size + 2 * around >= long for size, around, long in zip(sizes, padding, reach)))
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    columns = torch.randn_like(F.unfold(normal(2, 2, *sizes), kernel, **options))
    expected = F.fold(columns, sizes, kernel, **options)
    # the positions reached before cropping, seen by folding ones over the whole padded output
    whole = [size + 2 * around for size, around in zip(sizes, padding)]
    reached = F.fold(torch.ones_like(columns), whole, kernel, stride=stride, dilation=dilation) > 0
    spent = counted(expected, resampling.fold, columns, sizes, kernel, **options)
    assert spent == Tally(0, columns.numel() - int(reached.sum()))


def test_fold_by_hand():
    # two windows of 2 in a row of 3 overlap in its middle
    columns = normal(1, 2, 2)
    assert counted(F.fold(columns, (1, 3), (1, 2)), resampling.fold, columns, (1, 3), (1, 2)) == Tally(0, 1)
