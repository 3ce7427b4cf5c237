"""Which memory is alive: every storage that a run makes, from the operator that made it until its last tensor goes.

A view shares the storage of what it views, an operation in place makes none, and a storage goes when Python or PyTorch
drops the last tensor that holds it: a variable of the forward, an attribute, a list. PyTorch tells, by the weak
reference on the storage itself, so nothing is guessed.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from opcount.errors import OpCountError
from opcount.occupancy import Held
from opcount.trace.describe import dtype_name
from opcount.trace.standins import NeedsValues


@dataclass(slots=True)
class _Known:
    """A storage that is alive: its number, its size, and who made it if the run did."""

    alias: int
    bytes: int
    reference: Any
    made: Held | None = None


class Storages:
    """The storages that are alive, and the most that the run's own ever took at once.

    Args:
        values: whether tensors have values; where they have none, a tensor whose size is a matter of values is refused.

    Attributes:
        live: bytes of what the run made and is alive.
        peak: the most that ever was.
        peak_path: the module in whose forward that was.
        held: what was held then.
        allocated: bytes made by element type.
        by_path: bytes made by the module in whose forward that was.
    """

    def __init__(self, *, values: bool = True) -> None:
        self.values = values
        self.live = self.peak = 0
        self.peak_path = ""
        self.held: tuple[Held, ...] = ()
        self.allocated: dict[str, int] = {}
        self.by_path: dict[str, int] = {}
        self._known: dict[int, _Known] = {}
        self._sizes: dict[int | None, int] = {}
        self._next = 0

    def know(self, tensors: Iterable[torch.Tensor]) -> None:
        """Tensors that were there before: what they hold is none of the run's making."""
        for tensor in tensors:
            for part in self._parts(tensor):
                storage = part.untyped_storage()
                if storage._cdata not in self._known:
                    self._add(storage, None)

    def note(self, tensors: Iterable[torch.Tensor], path: str, operator: str) -> None:
        """Tensors that an operator returned or wrote to: new storages are the run's, known ones may have grown."""
        for tensor in tensors:
            for part in self._parts(tensor):
                storage = part.untyped_storage()
                known = self._known.get(storage._cdata)
                if known is None:
                    dtype = dtype_name(part.dtype)
                    self._add(storage, Held(path, operator, tuple(part.shape), dtype, storage.nbytes()))
                elif known.bytes != storage.nbytes():
                    self._resize(known, storage.nbytes(), path)
        if self.live > self.peak:
            self.peak, self.peak_path = self.live, path
            self.held = tuple(known.made for known in self._known.values() if known.made and known.made.bytes)

    def alias(self, tensor: torch.Tensor) -> int | None:
        """The number of the storage that a tensor is in; None if it was never seen."""
        for part in parts(tensor):
            known = self._known.get(part.untyped_storage()._cdata)
            return None if known is None else known.alias
        return None

    def size(self, alias: int | None) -> int:
        """The bytes of the storage of that number, also after it went."""
        return self._sizes[alias]

    def _parts(self, tensor: torch.Tensor) -> Iterable[torch.Tensor]:
        if not self.values and tensor.layout not in (torch.strided, torch.jagged):
            raise NeedsValues(f"how much memory a {tensor.layout} tensor takes is a matter of values")
        return parts(tensor)

    def _add(self, storage: Any, made: Held | None) -> None:
        key, known = storage._cdata, self._known
        mine = weakref.ref(self)

        def gone(_: Any) -> None:
            storages, entry = mine(), known.pop(key, None)
            if storages is not None and entry is not None and entry.made is not None:
                storages.live -= entry.bytes

        self._next += 1
        known[key] = _Known(self._next, storage.nbytes(), weakref.ref(storage, gone), made)
        self._sizes[self._next] = storage.nbytes()
        if made is not None:
            self._count(made.path, made.dtype, made.bytes)

    def _resize(self, known: _Known, size: int, path: str) -> None:
        made = known.made
        if made is not None:
            self.live -= known.bytes
            known.made = Held(made.path, made.operator, made.shape, made.dtype, size)
            self._count(path, made.dtype, size)
        known.bytes = self._sizes[known.alias] = size

    def _count(self, path: str, dtype: str, size: int) -> None:
        self.live += size
        if size:
            self.allocated[dtype] = self.allocated.get(dtype, 0) + size
        self.by_path[path] = self.by_path.get(path, 0) + size


def parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The plain tensors that a tensor keeps its values in: most often itself.

    Raises:
        OpCountError: it keeps them where PyTorch does not show them.
    """
    wrapper: Any = tensor
    if type(tensor) is not torch.Tensor and is_traceable_wrapper_subclass(wrapper):
        for name in wrapper.__tensor_flatten__()[0]:
            yield from parts(getattr(wrapper, name))
    elif tensor.layout == torch.strided:
        yield tensor
    elif tensor.layout == torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())
    elif tensor.layout in _BY_ROWS:
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in _BY_COLUMNS:
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    else:
        raise OpCountError(f"the memory of a {tensor.layout} tensor cannot be seen; give the model in another layout")


_BY_ROWS, _BY_COLUMNS = (torch.sparse_csr, torch.sparse_bsr), (torch.sparse_csc, torch.sparse_bsc)
