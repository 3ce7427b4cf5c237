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
from torch import nn
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer

from opcount import Profile, profile
from opcount.trace.answering import OperatorAnswerer


def small_swin() -> nn.Module:
    """Shifted windows, masks and merging, in four blocks."""
    return SwinTransformer([4, 4], 24, [2, 2], [2, 4], [7, 7], num_classes=10)


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
        (models.resnet18, FIGURES, 3_450),
        (models.resnet18, ROWS, 4_300),
        (models.mobilenet_v3_small, FIGURES, 9_200),
        (models.mobilenet_v3_small, ROWS, 12_100),
        (small_swin, FIGURES, 6_600),
        (small_swin, ROWS, 7_700),
    ],
    ids=["resnet18", "resnet18 rows", "mobilenet_v3_small", "mobilenet_v3_small rows", "swin", "swin rows"],
)
def test_a_warm_count_does_no_more_than_it_did(build: Any, read: Any, python_calls: int) -> None:
    with torch.device("meta"):
        model = build().eval()
    calls, dispatches = work(model, (1, 3, 224, 224), read)
    assert dispatches == 0
    assert calls <= python_calls, calls
