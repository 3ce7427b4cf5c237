"""One rank of a process group that wraps small models, counts them and writes down what it found."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_module
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from opcount import Meter, meter, profile
from opcount.errors import OpCountError

try:
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
except ImportError:  # before PyTorch 2.6
    from torch.distributed._composable.fsdp import fully_shard
    from torch.distributed.fsdp import FullyShardedDataParallel


def net() -> nn.Sequential:
    """8 -> 16 -> 4, the same on every rank."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def fully_sharded(mesh: Any) -> nn.Sequential:
    """The same, each of its parts shared out."""
    model = net()
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def compiled(model: nn.Module) -> nn.Module:
    """The same under ``torch.compile``, with a backend that every machine has."""
    return torch.compile(model, backend="eager")  # type: ignore[return-value]


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, rank: int, m: Meter | None) -> list[float]:
    """The losses of three steps, of two batches each."""
    losses = []
    for step in range(3):
        for _ in range(2):
            generator = torch.Generator().manual_seed(step)
            loss = model(torch.randn(2 + rank, 8, generator=generator)).square().mean()
            loss.backward()
            losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
        if m is not None:
            m.step()
    return losses


def metered(model: nn.Module, rank: int) -> dict[str, Any]:
    """What a meter says of a training in which each rank has batches of its own size, and the losses of it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with meter(model, optimizer=optimizer) as m:
        losses = trained(model, optimizer, rank, m)
        with torch.no_grad():
            model(torch.ones(1, 8))
        own, whole = m.ops, m.all_ranks()
    return {
        "own": own.to_dict(),
        "evaluation": m.evaluation.to_dict(),
        "step": m.last.to_dict(),
        "whole": whole.to_dict(),
        "counted": m.counted,
        "uncounted": m.uncounted,
        "losses": losses,
    }


def found(model: nn.Module, **options: Any) -> dict[str, Any]:
    """What counting says."""
    try:
        counted = profile(model, (2, 8), **options)
    except OpCountError as error:
        return {"error": str(error)}
    rows = [(record.path, record.type, record.params) for record in counted]
    return {"ops": counted.ops.to_dict(), "remarks": counted.remarks, "rows": rows, "execution": counted.execution}


def main(rank: int, ranks: int, meeting: str, output: str) -> None:
    """Wrap, count, and use the model afterwards, in all ranks alike."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    mesh = init_device_mesh("cpu", (ranks,))
    replicated = nn.parallel.DistributedDataParallel(net())
    sharded = fully_sharded(mesh)
    split = parallelize_module(net(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    results: dict[str, Any] = {
        "DistributedDataParallel": found(replicated),
        "within": found(nn.Sequential(replicated)),
        "fully_shard": found(sharded),
        "fully_shard real": found(sharded, execution="real"),
        "tensor parallel": found(split),
        "replicated tensors": found(distribute_module(net(), mesh)),
    }
    try:
        results["FullyShardedDataParallel"] = found(FullyShardedDataParallel(net(), device_id=torch.device("cpu")))
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:  # some releases want an accelerator
        results["FullyShardedDataParallel"] = {"impossible": str(error)}
    alone = nn.parallel.DistributedDataParallel(net())
    results |= {"unmetered": trained(alone, torch.optim.SGD(alone.parameters(), lr=0.1), rank, None)}
    results |= {"metered DistributedDataParallel": metered(nn.parallel.DistributedDataParallel(net()), rank)}
    results |= {"metered fully_shard": metered(fully_sharded(mesh), rank)}
    results |= {"compiled DistributedDataParallel": metered(compiled(nn.parallel.DistributedDataParallel(net())), rank)}
    replicated(torch.randn(2, 8)).sum().backward()  # counting has left the models as they were
    split(torch.randn(2, 8))
    with open(f"{output}.{rank}", "w", encoding="utf-8") as file:
        json.dump(results, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
