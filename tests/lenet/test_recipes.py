"""The networks as recipes vary them: the study's operations at width 1, equal outputs once batch norm is folded."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lenet.augmentation import affine_maps, transform
from lenet.errors import StudyError
from lenet.fast import arrange
from lenet.models import ACTIVATIONS, KINDS, POOLINGS, build, fold
from lenet.recipes import RECIPES, recipe_of
from opcount import Convention, profile

STUDIED = Convention(bias=False)
TOTALS = {"regular": 804_776, "depthwise": 94_624}


def lived(model: nn.Module) -> nn.Module:
    """The model with norms that have seen something, as after training."""
    for layer in model.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return model.eval()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("kind", KINDS)
def test_every_recipe_costs_what_the_study_says(kind: str, recipe: Any) -> None:
    model = fold(build(kind, **recipe.architecture()))
    counted = profile(model, (1, 1, 28, 28), convention=STUDIED).only("conv")
    assert counted.total == TOTALS[kind]
    assert not [layer for layer in model.modules() if "BatchNorm" in type(layer).__name__]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_folding_changes_nothing(kind: str, activation: str, pooling: str) -> None:
    torch.manual_seed(0)
    model = lived(build(kind, width=0.5, activation=activation, pooling=pooling, batch_norm=True))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randn(5, 1, 28, 28)
    expected = model(images)
    folded = fold(model)
    assert torch.allclose(folded(images), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(build(kind, width=0.5)(images), expected, atol=1e-2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    plain = build(kind, width=0.5, activation=activation, pooling=pooling)
    assert [name for name, _ in folded.named_modules()] == [name for name, _ in plain.named_modules()]


def test_folding_without_a_layer_before() -> None:
    for layers in ([nn.BatchNorm2d(1)], [nn.Linear(3, 4), nn.Sequential(nn.Tanh()), nn.BatchNorm1d(4)]):
        with pytest.raises(StudyError, match="follows no convolution and no linear layer"):
            fold(nn.Sequential(*layers))


@pytest.mark.parametrize(
    ("width", "channels"), [(0.5, (3, 8, 60, 42)), (1.0, (6, 16, 120, 84)), (2.0, (12, 32, 240, 168))]
)
def test_widths(width: float, channels: tuple[int, ...]) -> None:
    """Multiplications by hand: taps times outputs."""
    first, second, third, hidden = channels
    regular = 25 * first * 784 + 25 * first * second * 100 + 25 * second * third
    assert profile(build("regular", width=width), convention=STUDIED).only("conv").macs == regular
    separable = 25 * 784 + first * 784 + 25 * first * 100 + first * second * 100 + 25 * second + second * third
    counted = profile(build("depthwise", width=width), convention=STUDIED)
    assert counted.only("conv").macs == separable
    assert counted.only("linear").macs == third * hidden + hidden * 10


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"kind": "regulr"}, "no model 'regulr'; there are regular, depthwise"),
        ({"activation": "gelu"}, "no activation 'gelu'"),
        ({"pooling": "mean"}, "no pooling 'mean'"),
        ({"width": 0}, "a width multiplier is a number above 0"),
        ({"width": float("nan")}, "a width multiplier is a number above 0"),
    ],
)
def test_what_cannot_be_built(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StudyError, match=complaint):
        build(**{"kind": "regular", **options})


def test_unknown_recipe() -> None:
    with pytest.raises(StudyError, match="no recipe 'old'; there are original, modern"):
        recipe_of("old")


@pytest.mark.parametrize("width", [0.25, 1.0, 1.5])
@pytest.mark.parametrize(
    ("activation", "pooling", "batch_norm"),
    [("tanh", "average", False), ("silu", "average", True), ("relu", "max", False), ("tanh", "max", True)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_arranged_for_the_cpu_it_is_the_same_network(
    kind: str, activation: str, pooling: str, batch_norm: bool, width: float
) -> None:
    """Logits, gradients and what batch norm keeps, with the same names and weights; in double precision."""
    torch.manual_seed(1)
    model = build(kind, width=width, activation=activation, pooling=pooling, batch_norm=batch_norm).double()
    twin = arrange(copy.deepcopy(model))
    images, labels = torch.randn(8, 1, 28, 28).double(), torch.arange(8)
    for network in (model, twin):
        torch.nn.functional.cross_entropy(network(images), labels).backward()
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-9, atol=1e-12)
    theirs = twin.state_dict()
    assert model.state_dict().keys() == theirs.keys()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-12)
    for network in (fold(model), arrange(fold(model))):
        torch.testing.assert_close(network(images), model.eval()(images), rtol=1e-9, atol=1e-12)


def test_arranged_convolutions_without_bias() -> None:
    """As regular and as grouped ones."""
    for kind in KINDS:
        model = build(kind).double()
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_parameter("bias", None)
        images = torch.randn(3, 1, 28, 28).double()
        expected = model(images)
        torch.testing.assert_close(arrange(model)(images), expected, rtol=1e-9, atol=1e-12)


def test_augmentation_is_small_and_seeded() -> None:
    """A point at the edge of the image moves by the rotation, the scaling and the shift together, and no more."""
    maps = affine_maps(500, 28, torch.Generator().manual_seed(0))
    assert torch.equal(maps, affine_maps(500, 28, torch.Generator().manual_seed(0)))
    identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    moved = (maps - identity).abs().amax(0)
    assert moved[:, 2].max() <= 1.4 / 28  # 0.7 pixels, where the image spans 2
    assert moved[0, 1] <= 0.0698 * 1.04  # the sine of 4 degrees, scaled
    assert moved[0, 0] <= 0.04 + 0.0025 * 1.04
    assert maps[:, 0, 2].std() > 0.02


def test_a_shift_by_hand() -> None:
    """One pixel to the left is what one pixel to the right of each place was."""
    images = torch.rand(2, 1, 28, 28)
    right = torch.tensor([[1.0, 0.0, 2 / 28], [0.0, 1.0, 0.0]]).expand(2, 2, 3)
    expected = torch.cat([images[..., 1:], torch.zeros(2, 1, 28, 1)], 3)
    assert torch.allclose(transform(images, right), expected, atol=1e-5)
