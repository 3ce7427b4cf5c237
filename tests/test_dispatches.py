"""What a count by shapes does, in Python calls and operator dispatches: a slowdown shows here without a clock.

The ceilings are some 10 % above what was counted. Fewer is welcome; more has to have a reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import attrgetter
from types import FrameType
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer

from opcount import Profile, profile
from opcount.trace.answering import OperatorAnswerer


def small_swin() -> nn.Module:
    """Shifted windows, masks and merging, in four blocks."""
    return SwinTransformer([4, 4], 24, [2, 2], [2, 4], [7, 7], num_classes=10)


class Normalized(nn.BatchNorm2d):
    """A normalization with a forward of its own, and what may follow it, as libraries of models have it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.dropped, self.activated = nn.Identity(), nn.ReLU()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.1, self.eps)
        past = torch.tensor([], dtype=x.dtype, device=x.device)
        x = torch.cat((past, x.contiguous().to(x.dtype))) * self.scale.view(-1, 1, 1)
        return self.activated(self.dropped(x))  # type: ignore[no-any-return]


def normalized() -> nn.Module:
    """Eight convolutions, each with that."""
    return nn.Sequential(*(layer for _ in range(8) for layer in (nn.Conv2d(3, 3, 3), Normalized(3))))


def work(model: nn.Module, size: tuple[int, ...], read: Callable[[Profile], object]) -> tuple[int, int]:
    """Python calls of a warm count that is read, and the operators that had to be answered one by one."""
    profile(model, size)
    calls, dispatches = 0, 0
    dispatch = OperatorAnswerer.__torch_dispatch__

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal dispatches
        dispatches += 1
        return dispatch(*args, **kwargs)

    def on_call(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    with mock.patch.object(OperatorAnswerer, "__torch_dispatch__", counting):
        profile(model, size)
    before = sys.getprofile()
    sys.setprofile(on_call)
    try:
        read(profile(model, size))
    finally:
        sys.setprofile(before)
    return calls, dispatches


FIGURES, ROWS = attrgetter("total"), attrgetter("layers")


@pytest.mark.parametrize(
    ("build", "read", "python_calls"),
    [
        (models.resnet18, FIGURES, 2_900),
        (models.resnet18, ROWS, 4_200),
        (models.mobilenet_v3_small, FIGURES, 6_500),
        (models.mobilenet_v3_small, ROWS, 10_500),
        (small_swin, FIGURES, 5_600),
        (small_swin, ROWS, 7_000),
        (normalized, FIGURES, 2_800),
    ],
    ids=[
        "resnet18",
        "resnet18 rows",
        "mobilenet_v3_small",
        "mobilenet_v3_small rows",
        "swin",
        "swin rows",
        "normalized",
    ],
)
def test_a_warm_count_does_no_more_than_it_did(build: Any, read: Any, python_calls: int) -> None:
    with torch.device("meta"):
        model = build().eval()
    calls, dispatches = work(model, (1, 3, 224, 224), read)
    assert dispatches == 0
    assert calls <= python_calls, calls
