"""The memory a model's tensors really take, seen another way: by asking after every operator which storages exist.

The model itself runs, without clone and hooks. Storages are known by weak references of PyTorch's own, which are asked
whether they have expired; nothing calls back and nothing is added up along the way.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Polling(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """After every operator, the bytes of all storages that came out of one and exist."""

    def __init__(self, outside: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.outside = {StorageWeakRef(tensor.untyped_storage()) for tensor in _tensors(outside)}
        self.made: dict[StorageWeakRef, int] = {}
        self.most = 0
        self.ever = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = [] if func is torch.ops.aten.lift_fresh.default else _tensors((args, kwargs))  # new, from numbers
        for tensor in given:
            reference = StorageWeakRef(tensor.untyped_storage())
            if reference not in self.made:
                self.outside.add(reference)
        output = func(*args, **(kwargs or {}))
        self.made = {reference: size for reference, size in self.made.items() if not reference.expired()}
        for tensor in [*_tensors(output), *given]:
            reference, size = StorageWeakRef(tensor.untyped_storage()), tensor.untyped_storage().nbytes()
            if reference not in self.outside:
                if self.made.get(reference) != size:
                    self.ever += size
                self.made[reference] = size
        self.most = max(self.most, sum(self.made.values()))
        return output


def high_water(model: nn.Module, *args: Any, **kwargs: Any) -> tuple[int, int]:
    """The most bytes of activations alive at once in one call of the model, and all that were ever made."""
    polling = Polling((list(model.parameters()), list(model.buffers()), args, kwargs))
    with _no_garbage(), torch.no_grad(), polling:
        model(*args, **kwargs)
    return polling.most, polling.ever


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What only Python's search for garbage frees is held: when it comes is chance."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, torch.Tensor)]
