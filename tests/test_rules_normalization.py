"""Norms: by hand, and against loops over random shapes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from torch import nn

from opcount import OpCount
from tests.agreement import normal, of, running
from tests.reference import normalization

INSTANCE_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
few = st.lists(st.integers(1, 3), min_size=1, max_size=2)


def affine(layer):
    return layer.weight, layer.bias


@given(st.lists(st.integers(1, 3), max_size=2), few, st.booleans(), st.booleans())
def test_layer_norm(lead, normalized, elementwise, bias):
    layer = nn.LayerNorm(normalized, elementwise_affine=elementwise, bias=bias).double()
    values = normal(*lead, *normalized)
    assert of(layer, values) == running(normalization.layer_norm, values, len(normalized), *affine(layer))


@given(st.lists(st.integers(1, 3), max_size=2), few, st.booleans())
def test_rms_norm(lead, normalized, elementwise):
    layer = nn.RMSNorm(normalized, elementwise_affine=elementwise).double()
    values = normal(*lead, *normalized)
    assert of(layer, values) == running(normalization.rms_norm, values, len(normalized), layer.weight)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), few, st.booleans())
def test_group_norm(groups, width, batch, sizes, learnt):
    layer = nn.GroupNorm(groups, groups * width, affine=learnt).double()
    values = normal(batch, groups * width, 2, *sizes)
    assert of(layer, values) == running(normalization.group_norm, values, groups, *affine(layer))


@given(st.integers(1, 3), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_instance_norm(axes, batched, learnt, tracking, training):
    layer = INSTANCE_NORMS[axes](3, affine=learnt, track_running_stats=tracking).double().train(training)
    values = normal(2, 3, *(2,) * axes) if batched else normal(3, *(2,) * axes)
    statistics = layer.running_mean, layer.running_var
    one = values if batched else values[None]
    expected = running(normalization.instance_norm, one, *statistics, *affine(layer), training=training)
    assert of(layer, values) == expected


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("tracking", [False, True])
@pytest.mark.parametrize("learnt", [False, True])
def test_batch_norm(momentum, training, tracking, learnt):
    layer = nn.BatchNorm2d(3, affine=learnt, track_running_stats=tracking, momentum=momentum).double().train(training)
    values = normal(2, 3, 2, 2)
    statistics = layer.running_mean, layer.running_var
    loop = normalization.batch_norm
    assert of(layer, values) == running(loop, values, *statistics, *affine(layer), training=training)


def test_batch_norm_of_vectors_by_hand():
    # Each of 4 channels of 3: mean 2+1, centring 3, squares 3, variance 2+1, eps 1, rsqrt, scaling, weight, bias;
    # then 4 products, 2 sums and 1 quotient for its running statistics.
    expected = OpCount(
        multiplications=4 * (3 + 3 + 3 + 4),
        additions=4 * (2 + 3 + 2 + 1 + 3 + 2),
        divisions=4 * (1 + 1 + 1),
        transcendentals=4,
    )
    assert of(nn.BatchNorm1d(4).double(), normal(3, 4)) == expected
    assert of(nn.BatchNorm1d(4).double().eval(), normal(3, 4)) == OpCount(multiplications=12, additions=12)


def test_statistics_that_are_no_longer_tracked_stay():
    layer = nn.BatchNorm1d(4).double()
    layer.track_running_stats = False
    assert of(layer, normal(3, 4)) == of(nn.BatchNorm1d(4, track_running_stats=False).double(), normal(3, 4))


@given(st.integers(1, 6), st.integers(1, 7), st.booleans())
def test_local_response_norm(channels, size, image):
    values = normal(2, channels, 2, 2) if image else normal(1, channels, 3)
    assert of(nn.LocalResponseNorm(size), values) == running(normalization.local_response_norm, values, size)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_response_norm_across_maps_is_the_local_one(size):
    values = normal(1, 4, 2, 2)
    assert of(nn.CrossMapLRN2d(size), values) == of(nn.LocalResponseNorm(size), values)


def test_response_norm_across_maps_is_even_handed():
    values = normal(1, 4, 2, 2)
    assert of(nn.CrossMapLRN2d(4), values) == of(nn.LocalResponseNorm(3), values)


def test_layer_norm_by_hand():
    expected = OpCount(multiplications=24, additions=2 * (3 + 4 + 3 + 1 + 4), divisions=4, transcendentals=2)
    assert of(nn.LayerNorm(4).double(), normal(2, 4)) == expected


def test_nothing_costs_nothing():
    for layer in (nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4).eval()):
        assert of(layer.double(), normal(0, 4)) == OpCount()
