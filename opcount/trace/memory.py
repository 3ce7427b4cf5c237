"""What was worked out of an operator once, and is looked up from then on: shapes, types and terms, never tensors.

The cache of the library. It is bounded, and safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeAlias

from opcount.ops import Call, Source, TensorSpec, Term, Tree

LIMIT = 65_536


class Remembered(NamedTuple):
    """One operator under one signature.

    Attributes:
        output: the specs of what it returns.
        call: the call as a rule reads it.
        terms: what it costs; None if it is uncounted.
        free: whether it is known to cost nothing.
    """

    output: Tree
    call: Call
    terms: tuple[Term, ...] | None
    free: bool


Happened: TypeAlias = tuple[Source, str, Call, tuple[Term, ...] | None]
"""What an event is of, wherever it happens: source, name, call and terms."""


class Repeated(NamedTuple):
    """What one function did under one signature, to be told and returned again.

    Attributes:
        output: what it returned: specs, strided specs, numbers of arguments.
        events: all that it was seen to do.
    """

    output: Tree
    events: tuple[Happened, ...]


class Memory:
    """Signatures and what is known of them; the oldest go when there are too many.

    Attributes:
        get: what is known of a signature, if anything.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._known: dict[Hashable, Any] = {}
        self._specs: dict[TensorSpec, TensorSpec] = {}
        self.get: Callable[[Hashable], Any] = self._known.get  # asked for every layer: a method would be another call

    def put(self, signature: Hashable, known: Any) -> None:
        """Remember."""
        with self._lock:
            while len(self._known) >= self._limit:
                self._known.pop(next(iter(self._known)))
            self._known[signature] = known

    def same(self, tree: Tree) -> Tree:
        """Descriptions, equal ones as one object: signatures made of them compare at a glance."""
        if type(tree) is not TensorSpec:
            return tree
        if len(self._specs) >= self._limit:
            self._specs.clear()
        return self._specs.setdefault(tree, tree)

    def clear(self) -> None:
        """Forget everything, as in a process that has just begun."""
        with self._lock:
            self._known.clear()
            self._specs.clear()

    def __len__(self) -> int:
        return len(self._known)


MEMORY = Memory()
