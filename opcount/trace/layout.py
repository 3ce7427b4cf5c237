"""How objects are laid out: the attributes of modules, slots, and what makes an empty object of a class.

Found once for each class, or for each set of names: a model has many modules of few kinds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import torch

from opcount.trace.vacancy import HOLDING, HOOK_TABLES, SHAREABLE, TYPES_OF_HOLDING
from opcount.trace.wrapping import own_class, wraps

PLAINLY_SHARED = frozenset({type(None), bool, int, float, str, torch.dtype, torch.device, type})
"""What has nothing in it that could change."""

COMPARABLE = frozenset({type(None), bool, int, float, str, tuple})
"""What says by itself whether two are alike."""

Reader = Callable[[dict[str, Any]], tuple[Any, ...]]


class Contents(NamedTuple):
    """What there is to copy in a module, its tables of hooks aside: names of values that are not plainly shared.

    Attributes:
        tuples: those that are, if all that is in them is.
        read: reads the tuples.
        usual: whether the tables of tensors and children are there, of their usual types.
        others: the rest, those tables among them.
        beside: the rest without those tables.
        lists: the lists among these.
        comparable: whether all that is public is of plain types.
    """

    tuples: tuple[str, ...]
    read: Reader
    usual: bool
    others: tuple[str, ...]
    beside: tuple[str, ...]
    lists: tuple[str, ...]
    comparable: bool

    def are_shared(self, own: dict[str, Any]) -> bool:
        """Whether the tuples are plainly shared."""
        return not self.tuples or PLAINLY_SHARED.issuperset(map(type, chain.from_iterable(self.read(own))))

    def are_plain(self, own: dict[str, Any]) -> bool:
        """Whether a copy is made at a glance: there is nothing more in tuples and lists than what is plainly shared."""
        if len(self.beside) > len(self.lists) or not self.are_shared(own):
            return False
        return not self.lists or all(PLAINLY_SHARED.issuperset(map(type, own[name])) for name in self.lists)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A module's attributes: its tables of hooks, all others, and the public ones of these with ``training``.

    There is one layout for each set of names, which is equal to itself alone. ``known`` is what there is to copy, by
    the types of values that were met.
    """

    table_names: tuple[str, ...]
    usual_tables: bool
    tables: Reader
    other_names: tuple[str, ...]
    others: Reader
    public: Reader
    known: dict[tuple[type, ...], Contents]

    def contents(self, own: dict[str, Any]) -> Contents:
        """What there is to copy."""
        kinds = tuple(map(type, self.others(own)))
        return self.known.get(kinds) or self._contents(kinds)

    def _contents(self, kinds: tuple[type, ...]) -> Contents:
        names = [(name, kind) for name, kind in zip(self.other_names, kinds) if kind not in PLAINLY_SHARED]
        tuples = tuple(name for name, kind in names if kind is tuple)
        others = tuple(name for name, kind in names if kind is not tuple)
        lists = tuple(name for name, kind in names if kind is list)
        beside = tuple(name for name in others if name not in HOLDING)
        usual = tuple(map(dict(names).get, HOLDING)) == TYPES_OF_HOLDING
        public = {kind for name, kind in zip(self.other_names, kinds) if is_public(name)}
        found = Contents(tuples, _reader(tuples), usual, others, beside, lists, public <= COMPARABLE)
        if len(self.known) < 256:
            self.known[kinds] = found
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
        public = filter(is_public, others)
        found = Layout(tables, usual, _reader(tables), others, _reader(others), _reader(("training", *public)), {})
        if len(_LAYOUTS) < 4096:
            _LAYOUTS[names] = found
    return found


def joined(path: str, name: str) -> str:
    """The path of what is held under a name."""
    return f"{path}.{name}" if path else name


def is_public(name: str) -> bool:
    """Whether an attribute is one that a layer is described by."""
    return name[:1] != "_" and name != "forward"


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


@lru_cache(maxsize=4096)
def is_plain_class(kind: Any) -> bool:
    """Whether all that an object of a class holds is in its ``__dict__``, and the class is the one that was written."""
    return not slots(kind) and own_class(kind) is kind
