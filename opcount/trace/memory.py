"""What was worked out of an operator once, and is looked up from then on: shapes, types and terms, never tensors.

The one cache of the library. It is bounded, and safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass

from opcount.ops import Call, Term, Tree

LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Remembered:
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


class Memory:
    """Signatures and what is known of them; the oldest go when there are too many."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._known: dict[Hashable, Remembered] = {}

    def get(self, signature: Hashable) -> Remembered | None:
        """What is known of a signature, if anything."""
        return self._known.get(signature)

    def put(self, signature: Hashable, known: Remembered) -> None:
        """Remember."""
        with self._lock:
            while len(self._known) >= self._limit:
                self._known.pop(next(iter(self._known)))
            self._known[signature] = known

    def clear(self) -> None:
        """Forget everything, as in a process that has just begun."""
        with self._lock:
            self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


MEMORY = Memory()
