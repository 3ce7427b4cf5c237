"""Pooling over windows of real input, as torch.nn's pooling layers state it. The last axes are pooled.

`kernel` is one length per pooled axis and says how many axes there are; the other options are one number or one per
axis. A window that hangs over the input is clipped to it: only real elements are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from tests.reference.geometry import cells, inside, per_axis, sides, starts, window
from tests.reference.machine import Array, largest, objects, power, sqrt, total, whole_power


def _windows(
    shape: Sequence[int], kernel: Sequence[int], stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[list[list[int]], tuple[int, ...]]:
    """The starts along every pooled axis, and the dilation as one number per axis."""
    axes = len(kernel)
    steps, gaps = per_axis(kernel if stride is None else stride, axes), per_axis(dilation, axes)
    sizes = shape[len(shape) - axes :]
    walks = zip(sizes, kernel, steps, gaps, sides(padding, axes), strict=True)
    return [starts(*along, ceil_mode) for along in walks], gaps


def _gather(
    inputs: Array, kernel: Sequence[int], walks: Sequence[Sequence[int]], gaps: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], list[int], list[Any]]]:
    """For every output: where it is, where its window begins, and the real elements the window holds."""
    lead = inputs.ndim - len(kernel)
    sizes = inputs.shape[lead:]
    for place in cells((*inputs.shape[:lead], *map(len, walks))):
        start = [walk[index] for walk, index in zip(walks, place[lead:], strict=True)]
        taps = [where for _, where in window(start, kernel, gaps) if inside(where, sizes)]
        yield place, start, [inputs[(*place[:lead], *where)] for where in taps]


def avg_pool(
    inputs: Array,
    kernel: Sequence[int],
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The sum of the window divided once: by its size (on the padded input or the real one) or by the override."""
    axes = len(kernel)
    walks, gaps = _windows(inputs.shape, kernel, stride, padding, 1, ceil_mode)
    ends = [
        size + right for size, (_, right) in zip(inputs.shape[inputs.ndim - axes :], sides(padding, axes), strict=True)
    ]
    output = objects((*inputs.shape[: inputs.ndim - axes], *map(len, walks)))
    for place, start, elements in _gather(inputs, kernel, walks, gaps):
        divisor = len(elements)
        if count_include_pad:
            divisor = math.prod(
                min(first + length, end) - first for first, length, end in zip(start, kernel, ends, strict=True)
            )
        output[place] = total(elements) / (divisor_override or divisor)
    return output


def max_pool(
    inputs: Array,
    kernel: Sequence[int],
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Array:
    """The greatest element of the window."""
    walks, gaps = _windows(inputs.shape, kernel, stride, padding, dilation, ceil_mode)
    output = objects((*inputs.shape[: inputs.ndim - len(kernel)], *map(len, walks)))
    for place, _, elements in _gather(inputs, kernel, walks, gaps):
        output[place] = largest(elements)
    return output


def lp_pool(
    inputs: Array, kernel: Sequence[int], *, norm_type: float, stride: Any = None, ceil_mode: bool = False
) -> Array:
    """(Σ xᵖ)^(1/p): every input element is raised once, every output is one root.

    p = 1 needs neither; p = ∞ is the greatest magnitude. A window clipped by `ceil_mode` is the sum of what it holds.
    """
    raised = objects(inputs.shape)
    for place in cells(inputs.shape):
        raised[place] = abs(inputs[place]) if math.isinf(norm_type) else whole_power(inputs[place], norm_type)
    if math.isinf(norm_type):
        return max_pool(raised, kernel, stride=stride, ceil_mode=ceil_mode)
    walks, gaps = _windows(inputs.shape, kernel, stride, 0, 1, ceil_mode)
    output = objects((*inputs.shape[: inputs.ndim - len(kernel)], *map(len, walks)))
    for place, _, elements in _gather(raised, kernel, walks, gaps):
        value = total(elements)
        if norm_type == 2:
            value = sqrt(value)
        elif norm_type != 1:
            value = power(value, 1 / norm_type)
        output[place] = value
    return output


def _adaptive_shape(inputs: Array, output_size: Sequence[int | None]) -> tuple[int, ...]:
    lead = inputs.ndim - len(output_size)
    pooled = zip(inputs.shape[lead:], output_size, strict=True)
    return (*inputs.shape[:lead], *(size if out is None else out for size, out in pooled))


def _adaptive(inputs: Array, output_size: Sequence[int | None]) -> Iterator[tuple[tuple[int, ...], list[Any]]]:
    """For every output its window: from floor(i · in / out) up to ceil((i + 1) · in / out) on every pooled axis."""
    shape, lead = _adaptive_shape(inputs, output_size), inputs.ndim - len(output_size)
    for place in cells(shape):
        along = zip(place[lead:], inputs.shape[lead:], shape[lead:], strict=True)
        spans = [range(i * size // out, -((i + 1) * size // -out)) for i, size, out in along]
        yield place, [inputs[(*place[:lead], *where)] for where in product(*spans)]


def adaptive_avg_pool(inputs: Array, output_size: Sequence[int | None]) -> Array:
    """The mean of every adaptive window, which may differ in size and overlap."""
    output = objects(_adaptive_shape(inputs, output_size))
    for place, elements in _adaptive(inputs, output_size):
        output[place] = total(elements) / len(elements)
    return output


def adaptive_max_pool(inputs: Array, output_size: Sequence[int | None]) -> Array:
    """The greatest element of every adaptive window."""
    output = objects(_adaptive_shape(inputs, output_size))
    for place, elements in _adaptive(inputs, output_size):
        output[place] = largest(elements)
    return output


def fractional_max_pool(
    inputs: Array, kernel: Sequence[int], *, output_size: Sequence[int], samples: Sequence[Sequence[Sequence[float]]]
) -> Array:
    """The maximum of whole windows whose starts are spread at random over the input (N, C, ...).

    `samples[n][c]` holds one uniform number u per pooled axis; the i-th start is ⌊alpha(i + u)⌋ - ⌊alphau⌋ with
    alpha = (in - kernel) / (out - 1), and the last window ends with the input. Finding them is index arithmetic.
    """
    sizes = inputs.shape[2:]
    output = objects((*inputs.shape[:2], *output_size))
    for n, c in cells(inputs.shape[:2]):
        walks = []
        for size, length, out, u in zip(sizes, kernel, output_size, samples[n][c], strict=True):
            alpha = (size - length) / (out - 1) if out > 1 else 0.0
            walk = [math.floor((i + u) * alpha) - math.floor(u * alpha) for i in range(out - 1)]
            walks.append([*walk, size - length])
        for place in cells(output_size):
            start = [walk[index] for walk, index in zip(walks, place, strict=True)]
            taps = [inputs[(n, c, *where)] for _, where in window(start, kernel, [1] * len(kernel))]
            output[(n, c, *place)] = largest(taps)
    return output
