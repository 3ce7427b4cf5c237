"""Convolutions: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import assume, given, strategies as st
from torch import nn
from torch.nn import functional as F

from tests.reference.checking import counted
from tests.reference.convolution import convolution, transposed_convolution
from tests.reference.machine import Tally

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
CONV_FUNCTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED_FUNCTION = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def options_of(layer: nn.Module, *names: str) -> dict[str, object]:
    return {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups", *names)}


@st.composite
def convolutions(draw, kinds):
    """A small layer, an input it accepts, and its output."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))

    def lengths(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    kernel, stride, dilation, padding = lengths(1, 3), lengths(1, 3), lengths(1, 3), lengths(0, 2)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    reach = [gap * (length - 1) for gap, length in zip(dilation, kernel, strict=True)]
    if kinds is TRANSPOSED:
        options["output_padding"] = tuple(
            draw(st.integers(0, max(pair) - 1)) for pair in zip(stride, dilation, strict=True)
        )
        least = [max(1, 2 * around - along + 1) for along, around in zip(reach, padding, strict=True)]
    else:
        least = [max(1, along + 1 - 2 * around) for along, around in zip(reach, padding, strict=True)]
    sizes = [size + draw(st.integers(0, 4 - axes)) for size in least]
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    layer = kinds[axes](*channels, kernel, bias=draw(st.booleans()), **options).double()
    batch = draw(st.sampled_from([(), (1,), (2,)]))
    inputs = torch.randn(*batch, channels[0], *sizes, dtype=torch.float64)
    output = layer(inputs)
    assume(output.numel() * layer.weight[0].numel() < 6_000 and inputs.numel() * layer.weight[0].numel() < 6_000)
    return layer, inputs, output


@given(convolutions(CONV))
def test_convolution(case):
    layer, inputs, output = case
    taps = layer.in_channels // layer.groups * prod(layer.kernel_size)
    outputs = output.numel()
    bias = outputs if layer.bias is not None else 0
    spent = counted(output, convolution, inputs, layer.weight, layer.bias, **options_of(layer))
    assert spent == Tally(multiplications=outputs * taps, additions=outputs * (taps - 1) + bias, macs=outputs * taps)


@given(convolutions(CONV))
def test_convolution_on_real_input_only(case):
    layer, inputs, output = case
    function = CONV_FUNCTION[len(layer.kernel_size)]
    real = function(torch.ones_like(inputs), torch.ones_like(layer.weight), **options_of(layer))
    assert real.shape == output.shape
    products = int(real.sum())
    additions = int((real - 1).clamp(min=0).sum()) + (output.numel() if layer.bias is not None else 0)
    spent = counted(output, convolution, inputs, layer.weight, layer.bias, skip_padding=True, **options_of(layer))
    assert spent == Tally(multiplications=products, additions=additions, macs=products)


@pytest.mark.parametrize(("kernel", "dilation"), [((3, 2), (1, 1)), ((4, 3), (1, 2)), ((2, 2), (3, 1))])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_same_padding_in_every_mode(kernel, dilation, mode):
    layer = nn.Conv2d(2, 1, kernel, padding="same", dilation=dilation, padding_mode=mode).double()
    inputs = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    options = options_of(layer, "padding_mode")
    output = layer(inputs)
    taps = 2 * prod(kernel)
    spent = counted(output, convolution, inputs, layer.weight, layer.bias, **options)
    assert spent == Tally(multiplications=20 * taps, additions=20 * taps, macs=20 * taps)
    skipping = counted(output, convolution, inputs, layer.weight, layer.bias, skip_padding=True, **options)
    assert (skipping == spent) == (mode != "zeros")


def test_a_3x3_kernel_in_a_4x4_image_by_hand():
    image, kernel, bias = torch.randn(1, 1, 4, 4), torch.randn(1, 1, 3, 3), torch.randn(1)
    image, kernel, bias = image.double(), kernel.double(), bias.double()
    padded = F.conv2d(image, kernel, bias, padding=1)
    assert counted(padded, convolution, image, kernel, bias, padding=1) == Tally(144, 144, macs=144)
    # rows see 2, 3, 3, 2 real taps, so all windows together (2 + 3 + 3 + 2)² = 100, in 16 sums
    real = counted(padded, convolution, image, kernel, bias, padding=1, skip_padding=True)
    assert real == Tally(100, 100 - 16 + 16, macs=100)
    assert counted(F.conv2d(image, kernel), convolution, image, kernel) == Tally(36, 32, macs=36)


def test_windows_on_padding_alone_cost_their_bias():
    line, kernel, bias = (torch.randn(*shape, dtype=torch.float64) for shape in [(1, 1, 1), (1, 1, 1), (1,)])
    output = F.conv1d(line, kernel, bias, padding=2)
    assert counted(output, convolution, line, kernel, bias, padding=2, skip_padding=True) == Tally(1, 5, macs=1)
    assert counted(output, convolution, line, kernel, bias, padding=2) == Tally(5, 5, macs=5)


def test_lenets_first_convolution_is_the_published_figure():
    layer = nn.Conv2d(1, 6, 5, padding=2, bias=False).double()
    inputs = torch.randn(1, 1, 28, 28, dtype=torch.float64)
    spent = counted(layer(inputs), convolution, inputs, layer.weight, padding=2)
    assert spent == Tally(multiplications=117_600, additions=112_896, macs=117_600)


def test_complex_convolution():
    layer = nn.Conv1d(2, 3, 2, padding=1, dtype=torch.complex128)
    inputs = torch.randn(1, 2, 4, dtype=torch.complex128)
    output = layer(inputs)
    assert output.numel() == 15
    spent = counted(output, convolution, inputs, layer.weight, layer.bias, padding=1)
    assert spent == Tally(multiplications=15 * 16, additions=15 * 14 + 30, macs=15 * 16)


@given(convolutions(TRANSPOSED))
def test_transposed_convolution(case):
    layer, inputs, output = case
    function = TRANSPOSED_FUNCTION[len(layer.kernel_size)]
    whole = options_of(layer) | {"padding": 0}
    reached = int((function(torch.ones_like(inputs), torch.ones_like(layer.weight), **whole) > 0).sum())
    products = inputs.numel() * layer.weight[0].numel()
    bias = output.numel() if layer.bias is not None else 0
    options = options_of(layer, "output_padding")
    spent = counted(output, transposed_convolution, inputs, layer.weight, layer.bias, **options)
    assert spent == Tally(multiplications=products, additions=products - reached + bias, macs=products)


def test_transposed_convolutions_by_hand():
    line, kernel, bias = (torch.randn(*shape, dtype=torch.float64) for shape in [(1, 1, 3), (1, 1, 2), (1,)])
    # stride 1: 6 products meet at 4 positions; 2: nothing meets; 3: one position in three stays empty
    for stride, additions in [(1, 2), (2, 0), (3, 0)]:
        output = F.conv_transpose1d(line, kernel, stride=stride)
        assert counted(output, transposed_convolution, line, kernel, stride=stride) == Tally(6, additions, macs=6)
    # cropping throws products away that were made all the same; the bias goes to holes and output padding too
    output = F.conv_transpose1d(line, kernel, bias, stride=3, padding=1, output_padding=2)
    options = {"stride": 3, "padding": 1, "output_padding": 2}
    assert output.numel() == 8
    assert counted(output, transposed_convolution, line, kernel, bias, **options) == Tally(6, 8, macs=6)
