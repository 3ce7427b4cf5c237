"""Reading sizes out of layers and tensors, as every family needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec

Entry = TypeVar("Entry")


def weight_shape(layer: Any, name: str = "weight") -> tuple[int, ...]:
    """The shape of a layer's weight as it is, which may no longer be what its constructor was told."""
    return tuple(getattr(layer, name).shape)


def spatial(tensor: TensorSpec, axes: int) -> tuple[int, ...]:
    """The last ``axes`` sizes: (H, W) of an image batched or not."""
    return tensor.shape[len(tensor.shape) - axes :]


def batch_of(tensor: TensorSpec, axes: int) -> int:
    """The batch size of (N, C, *spatial), 1 of an unbatched (C, *spatial)."""
    return product(tensor.shape[: len(tensor.shape) - axes - 1])  # type: ignore[no-any-return]


def planes_of(tensor: TensorSpec, axes: int) -> int:
    """Batch times channels: how many (H, W) planes there are."""
    return product(tensor.shape[: len(tensor.shape) - axes])  # type: ignore[no-any-return]


def per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """A layer's size along each axis, where one int, or a sequence of one, may stand for all of them."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * axes if len(sizes) == 1 else sizes


def rows_along(tensor: TensorSpec, dimension: int) -> dict[str, Any]:
    """``rows`` and ``length`` of a tensor read in rows along one dimension; a scalar is one row of one.

    >>> rows_along(TensorSpec((2, 3, 4)), -2)
    {'rows': 8, 'length': 3}
    """
    sizes = list(tensor.shape) or [1]
    length = sizes.pop(dimension)
    return {"rows": product(sizes), "length": length}


def per_row(tensor: TensorSpec, rows: int) -> dict[str, Any]:
    """``rows`` and ``length`` of a tensor shared out over so many rows.

    >>> per_row(TensorSpec((2, 6, 5)), 4)
    {'rows': 4, 'length': 15}
    """
    return {"rows": rows, "length": tensor.elements // rows if rows else 0}


def broadcast(*shapes: tuple[int, ...]) -> TensorSpec:
    """What these shapes broadcast to.

    >>> broadcast((2, 1, 4), (3, 1)).shape
    (2, 3, 4)
    """
    longest = max(map(len, shapes))
    padded = [(1,) * (longest - len(shape)) + shape for shape in shapes]
    return TensorSpec(tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded)))


def entry_of(layer: nn.Module, table: Mapping[type[nn.Module], Entry]) -> Entry:
    """What a table says of the layer's class, or of the nearest class it derives from."""
    return next(table[base] for base in type(layer).__mro__ if base in table)
