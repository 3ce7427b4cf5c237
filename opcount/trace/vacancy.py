"""Empty tables of hooks for many modules at once: a module has eleven, and in most they stay empty.

Making them would be a good part of a clone. So modules without hooks share one set of tables that nothing can be put
into. What tries to is told, and the clone has to be made with tables of its own for each.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn

from opcount.errors import OpCountError

HOOK_TABLES: dict[str, type] = {
    name: type(value)
    for name, value in nn.Module().__dict__.items()
    if type(value) in (dict, OrderedDict, set, list) and name not in ("_modules", "_parameters", "_buffers")
}
"""The tables that a module has beside those of its parameters, buffers and children, with their types."""


class Occupied(OpCountError):
    """A forward has put something into a table of hooks that modules share."""


class _Table(OrderedDict[Any, Any]):
    """An empty table of hooks. It stays empty."""

    def __init__(self, vacant: Vacant) -> None:
        self.vacant = vacant

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        self.vacant.refuse()

    update = setdefault = __ior__ = __setitem__  # type: ignore[assignment]

    def copy(self) -> OrderedDict[Any, Any]:  # type: ignore[override]
        return OrderedDict()

    def __copy__(self) -> OrderedDict[Any, Any]:
        return OrderedDict()

    def __deepcopy__(self, memo: Any) -> OrderedDict[Any, Any]:
        return OrderedDict()


class _Set(set[Any]):
    """An empty set. It stays empty."""

    def __init__(self, vacant: Vacant) -> None:
        self.vacant = vacant

    def add(self, value: Any) -> NoReturn:
        self.vacant.refuse()

    update = __ior__ = symmetric_difference_update = __ixor__ = add  # type: ignore[assignment]

    def copy(self) -> set[Any]:
        return set()

    def __copy__(self) -> set[Any]:
        return set()

    def __deepcopy__(self, memo: Any) -> set[Any]:
        return set()


_KINDS: dict[type, Callable[[Vacant], Any]] = {OrderedDict: _Table, set: _Set}
SHAREABLE = all(kind in _KINDS for kind in HOOK_TABLES.values())
"""Whether this PyTorch's tables are of the kinds that are known here."""


class Vacant:
    """One set of empty tables.

    Attributes:
        tables: those tables by the names that modules have for them.
        occupied: whether something was to be put into one, or in the place of what tells of a module's forward.
    """

    def __init__(self) -> None:
        self.occupied = False
        self.tables = {name: _KINDS[kind](self) for name, kind in HOOK_TABLES.items()} if SHAREABLE else {}

    def refuse(self) -> NoReturn:
        """Say that a module needs tables of its own.

        Raises:
            Occupied: always.
        """
        self.occupied = True
        raise Occupied("modules that share empty tables of hooks cannot have hooks")


def furnish(module: nn.Module) -> None:
    """Give a module tables of hooks of its own in the place of those that it shares."""
    own = module.__dict__
    for name in _FORWARD_TABLES:
        if type(own.get(name)) is _Table:
            own[name] = OrderedDict()


_FORWARD_TABLES = tuple(name for name in HOOK_TABLES if name.startswith("_forward"))
