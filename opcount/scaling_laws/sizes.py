"""Which sizes vary, where they are in a model's inputs, and those inputs at other sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from opcount.errors import InputError
from opcount.inputs import Input, example_input, is_size
from opcount.parsing import did_you_mean, listed

Key: TypeAlias = "int | str"
Axis: TypeAlias = "tuple[Key, int]"


@dataclass(frozen=True)
class Inputs:
    """A model's inputs by position or name, and the sizes in them that vary.

    Attributes:
        values: each argument.
        axes: for each name that varies, the (argument, axis) pairs that have its size.
        base: the size that each name has in the inputs as they were given.
    """

    values: dict[Key, Any]
    axes: dict[str, tuple[Axis, ...]]
    base: dict[str, int]

    def at(self, sizes: Mapping[str, int]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments for :func:`opcount.profile`, with other sizes."""
        changed = dict(self.values)
        for name, size in sizes.items():
            for key, axis in self.axes[name]:
                changed[key] = _resized(changed[key], axis, size)
        positional = tuple(value for key, value in changed.items() if isinstance(key, int))
        return positional, {key: value for key, value in changed.items() if isinstance(key, str)}


def read_inputs(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None, vary: Mapping[str, Any]) -> Inputs:
    """The inputs of a model and what varies in them.

    Raises:
        InputError: a size is named for an argument or an axis that there is not, or its axes disagree.
    """
    values = _by_key(model, inputs, kwargs)
    if not isinstance(vary, Mapping) or not vary:
        raise InputError('name what varies, as in vary={"N": 0} or vary={"S": [("input_ids", 1)]}')
    axes: dict[str, tuple[Axis, ...]] = {}
    base: dict[str, int] = {}
    taken: dict[Axis, str] = {}
    for name, where in vary.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"a size is named by a word such as N or S, not {name!r}")
        axes[name] = tuple(_axis(name, each, values) for each in (where if isinstance(where, list) else [where]))
        if not axes[name]:
            raise InputError(f"{name} names no axis: give one, or a list of those that have the same size")
        found = {key_axis: _shape(values[key_axis[0]])[key_axis[1]] for key_axis in axes[name]}
        if len(set(found.values())) != 1:
            told = listed(f"{size} (axis {axis} of {_called(key)})" for (key, axis), size in found.items())
            raise InputError(f"{name} is one size, but its axes have {told}")
        for key_axis in axes[name]:
            if key_axis in taken:
                raise InputError(f"axis {key_axis[1]} of {_called(key_axis[0])} is both {taken[key_axis]} and {name}")
            taken[key_axis] = name
        base[name] = next(iter(found.values()))
    return Inputs(values, axes, base)


def _by_key(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None) -> dict[Key, Any]:
    if inputs is None and not kwargs:
        inputs = example_input(model)
    values: dict[Key, Any] = {}
    if isinstance(inputs, Mapping) and not hasattr(inputs, "shape"):
        values |= {str(name): value for name, value in inputs.items()}
    elif isinstance(inputs, tuple) and not is_size(inputs) and not hasattr(inputs, "_fields"):
        values |= dict(enumerate(inputs))
    elif inputs is not None:
        values[0] = inputs
    return values | {str(name): value for name, value in (kwargs or {}).items()}


def _axis(name: str, where: Any, values: Mapping[Key, Any]) -> Axis:
    """One (argument, axis) pair, checked; an int alone is an axis of the first argument."""
    if isinstance(where, int) and not isinstance(where, bool):
        where = (next(iter(values), 0), where)
    if not (isinstance(where, tuple) and len(where) == 2 and isinstance(where[1], int)):
        raise InputError(f"{name} is an axis, an (input, axis) pair or a list of these, not {where!r}")
    key, axis = where
    if key not in values:
        known = listed(map(_called, values)) or "none"
        raise InputError(
            f"there is no {_called(key)} for {name}{did_you_mean(str(key), map(str, values))}; there are {known}"
        )
    shape = _shape(values[key])
    if shape is None:
        raise InputError(f"{_called(key)} is no tensor or size, so {name} cannot be an axis of it")
    if not -len(shape) <= axis < len(shape):
        raise InputError(
            f"{_called(key)} has {len(shape)} axes ({'x'.join(map(str, shape))}), so none is number {axis}, for {name}"
        )
    return key, axis % len(shape)


def _called(key: object) -> str:
    return f"input {key}"


def _shape(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, Input):
        return value.size
    return value if is_size(value) else None


def _resized(value: Any, axis: int, size: int) -> Any:
    shape = list(_shape(value))
    if shape[axis] == size:
        return value
    shape[axis] = size
    if isinstance(value, torch.Tensor):
        return Input(tuple(shape), str(value.dtype).removeprefix("torch."))
    return Input(tuple(shape), value.dtype) if isinstance(value, Input) else tuple(shape)
