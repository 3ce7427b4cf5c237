"""Pooling: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn import functional as F

from tests.reference import pooling
from tests.reference.checking import counted
from tests.reference.machine import Tally

AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
LP = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
ADAPTIVE_AVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@st.composite
def windows(draw, *, dilated: bool = False):
    """A small image, a kernel and options that fit it."""
    axes = draw(st.integers(1, 3))

    def lengths(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    kernel, options = lengths(1, 3), {"stride": lengths(1, 3), "ceil_mode": draw(st.booleans())}
    options["padding"] = tuple(draw(st.integers(0, length // 2)) for length in kernel)
    gaps = lengths(1, 2) if dilated else (1,) * axes
    if dilated:
        options["dilation"] = gaps
    least = [gap * (length - 1) + 1 for gap, length in zip(gaps, kernel, strict=True)]
    sizes = [size + draw(st.integers(0, 5 - axes)) for size in least]
    lead = draw(st.sampled_from([(1,), (2,), (1, 2)]))
    return normal(*lead, *sizes), kernel, options


def real_taps(image, kernel, output, *, stride, padding, dilation=None, **_):
    """How many real elements the window of every output holds: ones, zeros around them, a kernel of ones."""
    axes = len(kernel)
    ones = torch.ones(1, 1, *image.shape[-axes:], dtype=torch.float64)
    around = [side for left in reversed(padding) for side in (left, left + 9)]
    taps = CONV[axes](F.pad(ones, around), torch.ones(1, 1, *kernel).double(), stride=stride, dilation=dilation or 1)
    kept = taps[(0, 0, *(slice(size) for size in output.shape[-axes:]))]
    return kept.expand(output.shape)


def folds(taps: torch.Tensor) -> int:
    """The operations that fold every window into one value."""
    return int((taps - 1).clamp(min=0).sum())


@given(windows(), st.booleans(), st.sampled_from([None, 3]))
def test_avg_pool(case, count_include_pad, divisor):
    image, kernel, options = case
    further = {"count_include_pad": count_include_pad}
    if len(kernel) > 1:
        further["divisor_override"] = divisor
    expected = AVG[len(kernel)](image, kernel, **options, **further)
    taps = real_taps(image, kernel, expected, **options)
    spent = counted(expected, pooling.avg_pool, image, kernel, **options, **further)
    assert spent == Tally(additions=folds(taps), divisions=expected.numel())


@given(windows(dilated=True))
def test_max_pool(case):
    image, kernel, options = case
    expected = MAX[len(kernel)](image, kernel, **options)
    taps = real_taps(image, kernel, expected, **options)
    assert counted(expected, pooling.max_pool, image, kernel, **options) == Tally(comparisons=folds(taps))


def test_pools_by_hand():
    image = normal(1, 2, 4, 4)
    assert counted(F.avg_pool2d(image, 2), pooling.avg_pool, image, (2, 2)) == Tally(additions=24, divisions=8)
    assert counted(F.max_pool2d(image, 2), pooling.max_pool, image, (2, 2)) == Tally(comparisons=24)
    # one row of 5 by twos with ceil_mode: windows of 2, 2 and 1
    line = normal(1, 1, 5)
    options = {"stride": 2, "ceil_mode": True}
    expected = F.avg_pool1d(line, 2, **options)
    assert counted(expected, pooling.avg_pool, line, (2,), **options) == Tally(additions=2, divisions=3)
    # padding is not read: a 3x3 window holds 4 or 6 real elements at the rim of a 3x3 image, 9 in its middle
    options = {"stride": 1, "padding": 1}
    image = normal(1, 1, 3, 3)
    expected = F.avg_pool2d(image, 3, **options)
    spent = counted(expected, pooling.avg_pool, image, (3, 3), **options)
    assert spent == Tally(additions=4 * 3 + 4 * 5 + 8, divisions=9)


@given(st.integers(1, 3), st.sampled_from([(1,), (2,), (1, 2)]), st.data())
def test_adaptive_pools(axes, lead, data):
    longest = {1: 8, 2: 6, 3: 4}[axes]
    sizes = data.draw(st.tuples(*[st.integers(1, longest)] * axes))
    outputs = st.integers(1, longest) if axes == 1 else st.one_of(st.none(), st.integers(1, longest))
    wanted = data.draw(st.tuples(*[outputs] * axes))
    image = normal(*lead, *sizes)
    average, greatest = (table[len(sizes)](image, wanted) for table in (ADAPTIVE_AVG, ADAPTIVE_MAX))
    taps = torch.ones_like(average)
    for axis, out in enumerate(average.shape[-len(sizes) :]):
        size = sizes[axis]
        lengths = [math.ceil((i + 1) * size / out) - math.floor(i * size / out) for i in range(out)]
        shape = [-1 if other == axis else 1 for other in range(len(sizes))]
        taps = taps * torch.tensor(lengths, dtype=torch.float64).reshape(shape)
    spent = counted(average, pooling.adaptive_avg_pool, image, wanted)
    assert spent == Tally(additions=folds(taps), divisions=average.numel())
    assert counted(greatest, pooling.adaptive_max_pool, image, wanted) == Tally(comparisons=folds(taps))


def test_adaptive_windows_by_hand():
    line = normal(1, 1, 7)
    # 7 into 3: windows [0, 3), [2, 5), [4, 7)
    assert counted(F.adaptive_avg_pool1d(line, 3), pooling.adaptive_avg_pool, line, (3,)) == Tally(
        additions=6, divisions=3
    )


MAXIMUM_NORM = [math.inf] if F.lp_pool1d(torch.full((1, 1, 1), 2.0), math.inf, 1).item() == 2 else []
"""Older releases of PyTorch raise to an infinite power there, which gives 1 or nothing."""


@given(windows(), st.sampled_from([1, 2, 3, 2.5, *MAXIMUM_NORM]))
def test_lp_pool(case, norm):
    image, kernel, options = case
    image = image.abs()
    options = {"stride": options["stride"], "padding": (0,) * len(kernel), "ceil_mode": options["ceil_mode"]}
    window, stride = (kernel[0], options["stride"][0]) if len(kernel) == 1 else (kernel, options["stride"])
    expected = LP[len(kernel)](image, norm, window, stride, options["ceil_mode"])
    taps = real_taps(image, kernel, expected, **options)
    # where a window is clipped PyTorch scales its mean by the whole kernel; the definition is the sum of what is there
    if norm != math.inf:
        expected = expected * (taps / math.prod(kernel)) ** (1 / norm)
    options.pop("padding")
    spent = counted(expected, pooling.lp_pool, image, kernel, norm_type=norm, **options)
    roots, elements = expected.numel(), image.numel()
    assert (
        spent
        == {
            1: Tally(additions=folds(taps)),
            2: Tally(multiplications=elements, additions=folds(taps), transcendentals=roots),
            3: Tally(multiplications=2 * elements, additions=folds(taps), transcendentals=roots),
            2.5: Tally(additions=folds(taps), transcendentals=elements + roots),
            math.inf: Tally(comparisons=folds(taps)),
        }[norm]
    )


@pytest.mark.parametrize(("sizes", "kernel", "wanted"), [((7, 6), (2, 3), (4, 3)), ((5, 5), (2, 2), (1, 4))])
def test_fractional_max_pool(sizes, kernel, wanted):
    image, samples = normal(2, 2, *sizes), torch.rand(2, 2, 2, dtype=torch.float64)
    expected = F.fractional_max_pool2d(image, kernel, wanted, _random_samples=samples)
    # PyTorch's samples run from the last axis to the first
    starts = samples.flip(-1).tolist()
    spent = counted(expected, pooling.fractional_max_pool, image, kernel, output_size=wanted, samples=starts)
    assert spent == Tally(comparisons=expected.numel() * (math.prod(kernel) - 1))


def test_fractional_max_pool_3d():
    image, samples = normal(1, 2, 5, 5, 4), torch.rand(1, 2, 3, dtype=torch.float64)
    expected = F.fractional_max_pool3d(image, 2, (3, 2, 2), _random_samples=samples)
    spent = counted(
        expected, pooling.fractional_max_pool, image, (2, 2, 2), output_size=(3, 2, 2), samples=samples.tolist()
    )
    assert spent == Tally(comparisons=24 * 7)
