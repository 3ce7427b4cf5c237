"""Reading sizes out of layers and tensors, as every family needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn
from torch._ops import OpOverload

from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec


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
    """A size along each axis, where one int, or a sequence of one, may stand for all of them."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * axes if len(sizes) == 1 else sizes


def rows_into(before: TensorSpec, after: TensorSpec) -> dict[str, Any]:
    """``rows`` and ``length`` of a reduction: one row for each output, as long as the inputs are many for it.

    >>> rows_into(TensorSpec((2, 6, 5)), TensorSpec((2, 5)))
    {'rows': 10, 'length': 6}
    """
    return per_row(before, after.elements)


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


def axes_of(subject: Any) -> int:
    """How many spatial axes a layer of ``torch.nn``, a function or an operator has, as its name says.

    >>> axes_of(nn.AvgPool2d(3)), axes_of(nn.functional.conv1d)
    (2, 1)
    """
    return next(axes for name in _names(subject) for axes in (1, 2, 3) if f"{axes}d" in name.lower())


def _names(subject: Any) -> Iterator[str]:
    """What a subject is called; a layer by the nearest class that it derives from in ``torch.nn``."""
    if isinstance(subject, nn.Module):
        yield from (base.__name__ for base in type(subject).__mro__ if base.__module__.startswith("torch.nn."))
    elif isinstance(subject, OpOverload):
        yield subject._schema.name
    else:
        yield subject.__name__
