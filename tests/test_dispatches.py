"""What a count by shapes does, in Python calls and operator dispatches: a slowdown shows here without a clock.

The ceilings are some 10 % above what was counted. Fewer is welcome; more has to have a reason.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer

from opcount import profile
from opcount.trace.answering import OperatorAnswerer


def small_swin() -> nn.Module:
    """Shifted windows, masks and merging, in four blocks."""
    return SwinTransformer([4, 4], 24, [2, 2], [2, 4], [7, 7], num_classes=10)


def work(model: nn.Module, size: tuple[int, ...]) -> tuple[int, int]:
    """Python calls of a warm count, and the operators that had to be answered one by one."""
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
        profile(model, size)
    finally:
        sys.setprofile(before)
    return calls, dispatches


@pytest.mark.parametrize(
    ("build", "python_calls", "operators"),
    [(models.resnet18, 4_300, 0), (models.mobilenet_v3_small, 12_300, 0), (small_swin, 7_800, 0)],
    ids=["resnet18", "mobilenet_v3_small", "swin"],
)
def test_a_warm_count_does_no_more_than_it_did(build: Any, python_calls: int, operators: int) -> None:
    with torch.device("meta"):
        model = build().eval()
    calls, dispatches = work(model, (1, 3, 224, 224))
    assert dispatches <= operators
    assert calls <= python_calls, calls
