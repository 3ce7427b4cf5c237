"""The collector of bytes moved: what each layer or operator reads and writes, each once.

A layer that has a rule is taken as one kernel: it reads its inputs and its weights and writes its outputs, whatever it
does inside. Elsewhere each operator that PyTorch executes is one. A view moves nothing; what works in place reads and
writes its tensor; what picks elements (an embedding, an index) reads as much as it picks. No tensor is read as more
than the storage it is in, so that a broadcast is read once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch._ops import OpOverload

from opcount.ops import Call, Event, TensorSpec, tensors
from opcount.trace.storages import Storages


@dataclass(slots=True)
class Moved:
    """Bytes that one module read and wrote."""

    reads: int = 0
    weight_reads: int = 0
    writes: int = 0


class Moves:
    """Folds what a run does into bytes moved and the most bytes alive, module by module.

    Args:
        storages: where the sizes of storages come from.
        weights: the numbers of the storages of parameters and buffers.
    """

    def __init__(self, storages: Storages, weights: Iterable[int | None]) -> None:
        self.moved: dict[str, Moved] = {}
        self.live: dict[str, int] = {}
        self._storages = storages
        self._weights = frozenset(weights)
        self._running: list[str] = [""]
        self._read_within: dict[int, int] = {}
        self._written_within: set[int] = set()

    # As a collector of a run:

    def enter(self, path: str) -> None:
        """A module's forward begins."""
        self._running.append(path)
        self.lived()

    def leave(self, path: str, call: Call | None) -> None:
        """A module's forward has ended."""
        last = self._running.pop() if len(self._running) > 1 else ""
        outer = self._running[-1]
        self.live[outer] = max(self.live.get(outer, 0), self.live.get(last, 0))

    def on_event(self, event: Event) -> None:
        """A layer that is one kernel has run."""
        call = event.call
        within, written = self._read_within, self._written_within
        self._read_within, self._written_within = {}, set()
        given, returned = tensors((call.args, call.kwargs)), tensors(call.output)
        known = {spec.alias for spec in given} | self._weights
        results = [spec for spec in returned if spec.alias not in known or spec.alias in written or not spec.alias]
        if results:
            self._add(event.owner, self._bytes(given), sum(within.values()), self._bytes(results))

    # What the observer of operators tells beside:

    def lived(self) -> None:
        """As much is alive now."""
        path, live = self._running[-1], self._storages.live
        if live > self.live.get(path, -1):
            self.live[path] = live

    def operator(self, func: OpOverload, call: Call, path: str, *, owned: bool) -> None:
        """An operator has run, in a module's forward or within what a layer's rule owns."""
        part = part_of(func)
        if part.moves_nothing:
            return
        given, returned = tensors((call.args, call.kwargs)), tensors(call.output)
        written = [spec for name, spec in _named(func, call) if name in part.written]
        aliases = {spec.alias for spec in given} - {spec.alias for spec in written}
        results = [*written, *(spec for spec in returned if spec.alias not in aliases and spec not in written)]
        if part.overwrites:
            given = [spec for spec in given if spec not in written]
        if not results:
            return
        most = self._bytes(results) if part.picks else None
        if owned:
            self._within(given, written, most)
            return
        weights = [spec for spec in given if spec.alias in self._weights]
        others = [spec for spec in given if spec.alias not in self._weights]
        self._add(path, self._reads(others, most), self._reads(weights, most), self._bytes(results))

    def _within(self, given: list[TensorSpec], written: list[TensorSpec], most: int | None) -> None:
        """What an operator does inside a layer that is one kernel: weights are read once, whoever reads them."""
        self._written_within.update(spec.alias for spec in written if spec.alias is not None)
        for spec in given:
            if spec.alias is not None and spec.alias in self._weights:
                size = self._reads([spec], most)
                self._read_within[spec.alias] = max(size, self._read_within.get(spec.alias, 0))

    def _add(self, path: str, reads: int, weight_reads: int, writes: int) -> None:
        moved = self.moved.setdefault(path, Moved())
        moved.reads += reads
        moved.weight_reads += weight_reads
        moved.writes += writes

    def _reads(self, specs: list[TensorSpec], most: int | None) -> int:
        """Bytes of tensors; of each no more than ``most`` where a floating-point table is picked from."""
        if most is None:
            return self._bytes(specs)
        return sum(min(self._bytes([spec]), most) if spec.floating else self._bytes([spec]) for spec in specs)

    def _bytes(self, specs: Iterable[TensorSpec]) -> int:
        """Bytes of tensors, no more of any storage than it has."""
        sums: dict[int | None, int] = {}
        for spec in specs:
            sums[spec.alias] = sums.get(spec.alias, 0) + spec.elements * itemsize(spec.dtype)
        return sum(min(size, self._storages.size(alias)) if alias else size for alias, size in sums.items())


@lru_cache(maxsize=256)
def itemsize(dtype: str) -> int:
    """Bytes of one element.

    >>> itemsize("float32"), itemsize("bool"), itemsize("complex64")
    (4, 1, 8)
    """
    kind: Any = getattr(torch, dtype)
    return int(kind.itemsize)


_PICKING = frozenset({"embedding", "index", "_unsafe_index", "index_select", "gather", "take"})
_OVERWRITING = frozenset(
    {"copy_", "fill_", "zero_", "set_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_", "resize_"}
)
_NOTHING = frozenset(
    {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted", "lift_fresh", "set_"}
)


@dataclass(frozen=True, slots=True)
class Part:
    """How an operator moves bytes, whatever it is called with.

    Attributes:
        moves_nothing: it allocates or renames, and touches no values.
        written: names of the arguments it writes to.
        overwrites: it does not read what it writes to.
        picks: it reads only as many elements of its table as it returns.
    """

    moves_nothing: bool
    written: frozenset[str]
    overwrites: bool
    picks: bool


@lru_cache(maxsize=4096)
def part_of(func: OpOverload) -> Part:
    """What is to be said of an operator's movement of bytes."""
    name = func._schema.name.partition("::")[2]
    arguments = func._schema.arguments
    written = frozenset(a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write)
    returns_tensors = any("Tensor" in str(returned.type) for returned in func._schema.returns)
    inplace_view = torch.Tag.inplace_view in func.tags
    return Part(
        moves_nothing=name in _NOTHING or inplace_view or not (returns_tensors or written),
        written=written,
        overwrites=name in _OVERWRITING or "out" in written,
        picks=name in _PICKING,
    )


def _named(func: OpOverload, call: Call) -> Iterable[tuple[str, TensorSpec]]:
    """The tensors an operator was given, by the names of its arguments."""
    names = [argument.name for argument in func._schema.arguments]
    for name, value in (*zip(names, call.args), *call.kwargs.items()):
        for spec in tensors(value):
            yield name, spec
