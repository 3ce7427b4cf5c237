"""What a layer, function or operator was called with, by name: one way of asking for all three."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload

from opcount.errors import RuleError
from opcount.ops import Call, Tree


class Given:
    """Arguments by their names, those left out with their defaults; of a layer also what it was made with.

    An operator's ``self`` and a layer's first argument are called ``input``, as the functions call it.
    """

    __slots__ = ("_layer", "_values")

    def __init__(self, values: dict[str, Tree], layer: nn.Module | None = None) -> None:
        self._values = values
        self._layer = layer

    def __getattr__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if self._layer is not None:
            return held(self._layer, name)
        raise AttributeError(f"there is no argument {name!r} among {', '.join(self._values)}")

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that only some of the subjects of a rule have."""
        return getattr(self, name, default)


def held(layer: nn.Module, name: str) -> Any:
    """An attribute of a layer; of its tensors the one that it holds, without asking for a stand-in to be made of it."""
    own = layer.__dict__
    if name in own:
        return own[name]
    for table in (own["_parameters"], own["_buffers"]):
        if name in table:
            return table.peek(name) if hasattr(table, "peek") else table[name]
    return getattr(layer, name)


def given(subject: Any, call: Call) -> Given:
    """What the subject of a rule was called with."""
    if not isinstance(subject, nn.Module):
        values = dict(named(subject, call))
        if "self" in values:
            values["input"] = values["self"]
        return Given(values)
    _, *parameters = _signature(type(subject).forward)
    values = _bind(parameters, call)
    values["training"] = call.training
    values.setdefault("input", values[parameters[0][0]])
    return Given(values, subject)


def needs_grad(value: Any) -> bool:
    """Whether a gradient is asked for: of a tensor that was passed in, or of one that a layer holds."""
    return bool(getattr(value, "needs_grad", False) or getattr(value, "requires_grad", False))


def named(subject: Any, call: Call) -> Mapping[str, Tree]:
    """Every argument of a call of a function or operator by its name, those left out with their default."""
    return _bind(_schema(subject) if isinstance(subject, OpOverload) else _signature(subject), call)


def _bind(parameters: Any, call: Call) -> dict[str, Tree]:
    values = {name: call.kwargs.get(name, default) for name, default in parameters}
    values.update(zip((name for name, _ in parameters), call.args))
    return values


@cache
def _schema(operator: OpOverload) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (argument.name, argument.default_value if argument.has_default_value() else None)
        for argument in operator._schema.arguments
    )


@cache
def _signature(function: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    """Names and defaults; a function built into PyTorch has those of the operator of its name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return _builtin(function)
    return tuple((each.name, None if each.default is each.empty else each.default) for each in parameters)


def _builtin(function: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    packet = getattr(torch.ops.aten, function.__name__, None)
    if packet is None:
        raise RuleError(f"{function} does not say what its arguments are called")
    schema = _schema(getattr(packet, packet.overloads()[0]))
    return tuple(("input" if name == "self" else name, default) for name, default in schema)
