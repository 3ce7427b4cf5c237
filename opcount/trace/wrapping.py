"""What others put around a model: replicas and shards. The model inside is what is counted.

Nothing of ``torch.distributed`` is imported here: whoever wrapped a model has imported it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from opcount.errors import InputError
from opcount.trace.sight import Observing

REPLICATING = (nn.DataParallel, nn.parallel.DistributedDataParallel)
"""Wrappers that hand each replica its share of a batch."""


class Scripted(nn.Module):
    """A scripted or traced module within a plain one, which can be hooked. What runs in it belongs to it as a whole."""

    def __init__(self, scripted: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.__dict__["scripted"] = scripted  # not a child: it has rows for nothing inside
        self._parameters.update(scripted.named_parameters())
        self.training = getattr(scripted, "training", False)  # a frozen one no longer says

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["scripted"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Whatever the scripted module does."""
        return self.scripted(*args, **kwargs)


def unwrapped(module: nn.Module) -> nn.Module:
    """The model inside a wrapper that adds no arithmetic of its own, or within several; the module if it is none.

    Raises:
        InputError: what is inside no longer has the shapes to count by.
    """
    while True:
        kind: Any = type(module)
        if not wraps(kind):
            return module
        if isinstance(module, REPLICATING):
            module = module.module
        elif _is_compiled(kind):
            module = module._orig_mod  # type: ignore[assignment]
        else:
            raise InputError(
                "FullyShardedDataParallel keeps parameters in flat pieces, whose shapes say nothing of the layers: "
                "count the model before it is wrapped, or shard it with fully_shard"
            )


@lru_cache(maxsize=4096)
def wraps(kind: Any) -> bool:
    """Whether modules of a class only hold the model that is meant."""
    return issubclass(kind, REPLICATING) or _is_compiled(kind) or _derives(kind, "FullyShardedDataParallel")


@lru_cache(maxsize=4096)
def own_class(kind: Any) -> Any:
    """A class; for one that ``fully_shard`` made of a module's class, that one."""
    return kind.__mro__[2] if kind.__mro__[1].__name__ == "FSDPModule" and is_fully_sharded(kind) else kind


def is_fully_sharded(kind: Any) -> bool:
    """Whether ``fully_shard`` was applied to the module that has this class."""
    return _derives(kind, "FSDPModule")


def is_none_of_its(hook: Any) -> bool:
    """Whether a hook is no part of a model's forward: it only moves tensors between ranks, or looks on for us."""
    return isinstance(hook, Observing) or str(getattr(hook, "__module__", "")).startswith("torch.distributed.")


def is_distributed(tensor: object) -> bool:
    """Whether a tensor is a DTensor: one of which each rank holds a part."""
    home: Any = sys.modules.get("torch.distributed.tensor")
    return home is not None and isinstance(tensor, home.DTensor)


def gathered(tensor: Any) -> torch.Tensor:
    """The whole of a distributed tensor, where this rank has it.

    Raises:
        InputError: it would have to be fetched from other ranks, who do not know that they are asked.
    """
    if tensor.device_mesh.size() > 1 and any(placement.is_shard() for placement in tensor.placements):
        raise InputError(
            "the forward needs values, and this rank holds only a part of the parameters: count the model before it is "
            "sharded"
        )
    return tensor.to_local()  # type: ignore[no-any-return]


def _derives(kind: Any, name: str) -> bool:
    return any(base.__name__ == name and base.__module__.startswith("torch.distributed.") for base in kind.__mro__)


def _is_compiled(kind: Any) -> bool:
    return any(base.__name__ == "OptimizedModule" and base.__module__.startswith("torch.") for base in kind.__mro__)
