"""What memory one call of a model takes: weights, activations and their high-water mark, bytes moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from opcount.errors import InputError
from opcount.inputs import call_arguments, home
from opcount.occupancy import LayerMemory, Memory
from opcount.trace.describe import dtype_name
from opcount.trace.faking import Faker
from opcount.trace.guard import garbage_kept
from opcount.trace.liveness import run_known
from opcount.trace.moving import Moved, Moves
from opcount.trace.sight import unobserved
from opcount.trace.skeleton import Skeleton, clone, cloned, walk
from opcount.trace.storages import Storages, parts
from opcount.trace.trying import shapes_or_real
from opcount.trace.whole import run_whole


def memory(
    model: nn.Module,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    execution: str = "auto",
) -> Memory:
    """The bytes that one call of a model holds and moves, without gradients: inference.

    Every tensor is followed from the operator that makes it until the last reference to it goes. Views share what they
    view, and what works in place makes nothing new. The workspaces of kernels are outside, and so is what an allocator
    rounds up. Operators that PyTorch would choose on the model's own device are the ones that count.

    Args:
        model: any ``nn.Module``; it is not touched.
        inputs, kwargs: as for :func:`opcount.profile`.
        execution: ``"shapes"`` executes every operator on tensors without values; ``"real"`` runs a clone; ``"auto"``
            does the first and, where the forward needs values, the second.

    Raises:
        InputError: the inputs are missing or unusable.
        ForwardError: the model's forward raised.

    >>> from torch import nn
    >>> m = memory(nn.Sequential(nn.Linear(10, 30), nn.ReLU(), nn.Linear(30, 5)), (2, 10))
    >>> m.weights, m.inputs, m.activations  # 4 bytes an element; both hidden layers are 2x30, the output 2x5
    ({'float32': 1940}, 80, {'float32': 520})
    >>> m.peak_activations, m.peak_path  # Linear's and ReLU's outputs at once
    (480, '1')
    """
    return _measured(model, inputs, kwargs, execution, details=True)


def peak_activations(
    model: nn.Module,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    execution: str = "auto",
) -> int:
    """The most bytes of activations that one call of a model holds at once: :func:`memory`'s, and nothing else.

    Args:
        model, inputs, kwargs, execution: as for :func:`memory`.

    Raises:
        OpCountError: as for :func:`memory`.

    >>> from torch import nn
    >>> peak_activations(nn.Sequential(nn.Linear(10, 30), nn.ReLU(inplace=True), nn.Linear(30, 5)), (2, 10))
    280
    """
    known = _known_peak(model, inputs, kwargs) if execution in ("auto", "shapes") else None
    return _measured(model, inputs, kwargs, execution, details=False).peak_activations if known is None else known


def _known_peak(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None) -> int | None:
    """The peak of a model of which all is known that it allocates, in a tenth of the time; None of another."""
    if not isinstance(model, nn.Module) or home(model)[0].type not in ("cpu", "meta"):
        return None
    storages = Storages(values=False)
    try:
        with unobserved(), garbage_kept():
            args, keywords = call_arguments(model, inputs, kwargs, shapes_only=True)
            storages.know(_tensors((args, keywords)))
            skeleton = clone(model, shapes_only=True)
            run_known(skeleton, args, keywords, storages)
            skeleton.settle()
    except Exception:  # the whole run gives the number or the error
        return None
    return storages.peak


def _measured(
    model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None, execution: str, *, details: bool
) -> Memory:
    if not isinstance(model, nn.Module):
        raise InputError(f"memory is that of an nn.Module, not of {type(model).__name__} {model!r}")
    if execution not in ("auto", "shapes", "real"):
        raise InputError(f"execution is 'auto', 'shapes' or 'real', not {execution!r}")
    return shapes_or_real(
        execution,
        lambda: _by_shapes(model, inputs, kwargs, details),
        lambda reason: _by_running(model, inputs, kwargs, reason, details),
    )


def _by_running(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None, reason: str, details: bool) -> Memory:
    args, keywords = call_arguments(model, inputs, kwargs)
    return _run(model, cloned(model), args, keywords, None, reason, details)


def _by_shapes(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None, details: bool) -> Memory:
    args, keywords = call_arguments(model, inputs, kwargs, shapes_only=True)
    faker = Faker(home(model)[0])
    skeleton = clone(model, fake=faker)
    return _run(model, skeleton, faker.inputs(args), faker.inputs(keywords), faker, "", details)


def _run(
    model: nn.Module, skeleton: Skeleton, args: Any, keywords: Any, faker: Faker | None, reason: str, details: bool
) -> Memory:
    storages = Storages(values=faker is None)
    given = _tensors((args, keywords))
    storages.know(given)
    held = [tensor for _, module in skeleton.modules for tensor in _own(module)]
    storages.know(held)
    moves = Moves(storages, [storages.alias(tensor) for tensor in held]) if details else None
    execution = run_whole(skeleton, args, keywords, storages, moves=moves, faker=faker)
    own = _Owned(model, skeleton)
    return Memory(
        model=type(model).__name__,
        weights=own.parameters,
        buffers=own.buffers,
        inputs=_distinct_bytes(given),
        activations=dict(storages.allocated),
        peak_activations=storages.peak,
        peak_path=storages.peak_path,
        held=tuple(sorted(storages.held, key=lambda each: -each.bytes)),
        layers=() if moves is None else tuple(_layers(own, storages, moves)),
        execution=replace(execution, reason=reason),
    )


class _Owned:
    """What each module holds itself, at its first owner; memory that tensors share is counted once."""

    def __init__(self, model: nn.Module, skeleton: Skeleton) -> None:
        self.parameters: dict[str, int] = {}
        self.buffers: dict[str, int] = {}
        self.by_path: dict[str, int] = {}
        self.types: dict[str, str] = {}
        self._regions: set[tuple[Any, ...]] = set()
        self._counted: dict[int, int] = {}
        originals = dict(walk(model))
        met: set[int] = set()
        for path, module in skeleton.modules:
            if id(module) not in met:
                met.add(id(module))
                self.types[path] = type(module).__name__
                self.by_path[path] = self._of(module, originals.get(path))

    def _of(self, module: nn.Module, original: nn.Module | None) -> int:
        """Bytes of a module's own tensors: the model's as they are, unless the run gave them their shape."""
        found = 0
        for name, groups in (("_parameters", self.parameters), ("_buffers", self.buffers)):
            theirs = {} if original is None else original.__dict__.get(name) or {}
            for key, tensor in (module.__dict__.get(name) or {}).items():
                given = theirs.get(key)
                tensor = tensor if given is None or is_lazy(given) else given
                if tensor is None or is_lazy(tensor):
                    continue
                for part in parts(tensor):
                    size = self._new_bytes(part)
                    groups[dtype_name(part.dtype)] = groups.get(dtype_name(part.dtype), 0) + size
                    found += size
        return found

    def _new_bytes(self, tensor: torch.Tensor) -> int:
        storage = tensor.untyped_storage()
        region = storage._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype
        if region in self._regions:
            return 0
        self._regions.add(region)
        counted = self._counted.get(storage._cdata, 0)
        size = min(tensor.numel() * tensor.itemsize, storage.nbytes() - counted)
        self._counted[storage._cdata] = counted + size
        return size


def _layers(own: _Owned, storages: Storages, moves: Moves) -> Iterable[LayerMemory]:
    nothing = Moved()
    for path, kind in own.types.items():
        moved = moves.moved.get(path, nothing)
        yield LayerMemory(
            path,
            kind,
            own.by_path[path],
            storages.by_path.get(path, 0),
            moves.live.get(path, 0),
            moved.reads,
            moved.weight_reads,
            moved.writes,
        )


def _own(module: nn.Module) -> Iterable[torch.Tensor]:
    for name in ("_parameters", "_buffers"):
        for tensor in (module.__dict__.get(name) or {}).values():
            if tensor is not None and not is_lazy(tensor):
                yield tensor


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _distinct_bytes(tensors: Iterable[torch.Tensor]) -> int:
    sizes = {part.untyped_storage()._cdata: part.untyped_storage().nbytes() for each in tensors for part in parts(each)}
    return sum(sizes.values())
