"""Quantized layers: 8-bit products, 32-bit sums, and what brings numbers to their grids, worked out by hand."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.ao.nn.quantized as quantized
import torch.ao.quantization as quantization
from torch import nn

from opcount import OpCount, Profile, profile
from opcount.rules.operators.quantization import dequantized

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not torch.backends.quantized.supported_engines[1:], reason="this PyTorch cannot quantize"),
]

TO_GRID = OpCount(additions=1, divisions=1, comparisons=2)
FROM_GRID = OpCount(multiplications=1, additions=1)
FINISHED = OpCount(multiplications=1, additions=1, comparisons=2)


def converted(model: nn.Module, size: tuple[int, ...]) -> nn.Module:
    """A model quantized after it has seen one batch."""
    model.eval().qconfig = quantization.get_default_qconfig()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = quantization.prepare(model)
        prepared(torch.randn(size))
        return quantization.convert(prepared)


class Between(nn.Module):
    """A layer between the grid's ends."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.enter, self.layer, self.leave = quantization.QuantStub(), layer, quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.leave(self.layer(self.enter(x)))


def by_width(counted: Profile) -> dict[str, tuple[int, int, int]]:
    """Products, sums and MACs by the width of the numbers."""
    return {kind: (ops.multiplications, ops.additions, ops.macs) for kind, ops in counted.by_dtype.items()}


def test_a_linear_layer_that_quantizes_its_input() -> None:
    layer = quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear})
    counted = profile(layer, (3, 8))
    # 24 inputs: both extremes, scale and zero point, to the grid. 12 outputs: a dot of 8, a scale, a bias.
    expected = OpCount(additions=2, divisions=2, comparisons=2 * 23) + 24 * TO_GRID
    expected += OpCount(multiplications=12 * 8, additions=12 * 7, macs=12 * 8)
    assert counted.ops == expected + OpCount(multiplications=12, additions=12)
    assert counted.complete
    assert by_width(counted)["int8"] == (96, 0, 96)
    assert by_width(counted)["int32"] == (0, 84, 0)


def test_a_linear_layer_on_the_grid() -> None:
    counted = profile(converted(Between(nn.Linear(8, 4)), (3, 8)), (3, 8))
    dots = OpCount(multiplications=96, additions=84 + 12, macs=96)
    assert counted.ops == 24 * TO_GRID + dots + 12 * FINISHED + 12 * FROM_GRID
    assert by_width(counted)["int8"] == (96, 0, 96)
    assert by_width(counted)["int32"] == (0, 96, 0)  # the bias is a whole number too


@pytest.mark.parametrize(("kind", "spatial"), [(nn.Conv1d, (7,)), (nn.Conv2d, (7, 5)), (nn.Conv3d, (5, 4, 3))])
def test_a_convolution_on_the_grid_counts_as_one_off_it(kind: type[nn.Module], spatial: tuple[int, ...]) -> None:
    layer = kind(4, 6, 3, padding=1, stride=2, groups=2)
    size = (2, 4, *spatial)
    plain = profile(nn.Sequential(layer), size)
    (outputs,) = plain["0"].output_shapes
    elements = torch.Size(outputs).numel()
    counted = profile(converted(Between(layer), size), size)
    around = torch.Size(size).numel() * TO_GRID + elements * (FINISHED + FROM_GRID)
    assert counted.ops == plain.ops + around
    assert by_width(counted)["int8"][2] == plain.macs


def test_an_activation_fused_into_a_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    fused = quantization.fuse_modules(model, [["0", "1", "2"]])
    counted = profile(converted(Between(fused), (1, 3, 6, 6)), (1, 3, 6, 6))
    dots = OpCount(multiplications=64 * 27, additions=64 * 27, macs=64 * 27, comparisons=64)
    assert counted.ops == 108 * TO_GRID + dots + 64 * (FINISHED + FROM_GRID)


def test_a_transposed_convolution_on_the_grid() -> None:
    layer = quantized.ConvTranspose1d(2, 3, 3)
    x = torch.quantize_per_tensor(torch.randn(1, 2, 5), 0.1, 0, torch.quint8)
    plain = profile(nn.Sequential(nn.ConvTranspose1d(2, 3, 3)), (1, 2, 5))
    assert profile(nn.Sequential(layer), x).macs == plain.macs == 5 * 2 * 3 * 3


def test_a_sum_on_the_grid() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plus = quantized.QFunctional()

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.plus.add(a, b)

    x = torch.quantize_per_tensor(torch.randn(2, 8), 0.1, 0, torch.quint8)
    assert profile(Sum(), (x, x)).ops == 32 * FROM_GRID + OpCount(additions=16) + 16 * TO_GRID


def test_a_recurrent_layer_that_quantizes_its_inputs() -> None:
    steps, batch, inputs, hidden = 5, 2, 8, 16
    model = quantization.quantize_dynamic(nn.Sequential(nn.LSTM(inputs, hidden)), {nn.LSTM})
    counted = profile(model, (steps, batch, inputs))
    plain = profile(nn.Sequential(nn.LSTM(inputs, hidden)), (steps, batch, inputs))
    # Every gate's two dots take a scale; every step looks for two ranges, of what comes in and of the state.
    gates, seen = steps * batch * 4 * hidden, steps * batch * (inputs + hidden)
    ranges = OpCount(additions=4 * steps, divisions=4 * steps, comparisons=2 * (seen - 2 * steps))
    assert counted.ops == plain.ops + ranges + seen * TO_GRID + OpCount(multiplications=2 * gates)
    assert by_width(counted)["int8"][2] == plain.macs


def test_what_has_no_rule_is_named() -> None:
    model = quantization.quantize_dynamic(nn.Sequential(nn.LSTMCell(8, 16)), {nn.LSTMCell})
    counted = profile(model, (2, 8))
    assert not counted.complete
    assert any("lstm_cell" in item.name for item in counted.uncounted)


def test_a_term_says_what_it_is_for() -> None:
    assert dequantized(3).role == "from the grid"
