"""Activations and softmax: by hand, and against loops over random shapes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from torch import nn

from opcount import OpCount
from tests.agreement import normal, of, running
from tests.reference import activation, softmax

LOOPS = [
    (nn.ReLU(), activation.relu, {}),
    (nn.ReLU(inplace=True), activation.relu, {}),
    (nn.ReLU6(), activation.relu6, {}),
    (nn.Hardtanh(-2, 3), activation.hardtanh, {}),
    (nn.LeakyReLU(), activation.leaky_relu, {}),
    (nn.PReLU().double(), activation.leaky_relu, {}),
    (nn.RReLU().train(), activation.leaky_relu, {}),
    (nn.RReLU().eval(), activation.leaky_relu, {}),
    (nn.Threshold(0.1, 20), activation.threshold, {"limit": 0.1, "value": 20}),
    (nn.Hardshrink(), activation.hardshrink, {}),
    (nn.Softshrink(), activation.softshrink, {}),
    (nn.Sigmoid(), activation.sigmoid, {}),
    (nn.Tanh(), activation.hyperbolic_tangent, {}),
    (nn.SiLU(), activation.silu, {}),
    (nn.GELU(), activation.gelu, {}),
    (nn.GELU(approximate="tanh"), activation.gelu_tanh, {}),
    (nn.Hardsigmoid(), activation.hardsigmoid, {}),
    (nn.Hardswish(inplace=True), activation.hardswish, {}),
    (nn.ELU(), activation.elu, {}),
    (nn.SELU(), activation.selu, {}),
    (nn.CELU(), activation.celu, {}),
    (nn.Softplus(), activation.softplus, {}),
    (nn.Mish(), activation.mish, {}),
    (nn.LogSigmoid(), activation.log_sigmoid, {}),
    (nn.Softsign(), activation.softsign, {}),
    (nn.Tanhshrink(), activation.tanhshrink, {}),
]
shapes = st.lists(st.integers(1, 4), min_size=0, max_size=3)


@pytest.mark.parametrize(("layer", "loop", "options"), LOOPS, ids=lambda value: getattr(value, "_get_name", str)())
def test_every_element_costs_the_formula(layer, loop, options):
    for shape in [(), (3,), (2, 4, 3), (2, 0)]:
        values = normal(*shape)
        assert of(layer, values.clone()) == running(loop, values, **options)


@given(shapes, st.integers(1, 3))
def test_a_gated_unit_costs_by_output(lead, half):
    values = normal(*lead, 2 * half)
    assert of(nn.GLU(), values) == running(activation.glu, values)


def test_by_hand():
    assert of(nn.GELU(), normal(2, 5)) == OpCount(multiplications=30, additions=10, transcendentals=10)
    assert of(nn.GLU(), normal(2, 6)) == OpCount(multiplications=6, additions=6, divisions=6, transcendentals=6)
    assert of(nn.PReLU(4).double(), normal(2, 4, 3)) == OpCount(multiplications=24, comparisons=24)


def test_integers_cost_nothing():
    assert of(nn.ReLU(), normal(3).int()) == OpCount()


@given(shapes.filter(bool), st.data())
def test_softmax_and_its_relatives(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    values = normal(*shape)
    assert of(nn.Softmax(axis), values) == running(softmax.softmax, values, axis)
    assert of(nn.Softmin(axis), values) == running(softmax.softmin, values, axis)
    assert of(nn.LogSoftmax(axis), values) == running(softmax.log_softmax, values, axis)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize(("shape", "axis"), [((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 2), 1)])
def test_a_softmax_that_does_not_say_its_dimension(shape, axis):
    values = normal(*shape)
    assert of(nn.Softmax(), values) == running(softmax.softmax, values, axis)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 5)])
def test_softmax_over_channels(shape):
    values = normal(*shape)
    assert of(nn.Softmax2d(), values) == running(softmax.softmax, values, -3)


def test_softmax_by_hand():
    expected = OpCount(additions=14, divisions=8, comparisons=6, transcendentals=8)
    assert of(nn.Softmax(-1), normal(2, 4)) == expected
    assert of(nn.Softmax(0), normal()) == OpCount(additions=1, divisions=1, transcendentals=1)
