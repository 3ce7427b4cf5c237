"""Layers that are not quite the layers they derive from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from benchmarks.gauntlet.case import Built, Family, weight

family = Family("subclass")


class Projection(nn.Linear):
    """A linear layer by another name."""


@family.case("a subclass that changes nothing", macs=10 * 10, additions=10 * (10 - 1))
def linear_subclass() -> Built:
    return Built(nn.Sequential(Projection(10, 10, bias=False)), (torch.randn(1, 10),))


class LowRankAdapter(nn.Linear):
    """A linear layer with a scaled update of rank two beside it."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, bias=False)
        self.down = weight(width, 2)
        self.up = weight(2, width)

    def forward(self, input: Tensor) -> Tensor:
        """Add the update to the layer's own output."""
        return super().forward(input) + 0.5 * (input @ self.down @ self.up)


# Three rows: the layer 16->16, down to 2, up to 16, then a scale and an addition for each of 3·16.
@family.case(
    "a LoRA layer: a subclass that calls the layer's forward and adds to it",
    macs=3 * 16 * 16 + 3 * 2 * 16 + 3 * 16 * 2,
    products=3 * 16,
    additions=3 * 16 * 15 + 3 * 2 * 15 + 3 * 16 * 1 + 3 * 16,
)
def lora() -> Built:
    return Built(nn.Sequential(LowRankAdapter(16)), (torch.randn(3, 16),))


class Fallback(nn.Linear):
    """A linear layer whose forward does not multiply at all."""

    def forward(self, input: Tensor) -> Tensor:
        """Pass the input on."""
        return input


@family.case("a subclass whose forward skips the layer", macs=10 * 10, additions=10 * (10 - 1))
def skipping_subclass() -> Built:
    return Built(nn.Sequential(nn.Linear(10, 10, bias=False), Fallback(10, 10)), (torch.randn(1, 10),))


class SamePadConv2d(nn.Conv2d):
    """Pads by hand so that a strided output covers the input, as TensorFlow does."""

    def forward(self, input: Tensor) -> Tensor:
        """Pad one on each side, then convolve."""
        return super().forward(F.pad(input, (1, 1, 1, 1)))


# (7 + 2 - 3) // 2 + 1 = 4.
@family.case(
    "a convolution that pads by hand first",
    macs=8 * 16 * (3 * 9),
    additions=8 * 16 * (3 * 9 - 1),
)
def conv_subclass() -> Built:
    return Built(nn.Sequential(SamePadConv2d(3, 8, 3, stride=2, bias=False)), (torch.randn(1, 3, 7, 7),))


class StandardisedConv2d(nn.Conv2d):
    """Standardises its weight at every call."""

    def forward(self, input: Tensor) -> Any:
        """Centre and scale each filter, then convolve."""
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        w = w / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return self._conv_forward(input, w, self.bias)


# 8 filters of 27. Mean: 26 additions, 1 division. Centre: 27. Deviation: a mean again, 27 differences, 27 squares,
# 26 additions, 1 division, 1 root. The epsilon: 1. Then 27 divisions. The convolution has 4x4 outputs.
@family.case(
    "a weight-standardised convolution: the forward is its own, and so is the work on the weight",
    macs=8 * 16 * 27,
    products=8 * 27,
    additions=8 * (26 + 27 + (26 + 27 + 26) + 1) + 8 * 16 * 26,
    divisions=8 * (1 + 2 + 27),
    transcendentals=8,
)
def weight_standardised_conv() -> Built:
    return Built(nn.Sequential(StandardisedConv2d(3, 8, 3, bias=False)), (torch.randn(1, 3, 6, 6),))


# What a parametrization does to make the weight is no part of the layer.
@family.case("weight_norm: a parametrized class, its weight is no parameter", macs=10 * 10, additions=10 * (10 - 1))
def weight_norm() -> Built:
    return Built(nn.Sequential(parametrizations.weight_norm(nn.Linear(10, 10, bias=False))), (torch.randn(1, 10),))


@family.case(
    "spectral_norm: making the weight takes products that are not the layer's",
    macs=8 * 16 * (3 * 9),
    additions=8 * 16 * (3 * 9 - 1),
)
def spectral_norm() -> Built:
    layer = parametrizations.spectral_norm(nn.Conv2d(3, 8, 3, bias=False))
    return Built(nn.Sequential(layer), (torch.randn(1, 3, 6, 6),))


@family.case("a lazy linear layer between others", macs=24 * 12 + 6 * 24, additions=24 * 11 + 6 * 23)
def linear_lazy() -> Built:
    model = nn.Sequential(nn.Linear(12, 24, bias=False), nn.LazyLinear(6, bias=False))
    return Built(model, (torch.randn(1, 12),))


class ConvolutionFreeGate(nn.Module):
    """Has Conv in its name and a weight, and multiplies element by element."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = weight(width)

    def forward(self, x: Tensor) -> Tensor:
        """Scale every element."""
        return x * self.weight


@family.case("a class with Conv in its name that convolves nothing", macs=0, products=4 * 50)
def convolution_in_name_only() -> Built:
    return Built(nn.Sequential(ConvolutionFreeGate(50)), (torch.randn(4, 50),))
