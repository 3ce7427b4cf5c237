"""Operators against textbook loops that count their own arithmetic: the same values, and all six figures."""

from __future__ import annotations

import math
from string import ascii_lowercase

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings, strategies as st

from tests.agreement import normal, running
from tests.calling import cost
from tests.reference import activation, count, distance, linear, reductions, resampling, softmax
from tests.reference.checking import same

SIZES = st.lists(st.integers(1, 3), min_size=1, max_size=3)
NORMS = st.sampled_from([1.0, 2.0, 3.0, 0.5, math.inf, -math.inf])
SCALARS = st.sampled_from([0, 1, 2.5])


def agree(function, loop, *inputs, **options):
    """The operator computes what the loops compute, and is counted as they count."""
    values, _ = count(loop, *inputs, **options)
    same(values, function(*inputs))
    assert cost(function, *inputs) == running(loop, *inputs, **options)


@st.composite
def broadcast_pairs(draw, lowest=0):
    """Two shapes that broadcast."""
    whole = draw(st.lists(st.integers(1, 3), min_size=max(lowest, 1), max_size=3))
    one = [size if draw(st.booleans()) else 1 for size in whole]
    other = [size if taken != size or draw(st.booleans()) else 1 for size, taken in zip(whole, one)]
    return one[draw(st.integers(0, len(one) - lowest)) :], other


@given(broadcast_pairs(), SCALARS)
def test_arithmetic_broadcasts(shapes, scalar):
    x, y = normal(*shapes[0]), normal(*shapes[1])
    z = normal(*torch.broadcast_shapes(*shapes))
    agree(lambda a, b: torch.add(a, b, alpha=scalar), activation.add, x, y, alpha=scalar)
    assert cost(lambda a, b: torch.sub(a, b, alpha=scalar), x, y) == running(activation.add, x, y, alpha=scalar)
    agree(torch.mul, activation.multiply, x, y)
    agree(torch.div, activation.divide, x, y)
    agree(torch.lerp, activation.lerp, z, z + 1, z)
    agree(lambda a, b, c: torch.addcmul(a, b, c, value=scalar), activation.addcmul, z, x, y, value=scalar)
    agree(lambda a, b, c: torch.addcdiv(a, b, c, value=scalar), activation.addcdiv, z, x, y, value=scalar)
    agree(torch.floor_divide, activation.floor_divide, x, y)
    agree(torch.remainder, activation.remainder, x, y)


@given(SIZES, st.sampled_from([{"low": -0.5}, {"high": 0.5}, {"low": -0.5, "high": 0.5}]))
def test_clamp(sizes, bounds):
    agree(lambda x: torch.clamp(x, bounds.get("low"), bounds.get("high")), activation.clamp, normal(*sizes), **bounds)


@given(broadcast_pairs())
def test_complex_arithmetic(shapes):
    kinds = torch.float64, torch.complex128
    for left in kinds:
        for right in kinds:
            x, y = torch.randn(shapes[0], dtype=left), torch.randn(shapes[1], dtype=right)
            agree(torch.mul, activation.multiply, x, y)
            agree(torch.add, activation.add, x, y)
            if not (right.is_complex and not left.is_complex):
                agree(torch.div, activation.divide, x, y)
    z = torch.randn(shapes[0], dtype=torch.complex128)
    agree(torch.abs, activation.absolute, z)
    agree(lambda x: x * 2.0, lambda x: activation.elementwise(lambda a: a * 2.0)(x), z)
    agree(lambda x: x / 2.0, lambda x: activation.elementwise(lambda a: a / 2.0)(x), z)
    agree(lambda a, b: torch.add(a, b, alpha=2), activation.add, z, z, alpha=2)
    agree(lambda a, b: torch.lerp(a, b, 0.25), lambda a, b: activation.lerp(a, b, 0.25), z, z + 1)


