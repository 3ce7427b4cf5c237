"""Linear, bilinear, matmul, einsum and FFT: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

from math import log2

import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn import functional as F

from tests.reference import linear
from tests.reference.checking import counted
from tests.reference.machine import Tally


def normal(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype)


@given(st.lists(st.integers(0, 3), max_size=3), st.integers(0, 5), st.integers(1, 4), st.booleans())
def test_linear(lead, features, outputs, with_bias):
    inputs, weight, bias = normal(*lead, features), normal(outputs, features), normal(outputs) if with_bias else None
    expected = F.linear(inputs, weight, bias)
    number = expected.numel()
    spent = counted(expected, linear.linear, inputs, weight, bias)
    additions = number * max(features - 1, 0) + (number if with_bias else 0)
    assert spent == Tally(multiplications=number * features, additions=additions, macs=number * features)


def test_linear_by_hand():
    x, w, b = normal(2, 3), normal(4, 3), normal(4)
    assert counted(F.linear(x, w, b), linear.linear, x, w, b) == Tally(24, 24, macs=24)
    assert counted(F.linear(x, w), linear.linear, x, w) == Tally(24, 16, macs=24)
    assert counted(F.linear(x, w[0]), linear.linear, x, w[0]) == Tally(6, 4, macs=6)


def test_complex_linear():
    x, w, b = (normal(*shape, dtype=torch.complex128) for shape in [(2, 3), (4, 3), (4,)])
    # 8 outputs: 4 products of 3 numbers, 4·3 - 2 sums, and 2 for the bias
    assert counted(F.linear(x, w, b), linear.linear, x, w, b) == Tally(96, 80 + 16, macs=96)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_bilinear(lead):
    first, second, weight, bias = normal(*lead, 3), normal(*lead, 4), normal(5, 3, 4), normal(5)
    expected = F.bilinear(first, second, weight, bias)
    number = expected.numel()
    products, additions = number * (4 * 3 + 4), number * (4 * 2 + 3)
    assert counted(expected, linear.bilinear, first, second, weight, bias) == Tally(
        products, additions + number, macs=products
    )
    assert counted(F.bilinear(first, second, weight), linear.bilinear, first, second, weight) == Tally(
        products, additions, macs=products
    )


@pytest.mark.parametrize(
    ("first", "second", "outputs", "length"),
    [
        ((3,), (3,), 1, 3),
        ((2, 3), (3,), 2, 3),
        ((3,), (3, 4), 4, 3),
        ((2, 3), (3, 4), 8, 3),
        ((5, 2, 3), (5, 3, 4), 40, 3),
        ((5, 2, 3), (3, 4), 40, 3),
        ((5, 1, 2, 3), (2, 3, 1), 20, 3),
        ((5, 2, 3), (3,), 10, 3),
        ((3,), (5, 3, 2), 10, 3),
        ((2, 1), (1, 2), 4, 1),
        ((2, 0), (0, 2), 4, 0),
    ],
)
def test_matmul(first, second, outputs, length):
    a, b = normal(*first), normal(*second)
    spent = counted(torch.matmul(a, b), linear.matmul, a, b)
    products = outputs * length
    assert spent == Tally(products, outputs * max(length - 1, 0), macs=products)


@pytest.mark.parametrize(
    ("beta", "alpha", "extra"),
    [(1, 1, Tally(0, 8)), (0, 1, Tally()), (0.5, 1, Tally(8, 8)), (1, 2.0, Tally(8, 8)), (0.5, 2.0, Tally(16, 8))],
)
def test_addmm(beta, alpha, extra):
    added, a, b = normal(4), normal(2, 3), normal(3, 4)
    expected = torch.addmm(added, a, b, beta=beta, alpha=alpha)
    spent = counted(expected, linear.add_matmul, added, a, b, beta=beta, alpha=alpha)
    assert spent == Tally(24 + extra.multiplications, 16 + extra.additions, macs=24)


def test_outer_is_products_and_not_macs():
    a, b = normal(3), normal(4)
    assert counted(torch.outer(a, b), linear.outer, a, b) == Tally(12)


@pytest.mark.parametrize(
    ("equation", "shapes", "spent"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], Tally(24, 16, macs=24)),
        ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)], Tally(24, 16, macs=24)),
        ("ij,kj", [(2, 3), (4, 3)], Tally(24, 16, macs=24)),
        ("i,j->ij", [(2,), (3,)], Tally(6)),
        ("i,i->i", [(3,), (3,)], Tally(3)),
        ("i,i->", [(3,), (3,)], Tally(3, 2, macs=3)),
        ("ij,jk->ik", [(2, 1), (1, 4)], Tally(8, 0, macs=8)),
        ("ij->i", [(2, 3)], Tally(0, 4)),
        ("ij->ji", [(2, 3)], Tally()),
        ("ii->", [(3, 3)], Tally(0, 2)),
        ("ii->i", [(3, 3)], Tally()),
        # k is one operand's own: 2·3 rows of 4 summed first (18 additions), then 2·1 dots of 3
        ("ijk,j->i", [(2, 3, 4), (3,)], Tally(6, 18 + 4, macs=6)),
        ("ij,kl->", [(2, 3), (2, 2)], Tally(1, 5 + 3)),
        # left to right: (2x3)(3x4), then (2x4)(4x2)
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)], Tally(24 + 16, 16 + 12, macs=40)),
        # i is still needed, so the first step is products; then i and j go
        ("i,j,ij->", [(2,), (3,), (2, 3)], Tally(6 + 6, 5, macs=6)),
        ("...ij,...jk->...ik", [(2, 2, 3), (3, 2)], Tally(24, 16, macs=24)),
        ("...i,...i", [(2, 3), (2, 3)], Tally(6, 4, macs=6)),
        ("bhqd,bhkd->bhqk", [(1, 2, 3, 4), (1, 2, 2, 4)], Tally(48, 36, macs=48)),
    ],
)
def test_einsum(equation, shapes, spent):
    operands = [normal(*shape) for shape in shapes]
    assert counted(torch.einsum(equation, *operands), linear.einsum, equation, *operands) == spent


@pytest.mark.parametrize("points", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("normalised", [False, True])
def test_fft(points, normalised):
    signal = normal(points, dtype=torch.complex128)
    expected = torch.fft.fft(signal, norm="ortho" if normalised else "backward")
    stages = int(log2(points))
    assert counted(expected, linear.fft, signal, normalised=normalised) == Tally(
        2 * points * stages, 3 * points * stages, divisions=2 * points if normalised else 0
    )
