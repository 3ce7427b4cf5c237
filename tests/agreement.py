"""What the tests of layer rules share: a layer's profile held against loops that count as they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from opcount import OpCount, profile
from opcount.ops import FIGURES
from tests.reference import count


def normal(*shape: int) -> torch.Tensor:
    """Random values in double precision, as the loops compute."""
    return torch.randn(shape, dtype=torch.float64)


def of(layer: nn.Module, *inputs: Any, **keywords: Any) -> OpCount:
    """What the layer's rule counts; it must know everything the layer does."""
    counted = profile(layer, inputs, kwargs=keywords)
    assert counted.complete, counted.uncounted
    return counted.ops


def running(loop: Callable[..., Any], *arrays: Any, **options: Any) -> OpCount:
    """What the loops count. That their values are PyTorch's own is tested beside them."""
    _, tally = count(loop, *arrays, **options)
    return OpCount(**{figure: getattr(tally, figure) for figure in FIGURES})
