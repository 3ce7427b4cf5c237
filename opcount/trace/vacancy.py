"""Empty tables for many modules at once: a module has eleven for hooks, and in most they stay empty.

Making them would be a good part of a clone. So modules without hooks share one set of tables that nothing can be put
into, those of parameters, buffers and children among them where these are empty too. What tries to is told, and the
clone has to be made with tables of its own for each.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn

from opcount.errors import OpCountError

_OF_A_MODULE: dict[str, type] = {
    name: type(value) for name, value in nn.Module().__dict__.items() if type(value) in (dict, OrderedDict, set, list)
}
HOLDING = ("_parameters", "_buffers", "_modules")
"""The tables of what a module holds."""
TYPES_OF_HOLDING = tuple(_OF_A_MODULE.get(name, dict) for name in HOLDING)
"""Their types."""
HOOK_TABLES = {name: kind for name, kind in _OF_A_MODULE.items() if name not in HOLDING}
"""The tables that a module has beside those of its parameters, buffers and children, with their types."""


class Occupied(OpCountError):
    """A forward has put something into a table that modules share."""


class Shared:
    """An empty table that modules share: it stays empty. A copy of it is a table of one's own."""

    vacant: Vacant
    plain: type[Any]
    """What it is an empty one of."""

    def __init__(self, vacant: Vacant) -> None:
        self.vacant = vacant

    def refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """What to do about whatever would put something in."""
        self.vacant.refuse()

    def copy(self) -> Any:
        return self.plain()

    def __copy__(self) -> Any:
        return self.plain()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.plain()


class _Table(Shared, OrderedDict[Any, Any]):
    plain = OrderedDict

    __setitem__ = update = setdefault = __ior__ = Shared.refuse


class _PlainTable(Shared, dict[Any, Any]):
    plain = dict

    __setitem__ = update = setdefault = __ior__ = Shared.refuse


class _Set(Shared, set[Any]):
    plain = set

    add = update = __ior__ = symmetric_difference_update = __ixor__ = Shared.refuse


_KINDS: dict[type, Callable[[Vacant], Any]] = {OrderedDict: _Table, dict: _PlainTable, set: _Set}
SHAREABLE = all(kind in _KINDS for kind in _OF_A_MODULE.values()) and {*HOLDING} < {*_OF_A_MODULE}
"""Whether this PyTorch's tables are of the kinds that are known here."""


class Vacant:
    """One set of empty tables.

    Attributes:
        tables: those tables by the names that modules have for them, with those of what a module holds.
        occupied: whether something was to be put into one, or in the place of what tells of a module's forward.
    """

    def __init__(self) -> None:
        self.occupied = False
        self.tables = {name: _KINDS[kind](self) for name, kind in _OF_A_MODULE.items()} if SHAREABLE else {}

    def refuse(self) -> NoReturn:
        """Say that a module needs tables of its own.

        Raises:
            Occupied: always.
        """
        self.occupied = True
        raise Occupied("modules that share empty tables cannot have hooks, nor more tensors or layers")


def furnish(module: nn.Module) -> None:
    """Give a module tables of hooks of its own in the place of those that it shares."""
    own = module.__dict__
    for name in _FORWARD_TABLES:
        if type(own.get(name)) is _Table:
            own[name] = OrderedDict()


_FORWARD_TABLES = tuple(name for name in HOOK_TABLES if name.startswith("_forward"))
