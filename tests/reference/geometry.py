"""Where windows and their taps lie: walks over real indices, so nothing here counts and nothing here is a formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from tests.reference.machine import Array, objects


def cells(lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every index tuple of a box, the last axis fastest."""
    return product(*map(range, lengths))


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """One number for all axes, or one for each."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def sides(padding: Any, axes: int) -> tuple[tuple[int, int], ...]:
    """Padding as a (left, right) pair per axis, from one number, one per axis, or the pairs themselves."""
    each = (padding,) * axes if isinstance(padding, int) else tuple(padding)
    return tuple((side, side) if isinstance(side, int) else (side[0], side[1]) for side in each)


def same_sides(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """padding='same': output as long as the input; where the total is odd the right side gets one more."""
    whole = [step * (length - 1) for length, step in zip(kernel, dilation, strict=True)]
    return tuple((both // 2, both - both // 2) for both in whole)


def starts(
    size: int, kernel: int, stride: int = 1, dilation: int = 1, padding: tuple[int, int] = (0, 0), ceil: bool = False
) -> list[int]:
    """Where along one axis the windows begin, counted from the first real element.

    Every window must end inside the padded axis; with `ceil` one more may hang over its right end, if the one before
    did not end exactly there and it begins on the input or on the left padding.
    """
    reach = dilation * (kernel - 1)
    last = size - 1 + padding[1]
    found = []
    start = -padding[0]
    while start + reach <= last:
        found.append(start)
        start += stride
    if ceil and start - stride + reach < last and start < size:
        found.append(start)
    return found


def window(start: Sequence[int], kernel: Sequence[int], dilation: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    """The taps of a window that begins there: (index in the kernel, place on the input's axes)."""
    for tap in cells(kernel):
        yield tap, tuple(first + step * index for first, step, index in zip(start, dilation, tap, strict=True))


def inside(place: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether the place is a real element, not padding."""
    return all(0 <= index < size for index, size in zip(place, sizes, strict=True))


def pad(inputs: Array, padding: Sequence[tuple[int, int]], mode: str) -> Array:
    """The last axes extended by copies of the input: mode 'reflect', 'replicate' or 'circular'."""

    def source(index: int, size: int) -> int:
        if mode == "circular":
            return index % size
        if mode == "replicate":
            return min(max(index, 0), size - 1)
        index = abs(index)
        return index if index < size else 2 * (size - 1) - index

    lead = inputs.ndim - len(padding)
    sizes = inputs.shape[lead:]
    padded = objects(
        (*inputs.shape[:lead], *(size + left + right for size, (left, right) in zip(sizes, padding, strict=True)))
    )
    for place in np.ndindex(padded.shape):
        moved = [index - left for index, (left, _) in zip(place[lead:], padding, strict=True)]
        padded[place] = inputs[(*place[:lead], *map(source, moved, sizes))]
    return padded


def by_rows(formula: Callable[[list[Any]], list[Any]], inputs: Array, axis: int) -> Array:
    """The array with every row along the axis replaced by the formula's."""
    rows = np.moveaxis(inputs, axis, -1)
    output = objects(rows.shape)
    for place in cells(rows.shape[:-1]):
        for index, value in enumerate(formula(list(rows[place]))):
            output[(*place, index)] = value
    return np.moveaxis(output, -1, axis)


def reduce_rows(formula: Callable[[list[Any]], Any], inputs: Array, axis: int | None) -> Array:
    """The array with every row along the axis replaced by one number; without an axis all elements are one row."""
    if axis is None:
        inputs, axis = inputs.reshape(-1), 0
    rows = np.moveaxis(inputs, axis, -1)
    output = objects(rows.shape[:-1])
    for place in cells(output.shape):
        output[place] = formula(list(rows[place]))
    return output
