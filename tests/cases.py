"""Random layers with an input, the numbers of their closed form worked out by hand, and the loops that define them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from opcount import OpCount
from opcount.formulas import contraction, normalization, pointwise, pooling
from opcount.ops import FIGURES
from tests.reference import (
    activation as activation_loops,
    convolution as convolution_loops,
    count,
    linear as linear_loops,
    machine,
    normalization as normalization_loops,
    pooling as pooling_loops,
)

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
MAXIMUM = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
ADAPTIVE_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
ADAPTIVE_MAXIMUM = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@dataclass
class Case:
    """A layer and its input, what its closed form says, and the loops that count it when they are run."""

    layer: nn.Module
    input: torch.Tensor
    closed_form: OpCount
    run: Callable[[], Any]

    def by_running(self) -> OpCount:
        """What the loops counted. That their values are PyTorch's own is tested beside them."""
        _, tally = self.run()
        return OpCount(**{figure: getattr(tally, figure) for figure in FIGURES})


def sizes(draw: Any, axes: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(axes))


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


def batched(batch: int | None) -> tuple[int, ...]:
    return () if batch is None else (batch,)


@st.composite
def convolutions(draw: Any, *, axes: tuple[int, ...] = (1, 2, 3), depthwise: bool = False) -> Case:
    """Any convolution: grouped or depthwise, batched or not, strided, dilated, padded in every way."""
    dims, groups = draw(st.sampled_from(axes)), draw(st.integers(1, 3))
    in_channels = groups if depthwise else groups * draw(st.integers(1, 2))
    out_channels = groups * draw(st.integers(1, 2))
    kernel, dilation = sizes(draw, dims, 1, 3), sizes(draw, dims, 1, 2)
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    padding = draw(st.sampled_from(["same", "valid", sizes(draw, dims, 0, 2)]))
    stride = (1,) * dims if padding == "same" else sizes(draw, dims, 1, 3)
    reach = [gap * (size - 1) + 1 for gap, size in zip(dilation, kernel)]
    extent = tuple(size + draw(st.integers(0, 4 - dims)) + (2 if mode != "zeros" else 0) for size in reach)
    batch, bias = draw(st.sampled_from([None, 1, 2])), draw(st.booleans())
    if padding == "same":
        around = tuple(gap * (size - 1) for gap, size in zip(dilation, kernel))
    else:
        around = (0,) * dims if padding == "valid" else tuple(2 * side for side in padding)
    output = tuple((n + a - r) // s + 1 for n, a, r, s in zip(extent, around, reach, stride))
    outputs = (batch or 1) * out_channels * prod(output)
    closed = contraction.dots(outputs, in_channels // groups * prod(kernel)) + contraction.bias(outputs * bias)
    image = normal(*batched(batch), in_channels, *extent)
    options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=mode)
    layer = CONVOLUTIONS[dims](in_channels, out_channels, kernel, bias=bias, dtype=torch.float64, **options)
    return Case(
        layer,
        image,
        closed,
        lambda: count(convolution_loops.convolution, image, layer.weight, layer.bias, **options),
    )


@st.composite
def transposed_convolutions(draw: Any) -> Case:
    """Any transposed convolution: grouped, strided, dilated, cropped, with output padding."""
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    in_channels, out_channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, dilation = sizes(draw, dims, 1, 3), sizes(draw, dims, 1, 3), sizes(draw, dims, 1, 2)
    padding = tuple(draw(st.integers(0, gap * (size - 1))) for gap, size in zip(dilation, kernel))
    extra = tuple(draw(st.integers(0, max(step, gap) - 1)) for step, gap in zip(stride, dilation))
    extent = tuple(side + (2 if dims < 3 else 1) for side in padding)
    batch, bias = draw(st.sampled_from([None, 1, 2])), draw(st.booleans())
    full = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(extent, stride, dilation, kernel)]
    outputs = (batch or 1) * out_channels * prod(n - 2 * p + e for n, p, e in zip(full, padding, extra))
    closed = contraction.transposed_convolution(
        batch or 1, in_channels, out_channels, groups, kernel, extent, stride, dilation
    )
    image = normal(*batched(batch), in_channels, *extent)
    options = dict(stride=stride, padding=padding, output_padding=extra, dilation=dilation, groups=groups)
    layer = TRANSPOSED[dims](in_channels, out_channels, kernel, bias=bias, dtype=torch.float64, **options)
    return Case(
        layer,
        image,
        closed + contraction.bias(outputs * bias),
        lambda: count(convolution_loops.transposed_convolution, image, layer.weight, layer.bias, **options),
    )


@st.composite
def linears(draw: Any) -> Case:
    """A linear layer behind any leading dimensions, none included."""
    before, after = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    lead = sizes(draw, draw(st.integers(0, 3)), 1, 3)
    layer = nn.Linear(before, after, bias=draw(st.booleans()), dtype=torch.float64)
    rows = normal(*lead, before)
    outputs = prod(lead) * after
    closed = contraction.dots(outputs, before) + contraction.bias(0 if layer.bias is None else outputs)
    return Case(layer, rows, closed, lambda: count(linear_loops.linear, rows, layer.weight, layer.bias))


