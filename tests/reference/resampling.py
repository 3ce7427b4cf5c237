"""Interpolation, sampling at given places, and fold. All work on (N, C, ...)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from tests.reference.geometry import cells, inside, per_axis, sides, starts, window
from tests.reference.machine import Array, objects, total


def nearest(inputs: Array, output_size: Sequence[int], *, exact: bool = False) -> Array:
    """mode='nearest' reads at ⌊i · in / out⌋, 'nearest-exact' at ⌊(i + ½) · in / out⌋. Nothing is computed."""
    sizes, half = inputs.shape[2:], 0.5 if exact else 0.0
    output = objects((*inputs.shape[:2], *output_size))
    for n, c, *place in cells(output.shape):
        along = zip(place, sizes, output_size, strict=True)
        where = [min(math.floor((i + half) * size / out), size - 1) for i, size, out in along]
        output[(n, c, *place)] = inputs[(n, c, *where)]
    return output


def _taps(
    index: int, size: int, out: int, step: float | None, align_corners: bool, cubic: bool
) -> list[tuple[int, float]]:
    """What one output reads along one axis: (place, weight), fixed by the shapes.

    `step` is the distance on the input between neighbouring outputs where a scale factor says so.
    """
    if align_corners:
        source = index * (size - 1) / (out - 1) if out > 1 else 0.0
    else:
        source = (index + 0.5) * (size / out if step is None else step) - 0.5
    if not cubic:
        source = max(source, 0.0)
        low = math.floor(source)
        t = source - low
        return [(low, 1 - t), (min(low + 1, size - 1), t)]
    low = math.floor(source)
    t, a = source - low, -0.75

    def far(x: float) -> float:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a

    def near(x: float) -> float:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1

    weights = [far(t + 1), near(t), near(1 - t), far(2 - t)]
    return [(min(max(low - 1 + k, 0), size - 1), weight) for k, weight in enumerate(weights)]


def interpolate(
    inputs: Array,
    output_size: Sequence[int],
    *,
    cubic: bool = False,
    align_corners: bool = False,
    steps: Sequence[float] | None = None,
) -> Array:
    """Linear, bilinear and trilinear interpolation (by the number of axes), or bicubic: a weighted sum of neighbours.

    2 neighbours per axis, 4 for cubic; their weights are fixed by the shapes and free. `steps` are 1 / scale_factor
    where the layer was given one.
    """
    sizes = inputs.shape[2:]
    distances: Sequence[float | None] = [None] * len(sizes) if steps is None else steps
    output = objects((*inputs.shape[:2], *output_size))
    for n, c, *place in cells(output.shape):
        along = zip(place, sizes, output_size, distances, strict=True)
        taps = [_taps(*each, align_corners, cubic) for each in along]
        terms = []
        for corner in product(*taps):
            weight = math.prod(factor for _, factor in corner)
            terms.append(inputs[(n, c, *(where for where, _ in corner))] * weight)
        output[(n, c, *place)] = total(terms)
    return output


def grid_sample(inputs: Array, grid: Array, *, align_corners: bool = False) -> Array:
    """torch.nn.functional.grid_sample, bilinear, zeros outside: grid (N, ..., axes) holds x first, in [-1, 1].

    Per location and axis: one product and one sum bring -1 and 1 to the input's ends, two differences are the weights
    of the element below and the one above. A corner's weight is the product of its axes' weights; each output is the
    weighted sum of its corners, those outside too.
    """
    sizes = inputs.shape[2:]
    output = objects((*inputs.shape[:2], *grid.shape[1:-1]))
    for n, *place in cells((inputs.shape[0], *grid.shape[1:-1])):
        taps = []
        for axis, size in enumerate(sizes):
            x = grid[(n, *place, len(sizes) - 1 - axis)]
            source = x * ((size - 1 if align_corners else size) / 2) + (size - 1) / 2
            low = math.floor(source).value
            taps.append([(low, (low + 1) - source), (low + 1, source - low)])
        corners = []
        for corner in product(*taps):
            weight = corner[0][1]
            for _, factor in corner[1:]:
                weight = weight * factor
            corners.append(([where for where, _ in corner], weight))
        for c in range(inputs.shape[1]):
            terms = []
            for where, weight in corners:
                value: Any = inputs[(n, c, *where)] if inside(where, sizes) else weight.like(0.0)
                terms.append(value * weight)
            output[(n, c, *place)] = total(terms)
    return output


def fold(
    columns: Array,
    output_size: Sequence[int],
    kernel: Sequence[int],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Array:
    """torch.nn.Fold: columns (N, C · Πkernel, L) laid over the padded output, what meets is added up, then cropped."""
    axes, steps, gaps = len(kernel), per_axis(stride, len(kernel)), per_axis(dilation, len(kernel))
    around = sides(padding, axes)
    walks = [starts(*along) for along in zip(output_size, kernel, steps, gaps, around, strict=True)]
    taps = math.prod(kernel)
    landed: dict[tuple[int, ...], Any] = {}
    for n, c in cells((columns.shape[0], columns.shape[1] // taps)):
        for column, start in enumerate(product(*walks)):
            for row, (_, place) in enumerate(window(start, kernel, gaps)):
                value, target = columns[n, c * taps + row, column], (n, c, *place)
                landed[target] = landed[target] + value if target in landed else value
    output = objects((columns.shape[0], columns.shape[1] // taps, *output_size))
    for target in cells(output.shape):
        output[target] = landed.get(target, 0.0)
    return output
