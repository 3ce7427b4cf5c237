"""What a graph is called with: its inputs by name, with axes that are fixed and axes that are open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from opcount.errors import InputError
from opcount.inputs import Input, is_size


class Axis(NamedTuple):
    """One axis of an input.

    Attributes:
        size: how long it is; for an open axis how long it was when the graph was captured, None if nobody knows.
        symbol: the name of an open axis; empty for a fixed one.
    """

    size: int | None
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class GraphInput:
    """An input of a graph.

    Attributes:
        name: what the graph calls it.
        axes: one for each dimension; None where the graph does not say how many there are.
        dtype: its element type.
    """

    name: str
    axes: tuple[Axis, ...] | None
    dtype: str

    def __str__(self) -> str:
        if self.axes is None:
            return f"{self.name} of any shape"
        return f"{self.name} of {'x'.join(axis.symbol or str(axis.size) for axis in self.axes) or 'one number'}"


Bound = Input | torch.Tensor


def bind(signature: Sequence[GraphInput], inputs: Any, kwargs: Mapping[str, Any] | None) -> tuple[Bound, ...]:
    """The inputs of a graph in its order: those given, checked against what the graph says of them, or its own.

    Args:
        signature: the graph's inputs.
        inputs, kwargs: as for :func:`opcount.profile`; a size takes the element type of the graph's own input.

    Raises:
        InputError: they are not what the graph takes, or an open axis has no size; the message names the axis.
    """
    if inputs is None and not kwargs:
        return tuple(_own(each) for each in signature)
    given = _in_order(signature, inputs, dict(kwargs or {}))
    if len(given) != len(signature):
        takes = ", ".join(map(str, signature)) or "nothing"
        raise InputError(f"the graph takes {len(signature)} tensors, not {len(given)}: {takes}")
    sizes: dict[str, tuple[int, GraphInput]] = {}
    return tuple(_checked(each, value, sizes) for each, value in zip(signature, given))


def _own(each: GraphInput) -> Input:
    if each.axes is None:
        raise InputError(f"the graph does not say of what shape its input {each.name} is: give a size for each input")
    for place, axis in enumerate(each.axes):
        if axis.size is None:
            shown = ",".join(str(axis.size) if axis.size is not None else axis.symbol for axis in each.axes)
            raise InputError(
                f"the input {each.name!r} has an open dimension {axis.symbol!r} (axis {place}): give the size of each "
                f"input, batch included, as in --input {shown} with numbers for names"
            )
    return Input(tuple(int(axis.size or 0) for axis in each.axes), each.dtype)


def _in_order(signature: Sequence[GraphInput], inputs: Any, kwargs: dict[str, Any]) -> list[Any]:
    names = [each.name for each in signature]
    if isinstance(inputs, Mapping) and set(map(str, inputs)) <= set(names):
        kwargs, inputs = {**{str(name): value for name, value in inputs.items()}, **kwargs}, None
    if kwargs and set(kwargs) <= set(names):
        rest = iter(_leaves(inputs))
        return [value for name in names if (value := kwargs[name] if name in kwargs else next(rest, None)) is not None]
    return [*_leaves(inputs), *_leaves(kwargs)]


def _leaves(value: Any) -> Iterator[Any]:
    """Sizes and tensors, whatever holds them; numbers and None are part of the graph."""
    if is_size(value) or isinstance(value, (Input, torch.Tensor)):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _leaves(item)


def _checked(each: GraphInput, value: Any, sizes: dict[str, tuple[int, GraphInput]]) -> Bound:
    shape = tuple(value) if is_size(value) else tuple(value.size if isinstance(value, Input) else value.shape)
    dtype = each.dtype if is_size(value) else str(value.dtype).removeprefix("torch.")
    if dtype != each.dtype:
        raise InputError(f"the input {each.name!r} of the graph is {each.dtype}, not {dtype}")
    if each.axes is None:
        return value if isinstance(value, torch.Tensor) else Input(shape, dtype)
    if len(shape) != len(each.axes):
        raise InputError(f"the graph takes {each}, not {'x'.join(map(str, shape)) or 'one number'}")
    for place, (size, axis) in enumerate(zip(shape, each.axes)):
        if not axis.symbol and size != axis.size:
            raise InputError(
                f"axis {place} of the input {each.name!r} is fixed at {axis.size} in the graph, so it cannot be "
                f"{size}: capture the model anew with that size, or with that axis left open"
            )
        if axis.symbol.isidentifier():
            known, other = sizes.setdefault(axis.symbol, (size, each))
            if known != size:
                raise InputError(
                    f"axis {place} of {each.name} is {axis.symbol}, and so is an axis of {other.name}: "
                    f"{size} and {known} differ"
                )
    return value if isinstance(value, torch.Tensor) else Input(shape, dtype)
