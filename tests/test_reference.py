"""The counting numbers themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.reference import machine
from tests.reference.checking import counted
from tests.reference.geometry import pad, starts
from tests.reference.machine import Complex, Counted, Tally, count


def real(value: float, tally: Tally) -> Counted:
    return Counted(value, tally)


def cplx(value: complex, tally: Tally) -> Complex:
    return Complex(Counted(value.real, tally), Counted(value.imag, tally))


@pytest.mark.parametrize(
    ("operation", "expected", "spent"),
    [
        (lambda a, b: a * b, 6.0, Tally(multiplications=1)),
        (lambda a, b: a * 3.0, 6.0, Tally(multiplications=1)),
        (lambda a, b: 3.0 * a, 6.0, Tally(multiplications=1)),
        (lambda a, b: np.float64(3.0) * a, 6.0, Tally(multiplications=1)),
        (lambda a, b: a + b, 5.0, Tally(additions=1)),
        (lambda a, b: 1.0 + a, 3.0, Tally(additions=1)),
        (lambda a, b: a - b, -1.0, Tally(additions=1)),
        (lambda a, b: 1.0 - a, -1.0, Tally(additions=1)),
        (lambda a, b: a / b, 2 / 3, Tally(divisions=1)),
        (lambda a, b: 1.0 / a, 0.5, Tally(divisions=1)),
        (lambda a, b: a / 0.0, math.inf, Tally(divisions=1)),
        (lambda a, b: -a, -2.0, Tally()),
        (lambda a, b: abs(-a), 2.0, Tally()),
        (lambda a, b: math.floor(a + 0.5), 2.0, Tally(additions=1)),
        (lambda a, b: real(float(a > b), a.tally), 0.0, Tally(comparisons=1)),
        (lambda a, b: real(float(a >= 2.0), a.tally), 1.0, Tally(comparisons=1)),
        (lambda a, b: real(float(a < b), a.tally), 1.0, Tally(comparisons=1)),
        (lambda a, b: real(float(a <= 1.0), a.tally), 0.0, Tally(comparisons=1)),
        (lambda a, b: machine.maximum(a, b), 3.0, Tally(comparisons=1)),
        (lambda a, b: machine.minimum(5.0, a), 2.0, Tally(comparisons=1)),
        (lambda a, b: machine.largest([a, b, a]), 3.0, Tally(comparisons=2)),
        (lambda a, b: machine.smallest([a, b, a]), 2.0, Tally(comparisons=2)),
        (lambda a, b: machine.total([a, b, a, b]), 10.0, Tally(additions=3)),
        (lambda a, b: machine.product([a, b, a]), 12.0, Tally(multiplications=2)),
        (lambda a, b: machine.mean([a, b]), 2.5, Tally(additions=1, divisions=1)),
        (lambda a, b: machine.contract(a, b), 6.0, Tally(multiplications=1, macs=1)),
        (lambda a, b: machine.dot([a, b, a], [b, b, b]), 21.0, Tally(multiplications=3, additions=2, macs=3)),
        (lambda a, b: machine.dot([a], [b]), 6.0, Tally(multiplications=1, macs=1)),
        (lambda a, b: a.like(0.0) + b, 3.0, Tally(additions=1)),
    ],
)
def test_each_operation_counts_once(operation, expected, spent):
    tally = Tally()
    result = operation(real(2.0, tally), real(3.0, tally))
    assert machine.plain(result) == pytest.approx(expected)
    assert tally == spent


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos"])
def test_each_transcendental_counts_once_and_is_free_on_plain_numbers(name):
    tally, function = Tally(), getattr(machine, name)
    expected = getattr(torch, name)(torch.tensor(0.7)).item()
    assert function(real(0.7, tally)).value == pytest.approx(expected)
    assert tally == Tally(transcendentals=1)
    assert function(0.7) == function(real(0.7, Tally())).value


def test_transcendentals_answer_as_floating_point_does_outside_their_domain():
    tally = Tally()
    assert machine.log(real(0.0, tally)).value == -math.inf
    assert math.isnan(machine.log(real(-1.0, tally)).value)
    assert math.isnan(machine.sqrt(real(-1.0, tally)).value)
    assert machine.rsqrt(real(0.0, tally)).value == math.inf
    assert machine.exp(real(1e4, tally)).value == math.inf
    assert tally == Tally(transcendentals=5)


@pytest.mark.parametrize(
    ("exponent", "spent"),
    [
        (0, Tally()),
        (1, Tally()),
        (2, Tally(multiplications=1)),
        (3, Tally(multiplications=2)),
        (-1, Tally(divisions=1)),
        (-2, Tally(multiplications=1, divisions=1)),
        (4, Tally(transcendentals=1)),
        (0.5, Tally(transcendentals=1)),
        (-3, Tally(transcendentals=1)),
    ],
)
def test_small_whole_powers_are_written_out(exponent, spent):
    tally = Tally()
    assert machine.whole_power(real(1.5, tally), exponent).value == pytest.approx(1.5**exponent)
    assert tally == spent


@pytest.mark.parametrize(
    ("operation", "expected", "spent"),
    [
        (lambda z, w, r: z * w, (1 + 2j) * (3 - 1j), Tally(multiplications=4, additions=2)),
        (lambda z, w, r: r * z, 2 + 4j, Tally(multiplications=2)),
        (lambda z, w, r: z * r, 2 + 4j, Tally(multiplications=2)),
        (lambda z, w, r: 2.0 * z, 2 + 4j, Tally(multiplications=2)),
        (lambda z, w, r: z * 1j, -2 + 1j, Tally(multiplications=4, additions=2)),
        (lambda z, w, r: z + w, 4 + 1j, Tally(additions=2)),
        (lambda z, w, r: z - w, -2 + 3j, Tally(additions=2)),
        (lambda z, w, r: z + r, 3 + 2j, Tally(additions=1)),
        (lambda z, w, r: r - z, 1 - 2j, Tally(additions=1)),
        (lambda z, w, r: z / w, (1 + 2j) / (3 - 1j), Tally(multiplications=6, additions=3, divisions=2)),
        (lambda z, w, r: z / r, 0.5 + 1j, Tally(divisions=2)),
        (lambda z, w, r: -z, -1 - 2j, Tally()),
        (lambda z, w, r: abs(z), 5**0.5, Tally(multiplications=2, additions=1, transcendentals=1)),
        (lambda z, w, r: machine.dot([z, w], [w, w]), 13 - 1j, Tally(multiplications=8, additions=6, macs=8)),
    ],
)
def test_complex_arithmetic_is_the_schoolbooks(operation, expected, spent):
    tally = Tally()
    result = operation(cplx(1 + 2j, tally), cplx(3 - 1j, tally), real(2.0, tally))
    assert result.value == pytest.approx(expected)
    assert tally == spent


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_a_complex_dot_of_n(length):
    z = np.ones(length, dtype=complex)
    _, tally = count(lambda x, y: machine.dot(list(x), list(y)), z, z)
    assert tally == Tally(multiplications=4 * length, additions=max(4 * length - 2, 0), macs=4 * length)


def test_nothing_costs_nothing():
    assert machine.total([]) == 0.0
    assert machine.dot([], []) == 0.0
    assert machine.largest([]) == -math.inf


def test_count_wraps_floating_point_only_and_looks_inside_containers():
    def seen(number, indices, options, scale):
        assert isinstance(number[0], Counted)
        assert isinstance(options["inner"][0][0], Complex)
        assert indices.dtype == np.int64
        assert scale == 0.5
        return number[0] * scale, {"kept": options["inner"][0]}

    options = {"inner": (np.array([1j]),)}
    (product, kept), tally = count(seen, torch.tensor([4.0]), np.array([3]), options, scale=0.5)
    assert product.shape == ()
    assert product == 2.0
    assert kept["kept"].tolist() == [1j]
    assert tally == Tally(multiplications=1)
    assert tally.figures() == {
        "multiplications": 1,
        "additions": 0,
        "divisions": 0,
        "comparisons": 0,
        "transcendentals": 0,
        "macs": 0,
    }
    assert tally.total == 1


def test_windows_begin_where_pytorch_begins_them():
    assert starts(5, 3) == [0, 1, 2]
    assert starts(5, 3, stride=2, padding=(1, 1)) == [-1, 1, 3]
    assert starts(5, 2, stride=2) == [0, 2]
    assert starts(5, 2, stride=2, ceil=True) == [0, 2, 4]
    assert starts(4, 2, stride=2, ceil=True) == [0, 2]
    assert starts(2, 3) == []
    assert starts(4, 1, stride=3, ceil=True) == [0, 3]
    assert starts(4, 2, stride=3, padding=(1, 1), ceil=True) == [-1, 2]  # the next would begin on the right padding


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_copies(mode):
    image = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    expected = torch.nn.functional.pad(image, (3, 1, 0, 2), mode=mode)
    assert counted(expected, pad, image, ((0, 2), (3, 1)), mode) == Tally()
