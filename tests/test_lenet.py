"""The study's operation figures, to the last digit, from hand-derived tables."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lenet.models import Depthwise, Regular
from opcount import Convention, OpCount, profile

NO_BIAS = Convention(bias=False)

# outputs x taps, and one addition less for each output
REGULAR = {
    "conv1": (6 * 28 * 28, 25),
    "conv2": (16 * 10 * 10, 6 * 25),
    "conv3": (120, 16 * 25),
}
DEPTHWISE = {
    "conv1.depthwise": (28 * 28, 25),
    "conv1.pointwise": (6 * 28 * 28, 1),
    "conv2.depthwise": (6 * 10 * 10, 25),
    "conv2.pointwise": (16 * 10 * 10, 6),
    "conv3.depthwise": (16, 25),
    "conv3.pointwise": (120, 16),
}


@pytest.mark.parametrize(("model", "table"), [(Regular(), REGULAR), (Depthwise(), DEPTHWISE)])
def test_each_convolution_without_bias(model: nn.Module, table: dict[str, tuple[int, int]]) -> None:
    convolutions = profile(model, convention=NO_BIAS).only(nn.Conv2d)
    assert [record.path for record in convolutions] == list(table)
    for path, (outputs, taps) in table.items():
        products = outputs * taps
        assert convolutions[path].ops == OpCount(products, products - outputs, macs=products)


def test_totals_of_the_study() -> None:
    regular = profile(Regular(), convention=NO_BIAS).only("conv")
    depthwise = profile(Depthwise(), convention=NO_BIAS).only("conv")
    assert (regular.multiplications, regular.additions, regular.total) == (405_600, 399_176, 804_776)
    assert (depthwise.multiplications, depthwise.additions, depthwise.total) == (51_224, 43_400, 94_624)
    assert regular.macs == regular.multiplications
    assert round(100 * (1 - depthwise.total / regular.total), 2) == 88.24
    assert round(100 * (1 - depthwise.multiplications / regular.multiplications), 2) == 87.37
    assert round(100 * (1 - depthwise.additions / regular.additions), 2) == 89.13


@pytest.mark.parametrize(
    ("layer", "before", "after", "reduction"),
    [("conv1", 117_600, 24_304, 79.33), ("conv2", 240_000, 24_600, 89.75), ("conv3", 48_000, 2_320, 95.17)],
)
def test_layers_of_the_study(layer: str, before: int, after: int, reduction: float) -> None:
    regular, depthwise = (profile(model, convention=NO_BIAS) for model in (Regular(), Depthwise()))
    assert regular[layer].subtree.multiplications == before
    assert depthwise[layer].subtree.multiplications == after
    assert round(100 * (1 - after / before), 2) == reduction


def test_whole_network_by_default() -> None:
    """Bias, pooling, activations and linear layers included, each figure by hand."""
    bias = 4_704 + 1_600 + 120
    pools, divided = (1_176 + 400) * 3, 1_176 + 400
    linear = 120 * 84 + 84 * 10
    tanh = 4_704 + 1_600 + 120 + 84
    counted = profile(Regular())
    assert counted.ops == OpCount(
        multiplications=405_600 + linear,
        additions=399_176 + bias + pools + linear,  # of a linear layer: in - 1 sums and one bias an output
        divisions=divided,
        transcendentals=tanh,
        macs=405_600 + linear,
    )
    assert counted.complete
    assert counted.params == 61_706


def test_parameters() -> None:
    """The parameters of LeNet-5 as PyTorch sums them, and of its twin by hand."""
    pairs = ((1 * 25 + 1) + (1 * 6 + 6)) + ((6 * 25 + 6) + (6 * 16 + 16)) + ((16 * 25 + 16) + (16 * 120 + 120))
    assert profile(Depthwise()).params == pairs + (120 * 84 + 84) + (84 * 10 + 10)
    for model in (Regular(), Depthwise()):
        assert profile(model).params == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("model", [Regular(), Depthwise()])
def test_both_classify_images(model: nn.Module) -> None:
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
