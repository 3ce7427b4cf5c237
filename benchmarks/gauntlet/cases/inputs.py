"""Other ways into a model and out of it, and other modes to run it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gauntlet.case import Built, Family, module

family = Family("inputs")


@family.case("one vector, without rows", macs=20 * 10, additions=20 * (10 - 1))
def linear_unbatched() -> Built:
    return Built(nn.Linear(10, 20, bias=False), (torch.randn(10),))


@family.case("every leading dimension is a row", macs=(2 * 3 * 4) * 7 * 5, additions=(2 * 3 * 4) * 7 * (5 - 1))
def linear_4d() -> Built:
    return Built(nn.Linear(5, 7, bias=False), (torch.randn(2, 3, 4, 5),))


@family.case("keyword-only arguments", macs=3 * 5 * 8, additions=3 * 5 * (8 - 1))
def keyword_only() -> Built:
    def forward(_: Any, *, query: Tensor, memory: Tensor) -> Tensor:
        return query @ memory.T

    kwargs = {"query": torch.randn(3, 8), "memory": torch.randn(5, 8)}
    return Built(module(forward), (), kwargs)


# The scores are 3 by 5 dots of 8; the temperature divides each.
@family.case(
    "a positional argument, a keyword and a number",
    macs=3 * 5 * 8,
    additions=3 * 5 * (8 - 1),
    divisions=3 * 5,
)
def keyword_and_number() -> Built:
    def forward(_: Any, query: Tensor, memory: Tensor, temperature: float = 1.0) -> Tensor:
        return query @ memory.T / temperature

    kwargs = {"memory": torch.randn(5, 8), "temperature": 2.0}
    return Built(module(forward), (torch.randn(3, 8),), kwargs)


@family.case("a dictionary as the only argument", macs=4 * 16 * (3 * 9), additions=4 * 16 * (3 * 9 - 1))
def dictionary_input() -> Built:
    def forward(self: Any, batch: dict[str, Tensor]) -> Tensor:
        result: Tensor = self.conv(batch["image"])
        return result

    batch = {"image": torch.randn(1, 3, 6, 6), "mask": torch.ones(1, 6, 6)}
    return Built(module(forward, conv=nn.Conv2d(3, 4, 3, bias=False)), (batch,))


@family.case(
    "a list of scales through one convolution",
    macs=(36 + 16) * 3 * (2 * 9),
    additions=(36 + 16) * 3 * (2 * 9 - 1),
)
def list_of_scales() -> Built:
    def forward(self: Any, scales: list[Tensor]) -> list[Tensor]:
        return [self.conv(x) for x in scales]

    scales = [torch.randn(1, 2, 6, 6), torch.randn(1, 2, 4, 4)]
    return Built(module(forward, conv=nn.Conv2d(2, 3, 3, padding=1, bias=False)), (scales,))


@dataclass
class Prediction:
    """What a model returns that is no tensor."""

    logits: Tensor
    hidden: Tensor | None = None


@family.case("a dataclass as the result", macs=2 * 8 * 6, additions=2 * 8 * (6 - 1))
def dataclass_output() -> Built:
    def forward(self: Any, x: Tensor) -> Prediction:
        return Prediction(self.layer(x))

    return Built(module(forward, layer=nn.Linear(6, 8, bias=False)), (torch.randn(2, 6),))


@family.case("a forward under inference mode", macs=2 * 8 * 6, additions=2 * 8 * (6 - 1))
def inference_mode() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        with torch.inference_mode():
            result: Tensor = self.layer(x)
        return result

    return Built(module(forward, layer=nn.Linear(6, 8, bias=False)), (torch.randn(2, 6),))


@family.case(
    "autocast: casts are free and the product is one",
    macs=2 * 8 * 6 + 2 * 4 * 8,
    additions=2 * 8 * (6 - 1) + 2 * 4 * (8 - 1),
)
def autocast() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result: Tensor = self.layers(x)
        return result

    layers = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Linear(8, 4, bias=False))
    return Built(module(forward, layers=layers), (torch.randn(2, 6),))


# In training each of 2·10 elements is compared with the probability and scaled.
@family.case(
    "a model counted in training mode, with dropout",
    macs=2 * 10 * 10,
    products=2 * 10,
    additions=2 * 10 * (10 - 1),
    comparisons=2 * 10,
    training=True,
)
def dropout_training() -> Built:
    return Built(nn.Sequential(nn.Linear(10, 10, bias=False), nn.Dropout(0.5)), (torch.randn(2, 10),))


# 2·10 outputs: scaled, shifted, compared with zero.
@family.case(
    "arithmetic in place, with operators and methods",
    macs=2 * 10 * 10,
    products=2 * 10,
    additions=2 * 10 * (10 - 1) + 2 * 10,
    comparisons=2 * 10,
    grad=False,
)
def in_place() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        y *= 2.0
        y.add_(1.0)
        return y.relu_()

    return Built(module(forward, layer=nn.Linear(10, 10, bias=False)), (torch.randn(2, 10),))
