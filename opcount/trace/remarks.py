"""What a reader of a model's figures has to know of what was put around it: whose work they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import OpCount
from opcount.result import LayerRecord
from opcount.trace.wrapping import REPLICATING, is_distributed, is_fully_sharded, unwrapped

_DENSE = frozenset({torch.strided, torch.jagged, torch._mkldnn})  # type: ignore[attr-defined]


def remarks(model: nn.Module, records: Iterable[LayerRecord]) -> tuple[str, ...]:
    """What a reader of a model's figures has to know beside; most often nothing.

    Args:
        records: what was counted, module by module.
    """
    return tuple(_remarks(model, {record.path: record.ops for record in records}))


def _remarks(model: nn.Module, ops: Mapping[str, OpCount]) -> Iterator[str]:
    modules = list(unwrapped_modules(model))
    if isinstance(model, REPLICATING):
        yield f"{type(model).__name__}: what one replica does with these inputs"
    if "torch.distributed.tensor" in sys.modules:
        yield from _sharding(modules, ops)
    layouts = {tensor.layout for _, each in modules for tensor in each._parameters.values() if tensor is not None}
    if not layouts <= _DENSE:
        yield "sparse weights counted dense"


def _sharding(modules: list[tuple[str, nn.Module]], ops: Mapping[str, OpCount]) -> Iterator[str]:
    within = [path for path, each in modules if is_fully_sharded(type(each))]
    ranks, whole, own = 0, 0, 0
    for path, module in modules:
        tensors: list[Any] = [each for each in module._parameters.values() if each is not None and is_distributed(each)]
        managed = any(not root or path == root or path.startswith(f"{root}.") for root in within)
        for tensor in tensors:
            ranks = max(ranks, tensor.device_mesh.size())
        if tensors:
            largest = max(tensors, key=torch.Tensor.numel)
            macs = ops.get(path, OpCount()).macs
            part, elements = _elements_here(largest, managed), largest.numel()
            if part != elements:
                whole += macs
                own += macs * part // elements if elements else 0
    if not ranks:
        return
    if within:
        yield f"fully_shard over {ranks} ranks: each does all of this with its own inputs"
    if whole:
        yield f"DTensor over {ranks} ranks: all ranks together; this one does {own:,} of the {whole:,} MACs they share"
    elif not within:
        yield f"DTensor over {ranks} ranks: each does all of this"


def unwrapped_modules(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every (path, module) of a model, with the paths it has where nothing is wrapped."""
    pending, seen = [("", root)], set()
    while pending:
        path, module = pending.pop()
        module = unwrapped(module)
        if id(module) not in seen:
            seen.add(id(module))
            yield path, module
            prefix = f"{path}." if path else ""
            children = reversed(module._modules.items())
            pending.extend((prefix + name, child) for name, child in children if child is not None)


def _elements_here(tensor: Any, gathered_before_use: bool) -> int:
    """How many elements of a tensor this rank computes with: ``fully_shard`` fetches its own shards before."""
    placements, mesh = list(enumerate(tensor.placements)), tensor.device_mesh
    if gathered_before_use:
        replicated_too = mesh.ndim > 1 and tensor.placements[0].is_replicate()
        placements = [] if mesh.ndim == 1 or replicated_too else placements[1:]
    sizes, coordinate = list(tensor.shape), mesh.get_coordinate()
    for axis, placement in placements:
        if placement.is_shard():
            ranks, rank = mesh.size(axis), coordinate[axis]
            most = -(-sizes[placement.dim] // ranks)
            sizes[placement.dim] = max(0, min(most, sizes[placement.dim] - rank * most))
    return int(product(sizes))
