"""The closed forms on ints and on symbols, and their geometry against counting one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy
from hypothesis import given, strategies as st

from opcount import Convention, OpCount, Term
from opcount.errors import RuleError
from opcount.formulas import FORMULAS, evaluate, formula
from opcount.formulas.arithmetic import (
    adaptive_windows,
    ceil_log2,
    distinct_sums,
    floor_sum,
    greatest_common_divisor,
    reached_outputs,
    real_taps,
)
from opcount.formulas.contraction import convolution, transposed_convolution
from opcount.formulas.pooling import adaptive_average_pool, average_pool, max_pool
from opcount.ops import FIGURES

small = st.integers(0, 9)
positive = st.integers(1, 6)


@given(st.integers(0, 30), st.integers(1, 12), st.integers(-40, 40), st.integers(-60, 60))
def test_floor_sum(terms: int, modulus: int, step: int, start: int) -> None:
    assert floor_sum(terms, modulus, step, start) == sum((start + step * i) // modulus for i in range(terms))


@given(small, small, positive, positive, small, positive)
def test_clipped_windows(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    windows = [
        sum(0 <= output * stride - padding + tap * dilation < inputs for tap in range(kernel))
        for output in range(outputs)
    ]
    axis = (inputs, outputs, kernel, stride, padding, dilation)
    assert real_taps(*axis) == sum(windows)
    assert reached_outputs(*axis) == sum(window > 0 for window in windows)


@given(small, positive, positive, positive)
def test_positions_of_a_transposed_convolution(inputs: int, kernel: int, stride: int, dilation: int) -> None:
    written = {i * stride + k * dilation for i in range(inputs) for k in range(kernel)}
    assert distinct_sums(inputs, kernel, stride, dilation) == len(written)


@given(st.integers(1, 40), st.integers(1, 40))
def test_adaptive_windows(inputs: int, outputs: int) -> None:
    windows = (-(-(i + 1) * inputs // outputs) - i * inputs // outputs for i in range(outputs))
    assert adaptive_windows(inputs, outputs) == sum(windows)


@given(st.integers(1, 10**6))
def test_ceil_log2(number: int) -> None:
    assert 2 ** ceil_log2(number) >= number > 2 ** (ceil_log2(number) - 1) - (number == 1)


h = sympy.Symbol("h", integer=True, positive=True)


def _convolution(size: Any, output: Any, **options: Any) -> OpCount:
    return convolution(2, 4, 6, 2, (3, 3), (size, 8), (output, 8), (2, 1), (1, 1), (1, 1), **options)


@pytest.mark.parametrize(
    ("symbolic", "numeric"),
    [
        (_convolution(2 * h, h), lambda n: _convolution(2 * n, n)),
        (_convolution(2 * h, h, zero_padding=False), lambda n: _convolution(2 * n, n, zero_padding=False)),
        (
            transposed_convolution(h, 4, 6, 2, (3,), (5 * h,), (2,), (1,)),
            lambda n: transposed_convolution(n, 4, 6, 2, (3,), (5 * n,), (2,), (1,)),
        ),
        (
            average_pool(h, (3,), (4 * h + 1,), (2 * h + 1,), (2,), (1,)),
            lambda n: average_pool(n, (3,), (4 * n + 1,), (2 * n + 1,), (2,), (1,)),
        ),
        (
            max_pool(1, (2,), (2 * h + 1,), (h,), (2,), (0,), (1,)),
            lambda n: max_pool(1, (2,), (2 * n + 1,), (n,), (2,), (0,), (1,)),
        ),
        (adaptive_average_pool(1, (7 * h + 3,), (7,)), lambda n: adaptive_average_pool(1, (7 * n + 3,), (7,))),
    ],
)
def test_formulas_on_symbols(symbolic: OpCount, numeric: Callable[[int], OpCount]) -> None:
    """One expression for a whole residue class, equal to the count at sizes of that class."""
    for n in (1, 2, 5, 1_000):
        for figure in FIGURES:
            assert sympy.sympify(getattr(symbolic, figure)).subs(h, n) == getattr(numeric(n), figure)
    assert not sympy.sympify(symbolic.additions).has(sympy.floor, sympy.Min, sympy.Max)


def test_symbols_outside_one_residue_class_are_refused() -> None:
    with pytest.raises(RuleError, match=r"write it as 7\*n \+ r"):
        greatest_common_divisor(3 * h, 7)
    assert greatest_common_divisor(h, h) == h


def test_every_formula_says_what_it_counts() -> None:
    assert all(closed_form.function.__doc__ for closed_form in FORMULAS.values())


def test_unknown_formula_names_the_nearest() -> None:
    with pytest.raises(RuleError, match="did you mean dots"):
        evaluate(Term("dotz", count=1, length=2))


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(RuleError, match=r"dots\(count=1\)"):
        evaluate(Term("dots", count=1))


def test_a_formula_defined_twice_is_an_error_that_names_the_first() -> None:
    def dots(count: int) -> OpCount:
        return OpCount()

    with pytest.raises(RuleError, match=r"opcount\.formulas\.contraction"):
        formula()(dots)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", OpCount(multiplications=6, additions=4, macs=6)),
        ("int8", OpCount(multiplications=6, additions=4, macs=6)),
        ("complex64", OpCount(multiplications=24, additions=20, macs=24)),  # 4n and 4n - 2 for each of two dots of 3
    ],
)
def test_contractions_count_in_every_type(dtype: str, expected: OpCount) -> None:
    assert evaluate(Term("dots", count=2, length=3, dtype=dtype)) == expected


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_elementwise_work_on_integers_is_free(dtype: str) -> None:
    assert evaluate(Term("relu", count=5, dtype=dtype)) == OpCount()


def test_bias_is_a_role() -> None:
    without = Convention(bias=False)
    assert evaluate(Term("bias", role="bias", count=5), without) == OpCount()
    assert evaluate(Term("addition", role="shift", count=5), without) == OpCount(additions=5)