def _windows(draw: Any, dims: int, *, dilated: bool) -> tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]:
    """Options of a pooling layer, an input size they fit, and the output size by PyTorch's documentation."""
    kernel, stride = sizes(draw, dims, 1, 3), sizes(draw, dims, 1, 3)
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    dilation = sizes(draw, dims, 1, 2) if dilated else (1,) * dims
    ceil = draw(st.booleans())
    reach = [gap * (size - 1) + 1 for gap, size in zip(dilation, kernel)]
    extent = tuple(size + draw(st.integers(0, 5 - dims)) for size in reach)
    output = []
    for n, p, r, s in zip(extent, padding, reach, stride):
        slack = n + 2 * p - r
        size = -(-slack // s) + 1 if ceil else slack // s + 1
        output.append(size - 1 if ceil and (size - 1) * s >= n + p else size)  # no window starts behind the input
    options = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil)
    return options, extent, tuple(output)


@st.composite
def average_pools(draw: Any) -> Case:
    """Average pooling with padding, ceil_mode, either way of counting padding, and any divisor."""
    dims = draw(st.integers(1, 3))
    options, extent, output = _windows(draw, dims, dilated=False)
    kernel = options.pop("kernel")
    options.pop("dilation")
    options["count_include_pad"] = draw(st.booleans())
    if dims > 1 and draw(st.booleans()):
        options["divisor_override"] = draw(st.integers(1, 5))
    lead = draw(st.sampled_from([(2,), (1, 2), (2, 2)]))
    image = normal(*lead, *extent)
    closed = pooling.average_pool(
        prod(lead), kernel=kernel, input=extent, output=output, stride=options["stride"], padding=options["padding"]
    )
    layer = AVERAGE[dims](kernel, **options)
    return Case(layer, image, closed, lambda: count(pooling_loops.avg_pool, image, kernel, **options))


@st.composite
def max_pools(draw: Any) -> Case:
    """Max pooling with padding, dilation and ceil_mode."""
    dims = draw(st.integers(1, 3))
    options, extent, output = _windows(draw, dims, dilated=True)
    kernel = options.pop("kernel")
    numbers = {name: options[name] for name in ("stride", "padding", "dilation")}
    lead = draw(st.sampled_from([(2,), (1, 2), (2, 2)]))
    image = normal(*lead, *extent)
    closed = pooling.max_pool(prod(lead), kernel=kernel, input=extent, output=output, **numbers)
    layer = MAXIMUM[dims](kernel, **options)
    return Case(layer, image, closed, lambda: count(pooling_loops.max_pool, image, kernel, **options))


@st.composite
def adaptive_pools(draw: Any) -> Case:
    """Adaptive pooling to more, fewer or as many positions, so with unequal and overlapping windows."""
    dims, averages = draw(st.integers(1, 3)), draw(st.booleans())
    extent, output = sizes(draw, dims, 1, 7 - dims), sizes(draw, dims, 1, 7 - dims)
    lead = draw(st.sampled_from([(2,), (1, 2)]))
    image = normal(*lead, *extent)
    layer = (ADAPTIVE_AVERAGE if averages else ADAPTIVE_MAXIMUM)[dims](output if dims > 1 else output[0])
    loops = pooling_loops.adaptive_avg_pool if averages else pooling_loops.adaptive_max_pool
    formula = pooling.adaptive_average_pool if averages else pooling.adaptive_max_pool
    return Case(layer, image, formula(prod(lead), extent, output), lambda: count(loops, image, output))


@st.composite
def batch_norms(draw: Any) -> Case:
    """Batch normalization, training or not, with and without running statistics and an affine map."""
    dims, training = draw(st.integers(1, 3)), draw(st.booleans())
    affine, tracked = draw(st.booleans()), draw(st.booleans())
    batch, channels = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    layer = BATCH_NORMS[dims](channels, affine=affine, track_running_stats=tracked, dtype=torch.float64)
    layer.train(training)
    image = normal(batch, channels, *sizes(draw, dims, 1, 2))
    elements = image.numel()
    if tracked and not training:
        closed = normalization.fixed_normalization(elements)
    else:
        closed = normalization.normalization(channels, elements // channels)
        closed += OpCount(multiplications=elements, additions=elements) if affine else OpCount()
        closed += normalization.running_update(channels) if tracked else OpCount()
    tensors = (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    before = [None if tensor is None else tensor.detach().clone() for tensor in tensors]
    loops = normalization_loops.batch_norm
    return Case(layer, image, closed, lambda: count(loops, image, *before, training=training))


ACTIVATIONS = (
    (nn.ReLU(), "relu", activation_loops.relu),
    (nn.ReLU(inplace=True), "relu", activation_loops.relu),
    (nn.Tanh(), "tanh", activation_loops.elementwise(machine.tanh)),
    (nn.Sigmoid(), "sigmoid", activation_loops.sigmoid),
)


@st.composite
def activations(draw: Any) -> Case:
    """The activations of LeNet, on any shape, empty ones too, in place or not."""
    layer, formula, loops = draw(st.sampled_from(ACTIVATIONS))
    values = normal(*sizes(draw, draw(st.integers(0, 3)), 0, 3))
    closed = pointwise.POINTWISE[formula] * values.numel()
    return Case(layer, values, closed, lambda: count(loops, values))
