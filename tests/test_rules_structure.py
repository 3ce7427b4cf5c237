"""Bilinear layers, further pools, folding, resampling, dropout, and what is free."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, strategies as st
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from opcount import OpCount, profile
from tests.agreement import normal, of, running
from tests.reference import dropout, linear, pooling, resampling

POWER_POOLS = {1: nn.LPPool1d, 2: nn.LPPool2d, 3: nn.LPPool3d}
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
sizes = st.integers(1, 4)


@given(st.lists(st.integers(1, 3), max_size=2), sizes, sizes, sizes, st.booleans())
def test_bilinear(lead, first, second, outputs, bias):
    layer = nn.Bilinear(first, second, outputs, bias=bias).double()
    inputs = normal(*lead, first), normal(*lead, second)
    assert of(layer, *inputs) == running(linear.bilinear, *inputs, layer.weight, layer.bias)


@given(st.data())
def test_power_average_pooling(data):
    axes = data.draw(st.integers(1, 3))
    kernel, stride = (tuple(data.draw(st.integers(1, 3)) for _ in range(axes)) for _ in range(2))
    extent = [size + data.draw(st.integers(0, 3)) for size in kernel]
    stride, ceil = data.draw(st.sampled_from([None, stride])), data.draw(st.booleans())
    norm = data.draw(st.sampled_from([1, 2, 3, 2.5, float("inf")]))
    if axes == 1:
        kernel, stride = kernel[0], stride and stride[0]
    layer = POWER_POOLS[axes](norm, kernel, stride=stride, ceil_mode=ceil)
    values = normal(*data.draw(st.sampled_from([(2, 3), (3,)])), *extent).abs()
    lengths = (kernel,) if axes == 1 else kernel
    options = {"norm_type": norm, "stride": stride, "ceil_mode": ceil}
    assert of(layer, values) == running(pooling.lp_pool, values, lengths, **options)


@pytest.mark.parametrize("kind", [nn.FractionalMaxPool2d, nn.FractionalMaxPool3d])
@pytest.mark.parametrize("batched", [False, True])
def test_fractional_pooling(kind, batched):
    axes = 2 if kind is nn.FractionalMaxPool2d else 3
    values, wanted = normal(2, 3, *(5,) * axes), (2, 3, 2)[:axes]
    samples = [[[0.5] * axes] * 3] * 2
    expected = running(pooling.fractional_max_pool, values, (2,) * axes, output_size=wanted, samples=samples)
    layer = kind(2, output_size=wanted)
    assert of(layer, values) == expected
    if not batched:
        assert 2 * of(layer, values[0]) == expected
    assert of(kind(2, output_ratio=0.5, return_indices=True), values).comparisons == 6 * 2**axes * (2**axes - 1)


@given(st.data())
def test_fold(data):
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = data.draw(pair), data.draw(pair), data.draw(pair)
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    extent = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    reach = [gap * (size - 1) + 1 for gap, size in zip(dilation, kernel)]
    assume(all(size + 2 * around >= long for size, around, long in zip(extent, padding, reach)))
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    columns = nn.Unfold(kernel, **options)(normal(2, 3, *extent))
    expected = running(resampling.fold, columns, extent, kernel, **options)
    layer = nn.Fold(extent, kernel, **options)
    assert of(layer, columns) == expected
    assert 2 * of(layer, columns[0]) == expected


def test_fold_by_hand():
    # two windows of 2x2 meet in the middle column of 2x3: two sums in each of 3 channels
    assert of(nn.Fold((2, 3), 2), normal(1, 12, 2)) == OpCount(additions=6)
    assert of(nn.Unfold(2), normal(1, 3, 2, 3)) == OpCount()


@given(st.integers(1, 3), st.data())
def test_linear_resampling(axes, data):
    extent, wanted = (tuple(data.draw(st.integers(1, 4)) for _ in range(axes)) for _ in range(2))
    values = normal(1, 2, *extent)
    layer = nn.Upsample(wanted, mode=MODES[axes], align_corners=data.draw(st.booleans()))
    assert of(layer, values) == running(resampling.interpolate, values, wanted)


def test_resampling_by_hand():
    values = normal(2, 3, 4, 5)  # 2·3·8·10 = 480 outputs
    assert of(nn.Upsample(scale_factor=2), values) == OpCount()
    assert of(nn.Upsample(scale_factor=2, mode="nearest-exact"), values) == OpCount()
    assert of(nn.UpsamplingNearest2d(scale_factor=2), values) == OpCount()
    assert of(nn.UpsamplingBilinear2d(scale_factor=2), values) == OpCount(4 * 480, 3 * 480)
    assert of(nn.Upsample(scale_factor=2, mode="bicubic"), values) == OpCount(16 * 480, 15 * 480)
    averaged = of(nn.AdaptiveAvgPool2d((2, 3)), values)
    assert of(nn.Upsample((2, 3), mode="area"), values) == averaged


DROPOUTS = [
    (nn.Dropout, (2, 3, 4), (2, 3, 4)),
    (nn.Dropout1d, (2, 3, 4), (2, 3, 1)),
    (nn.Dropout1d, (3, 4), (3, 1)),
    (nn.Dropout2d, (2, 3, 4, 2), (2, 3, 1, 1)),
    (nn.Dropout2d, (2, 3, 4), (2, 3, 1)),
    (nn.Dropout3d, (2, 3, 4, 2, 2), (2, 3, 1, 1, 1)),
    (nn.Dropout3d, (3, 4, 2, 2), (3, 1, 1, 1)),
    (nn.AlphaDropout, (2, 3, 4), (2, 3, 4)),
    (nn.FeatureAlphaDropout, (2, 3, 4, 2), (2, 3, 1, 1)),
]


@pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D input")
@pytest.mark.parametrize(("kind", "shape", "mask"), DROPOUTS)
@pytest.mark.parametrize("p", [0.0, 0.5])
def test_dropout(kind, shape, mask, p):
    values, uniform = normal(*shape), torch.rand(mask, dtype=torch.float64)
    loop = dropout.alpha_dropout if "Alpha" in kind.__name__ else dropout.dropout
    assert of(kind(p), values) == running(loop, values, uniform, p=p)
    assert of(kind(p).eval(), values) == OpCount()


FREE = [
    (nn.Identity(), (2, 3)),
    (nn.Flatten(), (2, 3, 4)),
    (nn.Unflatten(1, (2, 3)), (2, 6)),
    (nn.PixelShuffle(2), (1, 4, 2, 2)),
    (nn.PixelUnshuffle(2), (1, 1, 4, 4)),
    (nn.ChannelShuffle(2), (1, 4, 2, 2)),
    (nn.ReflectionPad2d(1), (1, 2, 3, 3)),
    (nn.ReplicationPad1d(1), (1, 2, 3)),
    (nn.CircularPad3d(1), (1, 2, 3, 3, 3)),
    (nn.ConstantPad2d(1, 5.0), (1, 2, 3, 3)),
    (nn.ZeroPad2d(1), (1, 2, 3, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), FREE, ids=lambda value: type(value).__name__)
def test_what_only_moves_values_is_free(layer, shape):
    assert of(layer, normal(*shape)) == OpCount()


def halved(layer):
    class Half(nn.Module):
        def forward(self, weight):
            return 0.5 * weight

    parametrize.register_parametrization(layer, "weight", Half())
    return layer


@pytest.mark.parametrize(
    "recomputed", [halved, parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal]
)
@pytest.mark.parametrize("training", [False, True])
def test_weights_that_parametrizations_recompute_are_free(recomputed, training):
    layer = recomputed(nn.Linear(6, 4)).train(training)
    assert of(layer, torch.randn(2, 6)) == of(nn.Linear(6, 4), torch.randn(2, 6))


def test_a_parametrized_weight_that_no_rule_reads_is_free_too():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))

        def forward(self, x):
            return nn.functional.linear(x, self.weight)

    layer = parametrizations.spectral_norm(Reads())
    counted = profile(layer, (torch.randn(2, 6),))
    assert counted.complete
    assert counted.ops == of(nn.Linear(6, 4, bias=False), torch.randn(2, 6))
