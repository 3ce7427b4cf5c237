"""The models that are tortured: of the gauntlet, of torchvision, and drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gauntlet.cases import CASES


@dataclass(frozen=True)
class Subject:
    """A model to be built, what it is called with, and within what."""

    name: str
    build: Callable[[], tuple[nn.Module, Any, dict[str, Any]]]
    context: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)

    def __str__(self) -> str:
        return self.name


def gauntlet() -> list[Subject]:
    """Every case of the gauntlet."""

    def built(case: Any) -> Callable[[], tuple[nn.Module, Any, dict[str, Any]]]:
        def build() -> tuple[nn.Module, Any, dict[str, Any]]:
            made = case.build()
            return made.model, made.args, made.kwargs

        return build

    return [Subject(f"{case.family}-{case.name}", built(case), case.context) for case in CASES]


def torchvision(*names: str) -> list[Subject]:
    """Models of torchvision with their weights, on what they are usually called with; all of them if none is named."""
    from benchmarks import zoo

    families = {name: family for family in zoo.FAMILIES for name in zoo.names(family) if not names or name in names}

    def built(name: str, family: str) -> Callable[[], tuple[nn.Module, Any, dict[str, Any]]]:
        def build() -> tuple[nn.Module, Any, dict[str, Any]]:
            torch.manual_seed(zoo.SEED)
            model, inputs = zoo.build(name, family)
            return model, inputs, {}

        return build

    return [Subject(name, built(name, family)) for name, family in families.items()]


def drawn(seed: int) -> Subject:
    """A random network of the layers that keep, draw, change or share state."""

    def build() -> tuple[nn.Module, Any, dict[str, Any]]:
        draw = random.Random(seed)
        torch.manual_seed(seed)
        width = draw.choice([2, 4, 6])
        layers = [draw.choice(_MAKERS)(width) for _ in range(draw.randint(2, 7))]
        if draw.random() < 0.3:
            layers.append(layers[0])
        model = nn.Sequential(*layers).train(draw.random() < 0.5)
        for module in model.modules():
            if draw.random() < 0.2:
                module.train(not module.training)
        for parameter in model.parameters():
            parameter.requires_grad_(draw.random() < 0.7)
            if draw.random() < 0.3:
                parameter.grad = torch.ones_like(parameter)
        wanted = draw.random() < 0.5 and not isinstance(
            layers[0], nn.ReLU
        )  # which works in place, and may not on a leaf
        return model, torch.randn(3, width, requires_grad=wanted), {}

    return Subject(f"random network {seed}", build)


class Remembers(nn.Module):
    """Keeps what it saw, in a buffer, a list and an attribute."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.history: list[Tensor] = []
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(x.detach().mean(0))
        self.history.append(x)
        self.last = x
        return x - self.mean


class Draws(nn.Module):
    """Draws random numbers from torch and from Python."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x) * random.random()


class InPlace(nn.Module):
    """Changes its own weight, as spectral normalization and its like do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.weight.div_(self.weight.norm())
        return x @ self.weight


class Residual(nn.Module):
    """x + f(x)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(0.3), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Hooked(nn.Linear):
    """A layer with hooks of its user's."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)
        self.register_forward_hook(lambda module, args, output: output * 2)
        self.register_forward_pre_hook(lambda module, args: (args[0] + 1,))


def _weight_norm(width: int) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(nn.Linear(width, width))


def _spectral_norm(width: int) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Linear(width, width))


_MAKERS: list[Callable[[int], nn.Module]] = [
    lambda width: nn.Linear(width, width),
    lambda width: nn.BatchNorm1d(width),
    lambda width: nn.LayerNorm(width),
    lambda width: nn.Dropout(0.5),
    lambda width: nn.ReLU(inplace=True),
    lambda width: Draws(),
    Remembers,
    InPlace,
    Residual,
    Hooked,
    _weight_norm,
    _spectral_norm,
]
