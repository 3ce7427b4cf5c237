"""Normalizations and dropout: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, strategies as st
from torch import nn
from torch.nn import functional as F

from tests.reference import dropout, normalization
from tests.reference.checking import counted
from tests.reference.machine import Tally

BATCH = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
INSTANCE = {2: nn.InstanceNorm1d, 3: nn.InstanceNorm2d, 4: nn.InstanceNorm3d}


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def rows(number: int, length: int, weight: bool = False, bias: bool = False) -> Tally:
    """LayerNorm's line: mean, centring, variance, eps, rsqrt, scale, and per element a weight and a bias."""
    return Tally(
        multiplications=number * length * (2 + weight),
        additions=number * (3 * length - 1 + bias * length),
        divisions=number * 2,
        transcendentals=number,
    )


def plus(one: Tally, other: Tally) -> Tally:
    return Tally(**{name: value + other.figures()[name] for name, value in one.figures().items()})


def perturbed(layer: nn.Module) -> nn.Module:
    """In double precision, with parameters and statistics that are not the neutral ones."""
    layer = layer.double()
    with torch.no_grad():
        for tensor in [*layer.parameters(), *layer.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5)
    return layer


def test_layer_norm_by_hand():
    row, weight, bias = normal(1, 4), normal(4), normal(4)
    # mean 3 add 1 div; centre 4 add; variance 4 mul 3 add 1 div; eps 1 add; rsqrt; scale 4 mul
    assert counted(F.layer_norm(row, [4]), normalization.layer_norm, row, 1) == Tally(8, 11, 2, transcendentals=1)
    both = counted(F.layer_norm(row, [4], weight, bias), normalization.layer_norm, row, 1, weight, bias)
    assert both == Tally(12, 15, 2, transcendentals=1)
    one = counted(F.layer_norm(row, [4], weight), normalization.layer_norm, row, 1, weight)
    assert one == Tally(12, 11, 2, transcendentals=1)


@given(st.lists(st.integers(1, 4), max_size=2), st.lists(st.integers(1, 4), min_size=1, max_size=2), st.booleans())
def test_layer_norm(lead, inner, affine):
    inputs = normal(*lead, *inner)
    weight, bias = (normal(*inner), normal(*inner)) if affine else (None, None)
    expected = F.layer_norm(inputs, inner, weight, bias, eps=1e-3)
    spent = counted(expected, normalization.layer_norm, inputs, len(inner), weight, bias, eps=1e-3)
    length = torch.Size(inner).numel()
    assert spent == rows(inputs.numel() // length, length, affine, affine)


@pytest.mark.parametrize("affine", [False, True])
def test_rms_norm(affine):
    inputs, weight = normal(2, 3, 4), normal(4) if affine else None
    expected = F.rms_norm(inputs, [4], weight, eps=1e-4)
    spent = counted(expected, normalization.rms_norm, inputs, 1, weight, eps=1e-4)
    assert spent == Tally(6 * (12 if affine else 8), 6 * 4, 6, transcendentals=6)
    assert counted(F.rms_norm(inputs, [4], weight), normalization.rms_norm, inputs, 1, weight) == spent


@given(st.lists(st.integers(1, 3), min_size=3, max_size=6), st.booleans())
def test_group_norm(sizes, affine):
    batch, groups, width, *rest = sizes
    assume(batch * torch.Size(rest).numel() > 1)  # PyTorch wants more than one element per channel
    inputs = normal(batch, groups * width, *rest)
    weight, bias = (normal(groups * width), normal(groups * width)) if affine else (None, None)
    expected = F.group_norm(inputs, groups, weight, bias)
    spent = counted(expected, normalization.group_norm, inputs, groups, weight, bias)
    assert spent == rows(batch * groups, inputs.numel() // (batch * groups), affine, affine)


def batch_norm_options(layer: nn.Module) -> dict[str, object]:
    return {"training": layer.training, "momentum": layer.momentum, "eps": layer.eps}


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("track", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 2), (2, 2, 2, 3), (2, 1, 2, 1, 3)])
def test_batch_norm(shape, training, track, affine):
    kind = BATCH[len(shape) - 1]
    layer = perturbed(kind(shape[1], affine=affine, track_running_stats=track, momentum=0.3)).train(training)
    before = (
        layer.running_mean if layer.running_mean is None else layer.running_mean.clone(),
        layer.running_var if layer.running_var is None else layer.running_var.clone(),
    )
    inputs = normal(*shape)
    expected = layer(inputs), layer.running_mean, layer.running_var
    spent = counted(
        expected, normalization.batch_norm, inputs, *before, layer.weight, layer.bias, **batch_norm_options(layer)
    )
    channels = shape[1]
    if track and not training:
        assert spent == Tally(inputs.numel(), inputs.numel())
        return
    update = Tally(4 * channels, 2 * channels, channels) if track else Tally()
    assert spent == plus(rows(channels, inputs.numel() // channels, affine, affine), update)


def test_batch_norm_by_hand():
    inputs = normal(2, 3, 4, 4)
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    evaluated = F.batch_norm(inputs, mean, var)
    assert counted((evaluated, mean, var), normalization.batch_norm, inputs, mean, var) == Tally(96, 96)
    # 3 channels of 32: mean 31 add; centre 32; variance 31; eps 1; squares and scale 64 mul
    assert counted(
        (F.batch_norm(inputs, None, None, training=True), None, None), normalization.batch_norm, inputs, training=True
    ) == Tally(192, 285, 6, transcendentals=3)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("track", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 2), (1, 2, 2, 3), (3, 1, 2, 1, 2)])
