"""What the tests of functions and operators share: a function profiled as if it were a model's forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from opcount import OpCount, Profile, profile


class Calling(nn.Module):
    """A model whose forward is one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def profiled(function: Callable[..., Any], *inputs: Any) -> Profile:
    """The profile of a model that calls the function."""
    return profile(Calling(function), inputs)


def cost(function: Callable[..., Any], *inputs: Any) -> OpCount:
    """What the function costs; everything it does must be counted."""
    counted = profiled(function, *inputs)
    assert counted.complete, counted.uncounted
    return counted.ops


def real(mul: int = 0, add: int = 0, div: int = 0, cmp: int = 0, special: int = 0, macs: int = 0) -> OpCount:
    """Figures written as in the tables."""
    return OpCount(mul, add, div, cmp, special, macs)
