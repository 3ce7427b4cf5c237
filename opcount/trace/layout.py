"""How objects are laid out: the attributes of modules, slots, and what makes an empty object of a class.

Found once for each class, or for each set of names: a model has many modules of few kinds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import torch

from opcount.trace.vacancy import HOOK_TABLES, SHAREABLE
from opcount.trace.wrapping import own_class, wraps

PLAINLY_SHARED = frozenset({type(None), bool, int, float, str, torch.dtype, torch.device, type})
"""What has nothing in it that could change."""

Reader = Callable[[dict[str, Any]], tuple[Any, ...]]


class Layout(NamedTuple):
    """A module's attributes: its tables of hooks, all others, and the public ones of these with ``training``.

    ``uncommon`` has the names of the others whose values are not of plain types, for the types that were met.
    """

    table_names: tuple[str, ...]
    usual_tables: bool
    tables: Reader
    other_names: tuple[str, ...]
    others: Reader
    public: Reader
    uncommon: dict[tuple[type, ...], tuple[str, ...]]

    def to_copy(self, own: dict[str, Any]) -> tuple[str, ...]:
        """The names of what a copy cannot share at a glance, its tables of hooks aside."""
        kinds = tuple(map(type, self.others(own)))
        found = self.uncommon.get(kinds)
        if found is None:
            found = tuple(name for name, kind in zip(self.other_names, kinds) if kind not in PLAINLY_SHARED)
            if len(self.uncommon) < 256:
                self.uncommon[kinds] = found
        return found


_LAYOUTS: dict[tuple[str, ...], Layout] = {}


def layout(own: dict[str, Any]) -> Layout:
    """How to read a module's attributes. Most modules have the same names as many more."""
    names = tuple(own)
    found = _LAYOUTS.get(names)
    if found is None:
        tables = tuple(name for name in names if name in HOOK_TABLES)
        others = tuple(name for name in names if name not in HOOK_TABLES)
        usual = SHAREABLE and len(tables) == len(HOOK_TABLES)
        public = (name for name in others if name[:1] != "_" and name != "forward")
        found = Layout(tables, usual, _reader(tables), others, _reader(others), _reader(("training", *public)), {})
        if len(_LAYOUTS) < 4096:
            _LAYOUTS[names] = found
    return found


def _reader(names: tuple[str, ...]) -> Reader:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda own: tuple(own[name] for name in names)


@lru_cache(maxsize=4096)
def module_maker(kind: Any) -> Callable[[], Any] | None:
    """Makes an empty module of a class; None where the class is scripted or put around another module."""
    if issubclass(kind, torch.jit.ScriptModule) or wraps(kind):
        return None
    own = own_class(kind)
    return functools.partial(maker(own), own)


def blank(value: Any) -> Any:
    """An empty object of the same class, made by its built-in base, so that no ``__new__`` of the user's is run."""
    kind: Any = type(value)
    return maker(kind)(kind)


@lru_cache(maxsize=4096)
def maker(kind: Any) -> Callable[[type], Any]:
    heap_type = 1 << 9
    base: Any = next(base for base in kind.__mro__ if not base.__flags__ & heap_type)
    return base.__new__  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def slots(kind: Any) -> tuple[str, ...]:
    names: list[str] = []
    for base in kind.__mro__:
        own = base.__dict__.get("__slots__", ())
        private = f"_{base.__name__.lstrip('_')}"
        names.extend(
            f"{private}{name}" if name.startswith("__") else name
            for name in ((own,) if isinstance(own, str) else own)
            if name not in ("__dict__", "__weakref__")
        )
    return tuple(names)