@given(SIZES, st.data())
def test_reductions(sizes, data):
    axis = data.draw(st.integers(0, len(sizes) - 1))
    x = normal(*sizes)
    agree(lambda x: x.sum(axis), reductions.summed, x, axis=axis)
    agree(lambda x: x.mean(axis), reductions.mean, x, axis=axis)
    agree(lambda x: x.prod(axis), reductions.multiplied, x, axis=axis)
    agree(lambda x: x.amax(axis), reductions.greatest, x, axis=axis)
    agree(lambda x: x.min(axis).values, reductions.least, x, axis=axis)
    agree(lambda x: x.sum(), reductions.summed, x)
    agree(lambda x: x.max(), reductions.greatest, x)
    agree(lambda x: x.cumsum(axis), reductions.cumsum, x, axis=axis)
    agree(lambda x: x.cumprod(axis), reductions.cumprod, x, axis=axis)
    agree(lambda x: x.cummax(axis).values, reductions.cummax, x, axis=axis)
    agree(lambda x: torch.logsumexp(x, axis), softmax.logsumexp, x, axis=axis)
    agree(lambda x: x.softmax(axis), softmax.softmax, x, axis=axis)
    agree(lambda x: x.log_softmax(axis), softmax.log_softmax, x, axis=axis)
    agree(lambda x: F.softmin(x, axis), softmax.softmin, x, axis=axis)


@given(SIZES, st.data(), st.sampled_from([0, 1]))
def test_variances(sizes, data, correction):
    axis = data.draw(st.integers(0, len(sizes) - 1))
    assume(sizes[axis] > 1)
    x = normal(*sizes)
    agree(lambda x: x.var(axis, correction=correction), reductions.variance, x, axis=axis, correction=correction)
    agree(
        lambda x: x.std(axis, correction=correction), reductions.standard_deviation, x, axis=axis, correction=correction
    )
    agree(lambda x: x.std(), reductions.standard_deviation, x)
    pair = cost(lambda x: torch.var_mean(x, axis, correction=correction), x)
    assert pair == running(reductions.variance, x, axis=axis, correction=correction)


@given(SIZES, st.data(), NORMS)
def test_norms(sizes, data, p):
    axis = data.draw(st.integers(0, len(sizes) - 1))
    x = normal(*sizes)
    agree(lambda x: torch.linalg.vector_norm(x, p, axis), reductions.norm, x, axis=axis, p=p)
    agree(lambda x: torch.norm(x, p), reductions.norm, x, p=p)
    agree(lambda x: F.normalize(x, p, axis), reductions.normalize, x, axis=axis, p=p)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1.0, 2.0, 3.0, math.inf]))
def test_distances(rows, others, width, p):
    agree(lambda x, y: torch.cdist(x, y, p), distance.cdist, normal(2, rows, width), normal(others, width), p=p)
    agree(
        lambda x, y: F.pairwise_distance(x, y, p), distance.pairwise_distance, normal(rows, width), normal(width), p=p
    )
    agree(F.cosine_similarity, distance.cosine_similarity, normal(rows, width), normal(1, width))


@st.composite
def factors(draw):
    """Shapes that torch.matmul takes: vectors, matrices, batches of them that broadcast."""
    inner = draw(st.integers(1, 3))
    batches = draw(broadcast_pairs())
    left = [inner] if draw(st.booleans()) else [*batches[0], draw(st.integers(1, 3)), inner]
    right = [inner] if draw(st.booleans()) else [*batches[1], inner, draw(st.integers(1, 3))]
    return left, right


@given(factors(), st.sampled_from([torch.float64, torch.complex128]))
def test_matmul(shapes, dtype):
    agree(torch.matmul, linear.matmul, *(torch.randn(shape, dtype=dtype) for shape in shapes))


@given(st.tuples(*[st.integers(1, 3)] * 4), st.sampled_from([1, 2.5]), SCALARS)
def test_added_matmul(sizes, alpha, beta):
    batch, rows, inner, columns = sizes
    scalars = {"alpha": alpha, "beta": beta}
    left, right = normal(rows, inner), normal(inner, columns)
    agree(lambda a, b, c: torch.addmm(a, b, c, **scalars), linear.add_matmul, normal(columns), left, right, **scalars)
    agree(
        lambda a, b, c: torch.addmv(a, b, c, **scalars), linear.add_matmul, normal(rows), left, normal(inner), **scalars
    )
    batched = normal(batch, rows, columns), normal(batch, rows, inner), normal(batch, inner, columns)
    agree(lambda a, b, c: torch.baddbmm(a, b, c, **scalars), linear.add_matmul, *batched, **scalars)


def test_outer_products_contract_nothing():
    x, y = normal(3), normal(4)
    agree(torch.outer, linear.outer, x, y)
    assert cost(torch.outer, x, y).macs == 0


