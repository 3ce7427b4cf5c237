"""Resampling of signals, images and volumes: interpolation, and sampling at given places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term
from opcount.rules.reading import given
from opcount.rules.registry import free, rule
from opcount.rules.shapes import planes_of, spatial

_TAPS = {"linear": 2, "bilinear": 4, "trilinear": 8, "bicubic": 16}
_BILINEAR, _NEAREST = 0, 1
_ZEROS, _BORDER = 0, 1

free(*(f"aten.{name}{axes}d" for name in ("upsample_nearest", "_upsample_nearest_exact") for axes in (1, 2, 3)))


@rule(nn.Upsample)
def upsample(layer: Any, call: Call) -> Iterator[Term]:
    """A weighted sum of the nearest inputs for each output; the weights are fixed by the shapes."""
    yield from _interpolation(layer.mode, call.input, call.out)


@rule("aten.upsample_linear1d", "aten.upsample_bilinear2d", "aten.upsample_trilinear3d", "aten.upsample_bicubic2d")
def upsample_operator(operator: Any, call: Call) -> Iterator[Term]:
    """The same, the mode being part of the operator's name."""
    yield from _interpolation(operator._schema.name.removeprefix("aten::upsample_")[:-2], call.input, call.out)


def _interpolation(mode: str, before: TensorSpec, after: TensorSpec) -> Iterator[Term]:
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


@rule("aten.grid_sampler_2d", "aten.grid_sampler_3d")
def grid_sample(operator: Any, call: Call) -> Iterator[Term] | None:
    """Bilinear and nearest sampling, zeros or the border outside; bicubic and reflection are uncounted."""
    asked = given(operator, call)
    mode, outside = asked.interpolation_mode, asked.padding_mode
    if mode not in (_BILINEAR, _NEAREST) or outside not in (_ZEROS, _BORDER):
        return None
    return _samples(call, asked.grid.shape, mode, outside)


def _samples(call: Call, grid: tuple[int, ...], mode: int, outside: int) -> Iterator[Term]:
    locations, axes = product(grid[:-1]), grid[-1]
    corners = 2**axes
    if outside == _BORDER:
        yield Term("each", role="border", count=locations * axes, comparisons=2)
    if mode == _NEAREST:
        yield Term("each", role="locations", count=locations * axes, multiplications=1, additions=1)
        return
    weights = corners * (axes - 1)  # a corner's weight is the product of one factor an axis
    yield Term("each", role="locations", count=locations * axes, multiplications=1, additions=3)
    yield Term("each", role="corner weights", count=locations, multiplications=weights)
    yield Term("interpolation", role="samples", count=call.out.elements, taps=corners)


@rule("aten.affine_grid_generator")
def affine_grid(operator: Any, call: Call) -> Iterator[Term]:
    """Each position of a base grid, which the shapes fix, through an affine map."""
    yield Term("dots", count=call.out.elements, length=call.input.shape[-1])
