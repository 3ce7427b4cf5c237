"""Element-wise functions: the formulas' values are PyTorch's, their counts the documented line per element."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.reference import activation
from tests.reference.checking import counted
from tests.reference.machine import Tally

# both sides of every boundary of every function, and the boundaries 0, ±0.5, ±1, ±3 and 6 themselves
POINTS = torch.cat([torch.linspace(-7, 7, 57, dtype=torch.float64), torch.randn(7, dtype=torch.float64)]).reshape(8, 8)
OTHERS = POINTS.flip(0, 1) + 0.1


def line(mul: int = 0, add: int = 0, div: int = 0, cmp: int = 0, special: int = 0) -> Tally:
    """The count of one element."""
    return Tally(mul, add, div, cmp, special)


def times(one: Tally, number: int) -> Tally:
    return Tally(**{name: value * number for name, value in one.figures().items()})


SIGMOID = line(add=1, div=1, special=1)

UNARY = [
    (activation.relu, F.relu, {}, line(cmp=1)),
    (activation.relu6, F.relu6, {}, line(cmp=2)),
    (activation.hardtanh, F.hardtanh, {}, line(cmp=2)),
    (activation.leaky_relu, F.leaky_relu, {}, line(mul=1, cmp=1)),
    (activation.hardshrink, F.hardshrink, {}, line(cmp=2)),
    (activation.softshrink, F.softshrink, {}, line(add=2, cmp=2)),
    (activation.sigmoid, torch.sigmoid, {}, SIGMOID),
    (activation.hyperbolic_tangent, torch.tanh, {}, line(special=1)),
    (activation.silu, F.silu, {}, line(mul=1, add=1, div=1, special=1)),
    (activation.gelu, F.gelu, {}, line(mul=3, add=1, special=1)),
    (activation.gelu_tanh, lambda x: F.gelu(x, approximate="tanh"), {}, line(mul=6, add=2, special=1)),
    (activation.hardsigmoid, F.hardsigmoid, {}, line(add=1, div=1, cmp=2)),
    (activation.hardswish, F.hardswish, {}, line(mul=1, add=1, div=1, cmp=2)),
    (activation.elu, F.elu, {}, line(mul=1, add=1, cmp=1, special=1)),
    (activation.elu, F.elu, {"alpha": 0.7}, line(mul=1, add=1, cmp=1, special=1)),
    (activation.selu, F.selu, {}, line(mul=2, add=2, cmp=2, special=1)),
    (activation.celu, F.celu, {}, line(mul=1, add=2, div=1, cmp=2, special=1)),
    (activation.celu, F.celu, {"alpha": 0.7}, line(mul=1, add=2, div=1, cmp=2, special=1)),
    (activation.softplus, F.softplus, {}, line(mul=2, add=1, special=2)),
    (activation.softplus, F.softplus, {"beta": 2.0}, line(mul=2, add=1, special=2)),
    (activation.mish, F.mish, {}, line(mul=1, add=1, special=3)),
    (activation.log_sigmoid, F.logsigmoid, {}, line(add=1, div=1, special=2)),
    (activation.softsign, F.softsign, {}, line(add=1, div=1)),
    (activation.tanhshrink, F.tanhshrink, {}, line(add=1, special=1)),
    (activation.absolute, torch.abs, {}, line()),
]


@pytest.mark.parametrize(("formula", "function", "options", "one"), UNARY)
def test_functions_of_one_number(formula, function, options, one):
    assert counted(function(POINTS, **options), formula, POINTS, **options) == times(one, 64)
    # the values do not matter: a single one costs the same on whichever branch it is
    for x in (-4.0, -0.5, 0.0, 0.5, 4.0):
        point = torch.tensor(x, dtype=torch.float64)
        assert counted(function(point, **options), formula, point, **options) == one


@pytest.mark.parametrize(
    ("formula", "expected", "options", "one"),
    [
        (activation.hardtanh, F.hardtanh(POINTS, -2.0, 0.5), {"low": -2.0, "high": 0.5}, line(cmp=2)),
        (activation.threshold, F.threshold(POINTS, 0.5, 9.0), {"limit": 0.5, "value": 9.0}, line(cmp=1)),
        (activation.hardshrink, F.hardshrink(POINTS, 1.0), {"lambd": 1.0}, line(cmp=2)),
        (activation.softshrink, F.softshrink(POINTS, 1.0), {"lambd": 1.0}, line(add=2, cmp=2)),
        (activation.clamp, POINTS.clamp(-1, 2), {"low": -1, "high": 2}, line(cmp=2)),
        (activation.clamp, POINTS.clamp(min=-1), {"low": -1}, line(cmp=1)),
        (activation.clamp, POINTS.clamp(max=2), {"high": 2}, line(cmp=1)),
        (activation.raise_to, POINTS**0, {"exponent": 0}, line()),
        (activation.raise_to, POINTS**2, {"exponent": 2}, line(mul=1)),
        (activation.raise_to, POINTS**3, {"exponent": 3}, line(mul=2)),
        (activation.raise_to, POINTS**-1, {"exponent": -1}, line(div=1)),
        (activation.raise_to, POINTS**-2, {"exponent": -2}, line(mul=1, div=1)),
        (activation.raise_to, POINTS**4, {"exponent": 4}, line(special=1)),
        (activation.raise_to, POINTS**0.5, {"exponent": 0.5}, line(special=1)),
    ],
)
def test_functions_with_options(formula, expected, options, one):
    assert counted(expected, formula, POINTS, **options) == times(one, 64)


def test_learnt_and_drawn_slopes():
    inputs, slopes = torch.randn(2, 3, 4, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    assert counted(F.prelu(inputs, slopes), activation.leaky_relu, inputs, slopes[:, None]) == Tally(24, comparisons=24)
    middle = F.rrelu(inputs, 0.1, 0.3)
    assert counted(middle, activation.leaky_relu, inputs, slope=0.2) == Tally(24, comparisons=24)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gated_linear_unit(axis):
    inputs = torch.randn(4, 2, 6, dtype=torch.float64)
    spent = counted(F.glu(inputs, axis), activation.glu, inputs, axis)
    assert spent == times(line(mul=1, add=1, div=1, special=1), 24)


@pytest.mark.parametrize(
    ("formula", "expected", "operands", "options", "one"),
    [
        (activation.add, POINTS + OTHERS, 2, {}, line(add=1)),
        (activation.add, torch.add(POINTS, OTHERS, alpha=3), 2, {"alpha": 3}, line(mul=1, add=1)),
        (activation.multiply, POINTS * OTHERS, 2, {}, line(mul=1)),
        (activation.divide, POINTS / OTHERS, 2, {}, line(div=1)),
        (activation.floor_divide, torch.floor_divide(POINTS, OTHERS), 2, {}, line(div=1)),
        (activation.remainder, torch.remainder(POINTS, OTHERS), 2, {}, line(mul=1, add=1, div=1)),
        (activation.lerp, torch.lerp(POINTS, OTHERS, 0.3), 2, {"weight": 0.3}, line(mul=1, add=2)),
        (activation.lerp, torch.lerp(POINTS, OTHERS, POINTS.T), 3, {}, line(mul=1, add=2)),
        (activation.addcmul, torch.addcmul(POINTS, OTHERS, POINTS.T), 3, {}, line(mul=1, add=1)),
        (activation.addcmul, torch.addcmul(POINTS, OTHERS, POINTS.T, value=2), 3, {"value": 2}, line(mul=2, add=1)),
        (activation.addcdiv, torch.addcdiv(POINTS, POINTS.T, OTHERS), (0, 2, 1), {}, line(add=1, div=1)),
        (
            activation.addcdiv,
            torch.addcdiv(POINTS, POINTS.T, OTHERS, value=2),
            (0, 2, 1),
            {"value": 2},
            line(mul=1, add=1, div=1),
        ),
    ],
)
def test_functions_of_several_numbers(formula, expected, operands, options, one):
    order = range(operands) if isinstance(operands, int) else operands
    arrays = [(POINTS, OTHERS, POINTS.T)[index] for index in order]
    assert counted(expected, formula, *arrays, **options) == times(one, 64)


def test_broadcasting_counts_per_output():
    column, row = torch.randn(3, 1, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    assert counted(column + row, activation.add, column, row) == Tally(0, 12)


def test_complex_elements():
    z, w = (torch.randn(5, dtype=torch.complex128) for _ in range(2))
    x = torch.randn(5, dtype=torch.float64)
    assert counted(z * w, activation.multiply, z, w) == Tally(20, 10)
    assert counted(x * z, activation.multiply, x, z) == Tally(10)
    assert counted(z + w, activation.add, z, w) == Tally(0, 10)
    assert counted(z / w, activation.divide, z, w) == Tally(30, 15, 10)
    assert counted(z.abs(), activation.absolute, z) == Tally(10, 5, transcendentals=5)