@st.composite
def equations(draw):
    """An equation of einsum with shapes: repeated and size-1 indices, an ellipsis, an explicit output or none."""
    letters = ascii_lowercase[: draw(st.integers(1, 4))]
    sizes = {letter: draw(st.integers(1, 3)) for letter in letters}
    dots = draw(st.lists(st.integers(1, 2), max_size=2)) if draw(st.booleans()) else None
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        term = draw(st.lists(st.sampled_from(letters), min_size=1, max_size=3))
        once = draw(st.sets(st.sampled_from(letters), max_size=1))  # of length 1 here, broadcast
        shape = [1 if letter in once else sizes[letter] for letter in term]
        if dots is not None and draw(st.booleans()):
            place = draw(st.integers(0, len(term)))
            shown = dots[draw(st.integers(0, len(dots))) :]
            shape[place:place] = shown
            term.insert(place, "...")
        terms.append("".join(term))
        shapes.append(shape)
    equation = ",".join(terms)
    if draw(st.booleans()):
        there = sorted(set("".join(terms).replace(".", "")))
        output = draw(st.lists(st.sampled_from(there), unique=True))
        equation += "->" + ("..." if "..." in equation else "") + "".join(output)
    return equation, shapes


@settings(max_examples=200)
@given(equations())
def test_einsum(case):
    equation, shapes = case
    operands = tuple(normal(*shape) for shape in shapes)
    try:
        torch.einsum(equation, *operands)
    except RuntimeError:  # two sizes of one index that do not broadcast
        assume(False)
    agree(
        lambda *operands: torch.einsum(equation, *operands),
        lambda *operands: linear.einsum(equation, *operands),
        *operands,
    )


def test_einsum_of_lists_is_einsum_of_letters():
    x, y = normal(2, 3, 4), normal(2, 4, 5)
    by_lists = cost(lambda x, y: torch.einsum(x, [0, 1, 2], y, [0, 2, 3], [0, 1, 3]), x, y)
    assert by_lists == cost(lambda x, y: torch.einsum("bij,bjk->bik", x, y), x, y)
    dotted = cost(lambda x, y: torch.einsum(x, [..., 1, 2], y, [..., 2, 3]), x, y)
    assert dotted == by_lists


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("sizes", [(3, 4), (2, 3, 4)])
def test_grid_sample(sizes, align_corners):
    grid = torch.rand(2, *(2,) * len(sizes), len(sizes), dtype=torch.float64) * 2.6 - 1.3
    image = normal(2, 3, *sizes)
    agree(
        lambda image, grid: F.grid_sample(image, grid, align_corners=align_corners),
        resampling.grid_sample,
        image,
        grid,
        align_corners=align_corners,
    )


@pytest.mark.parametrize(("mode", "sizes"), [("linear", (4,)), ("bilinear", (3, 4)), ("trilinear", (2, 3, 2))])
def test_interpolate(mode, sizes):
    into = tuple(size + 1 for size in sizes)
    agree(lambda x: F.interpolate(x, into, mode=mode), resampling.interpolate, normal(2, 2, *sizes), output_size=into)
    assert not cost(lambda x: F.interpolate(x, into), normal(2, 2, *sizes))


def test_interpolate_bicubic():
    agree(
        lambda x: F.interpolate(x, (5, 2), mode="bicubic"),
        resampling.interpolate,
        normal(2, 2, 3, 4),
        output_size=(5, 2),
        cubic=True,
    )


@given(st.tuples(*[st.integers(1, 3)] * 6), st.integers(0, 1))
def test_fold(numbers, padding):
    kernel, stride, dilation = numbers[:2], numbers[2:4], numbers[4:]
    options = {"stride": stride, "dilation": dilation, "padding": padding}
    columns = torch.randn_like(F.unfold(normal(1, 2, 7, 8), kernel, **options))
    agree(
        lambda x: F.fold(x, (7, 8), kernel, **options),
        resampling.fold,
        columns,
        output_size=(7, 8),
        kernel=kernel,
        **options,
    )


@pytest.mark.parametrize("norm", [None, "ortho"])
def test_fourier_transforms(norm):
    x = torch.randn(8, dtype=torch.complex128)
    agree(lambda x: torch.fft.fft(x, norm=norm), linear.fft, x, normalised=norm is not None)