def test_instance_norm(shape, training, track, affine):
    kind = INSTANCE[len(shape) - 1]
    layer = perturbed(kind(shape[1], affine=affine, track_running_stats=track, momentum=0.3)).train(training)
    before = (
        layer.running_mean if layer.running_mean is None else layer.running_mean.clone(),
        layer.running_var if layer.running_var is None else layer.running_var.clone(),
    )
    inputs = normal(*shape)
    expected = layer(inputs), layer.running_mean, layer.running_var
    spent = counted(
        expected, normalization.instance_norm, inputs, *before, layer.weight, layer.bias, **batch_norm_options(layer)
    )
    batch, channels = shape[:2]
    if track and not training:
        assert spent == Tally(inputs.numel(), inputs.numel())
        return
    # per channel: both statistics averaged over the samples, then moved
    update = Tally(4 * channels, (2 * (batch - 1) + 2) * channels, 2 * channels) if track else Tally()
    assert spent == plus(rows(batch * channels, inputs.numel() // (batch * channels), affine, affine), update)


@pytest.mark.parametrize(("channels", "size", "terms"), [(5, 3, 13), (5, 2, 9), (4, 5, 14), (2, 7, 4), (3, 1, 3)])
@pytest.mark.parametrize("rest", [(2,), (2, 3)])
def test_local_response_norm(channels, size, terms, rest):
    """`terms`: how many channels all windows of one position hold together."""
    inputs = normal(2, channels, *rest)
    options = {"alpha": 0.1, "beta": 0.6, "k": 1.5}
    expected = F.local_response_norm(inputs, size, **options)
    places, elements = inputs.numel() // channels, inputs.numel()
    spent = counted(expected, normalization.local_response_norm, inputs, size, **options)
    assert spent == Tally(3 * elements, places * (terms - channels) + elements, transcendentals=elements)


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_dropout(p):
    inputs = normal(4, 5)
    expected = F.dropout(inputs, p)
    drawn = torch.where(expected == 0, -1.0, 2.0)  # below and above any p
    assert counted(expected, dropout.dropout, inputs, drawn, p=p) == Tally(20, comparisons=20)


def test_dropout_of_whole_channels():
    inputs = normal(2, 3, 2, 2)
    expected = F.dropout2d(inputs, 0.5)
    drawn = torch.where(expected.abs().sum((2, 3), keepdim=True) == 0, -1.0, 2.0)
    assert counted(expected, dropout.dropout, inputs, drawn, p=0.5) == Tally(24, comparisons=6)


def test_alpha_dropout():
    inputs = normal(4, 5)
    torch.manual_seed(0)
    expected = F.alpha_dropout(inputs, 0.3, training=True)
    torch.manual_seed(0)
    kept = F.alpha_dropout(inputs + 1, 0.3, training=True) != expected
    drawn = torch.where(kept, 2.0, -1.0)
    assert counted(expected, dropout.alpha_dropout, inputs, drawn, p=0.3) == Tally(20, 20, comparisons=20)
