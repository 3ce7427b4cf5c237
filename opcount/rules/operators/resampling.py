"""Resampling as operators: interpolation, grid sampling, folding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.operators.signature import named
from opcount.rules.registry import free, rule
from opcount.rules.resampling import interpolation
from opcount.rules.shapes import per_axis, planes_of, spatial

free(*(f"aten.{name}{axes}d" for name in ("upsample_nearest", "_upsample_nearest_exact") for axes in (1, 2, 3)))


@rule("aten.upsample_linear1d", "aten.upsample_bilinear2d", "aten.upsample_trilinear3d", "aten.upsample_bicubic2d")
def upsample(operator: Any, call: Call) -> Iterator[Term]:
    """A weighted sum of the nearest inputs for each output."""
    mode = operator._schema.name.removeprefix("aten::upsample_")[:-2]
    yield from interpolation(mode, call.input, call.out)


_BILINEAR, _NEAREST = 0, 1
_ZEROS, _BORDER = 0, 1


@rule("aten.grid_sampler_2d", "aten.grid_sampler_3d")
def grid_sample(operator: Any, call: Call) -> Iterator[Term] | None:
    """Bilinear and nearest sampling, zeros or the border outside; bicubic and reflection are uncounted."""
    arguments = named(operator, call)
    mode, outside = arguments["interpolation_mode"], arguments["padding_mode"]
    if mode not in (_BILINEAR, _NEAREST) or outside not in (_ZEROS, _BORDER):
        return None
    return _samples(call, arguments["grid"].shape, mode, outside)


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


@rule("aten.col2im")
def fold(operator: Any, call: Call) -> Iterator[Term]:
    """Each value of the blocks but the first to land on a position is added there."""
    arguments = named(operator, call)
    sizes = {
        name: per_axis(arguments[option], 2)
        for name, option in (("kernel", "kernel_size"), ("stride", "stride"), ("padding", "padding"))
    }
    dilation = per_axis(arguments["dilation"], 2)
    yield Term("fold", planes=planes_of(call.out, 2), output=spatial(call.out, 2), dilation=dilation, **sizes)
