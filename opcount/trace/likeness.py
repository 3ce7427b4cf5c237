"""What layers that answer alike have in common: class, attributes, shapes and types of tensors."""

from __future__ import annotations

from typing import Any

from torch import nn

from opcount.rules.registry import LAYERS
from opcount.trace.layout import Reader, layout
from opcount.trace.memory import MEMORY

_PLAIN = frozenset({type(None), bool, int, float, str, tuple})


class Looks:
    """All that an answer and a rule can read of a layer without children: one object for all layers that share it."""

    __slots__ = ()


class Likeness:
    """A layer's looks, as long as it keeps them.

    Attributes:
        looks: what it has in common with others.
    """

    __slots__ = ("_buffers", "_held", "_own", "_parameters", "_read", "_size", "_values", "looks")

    def __init__(self, looks: Looks, own: dict[str, Any], read: Reader, values: Any, held: Any) -> None:
        self.looks = looks
        self._own, self._read, self._values, self._held = own, read, values, held
        self._size = len(own)
        self._parameters, self._buffers = own["_parameters"], own["_buffers"]

    def __deepcopy__(self, memo: Any) -> None:
        """None: a copy of the layer may change, and this would not know."""

    def holds(self) -> bool:
        """Whether nothing about the layer has changed."""
        own = self._own
        parameters, buffers = self._held
        return (
            len(own) == self._size
            and self._read(own) == self._values
            and (self._parameters.looks is parameters if parameters else not self._parameters)
            and (self._buffers.looks is buffers if buffers else not self._buffers)
        )


def likeness(module: nn.Module) -> Likeness | None:
    """A layer's likeness; None if it has children, or attributes of other than plain types."""
    own = module.__dict__
    if own["_modules"]:
        return None
    read = layout(own).public
    values = read(own)
    if not _PLAIN.issuperset(map(type, values)):
        return None
    parameters, buffers = own["_parameters"], own["_buffers"]
    held = _looks(parameters), _looks(buffers)
    if None in held:
        return None
    key = (type(module), len(LAYERS), values, *held)
    looks = MEMORY.get(key)
    if looks is None:
        looks = Looks()
        MEMORY.put(key, looks)
    return Likeness(looks, own, read, values, held)


def _looks(table: Any) -> Any:
    """The looks of a table of tensors; None if something was put into it."""
    return getattr(table, "looks", None) if table else ()
