"""Resampling of signals, images and volumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, TensorSpec, Term
from opcount.rules.registry import rule
from opcount.rules.shapes import planes_of, spatial

_TAPS = {"linear": 2, "bilinear": 4, "trilinear": 8, "bicubic": 16}


@rule(nn.Upsample)
def upsample(layer: Any, call: Call) -> Iterator[Term]:
    """A weighted sum of the nearest inputs for each output; the weights are fixed by the shapes."""
    yield from interpolation(layer.mode, call.input, call.output)


def interpolation(mode: str, before: TensorSpec, after: TensorSpec) -> Iterator[Term]:
    """What it takes to resample one tensor into another: nothing for "nearest", windows for "area"."""
    if mode in _TAPS:
        yield Term("interpolation", count=after.elements, taps=_TAPS[mode])
    elif mode == "area":
        axes = len(after.shape) - 2
        yield Term(
            "adaptive_average_pool",
            planes=planes_of(after, axes),
            input=spatial(before, axes),
            output=spatial(after, axes),
        )
