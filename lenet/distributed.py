"""Several processes under ``torchrun``, or one: the same calls for both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lenet.errors import StudyError
from opcount import OpCountError

T = TypeVar("T")


class LeaderError(StudyError):
    """What went wrong in the process that leads, which has told of it, raised in the others."""


@dataclass(frozen=True)
class Group:
    """The processes that share each batch; this one is number ``rank`` of ``world_size``."""

    rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch."""
        return batch[self.rank :: self.world_size]

    def replicate(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over all processes; with one process the model itself."""
        return nn.parallel.DistributedDataParallel(model) if self.world_size > 1 else model

    def total(self, values: Tensor) -> Tensor:
        """The sum of the values over all processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def from_leader(self, make: Callable[[], T]) -> T:
        """What the leader makes, given to every process; an error of the leader's is raised in all.

        Raises:
            LeaderError: the leader's error, elsewhere than in the leader.
        """
        if self.world_size == 1:
            return make()
        outcome: list[Any] = [None, None]
        try:
            if self.leads:
                outcome[0] = make()
        except OpCountError as error:
            outcome[1] = str(error)
            dist.broadcast_object_list(outcome, src=0)
            raise
        dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise LeaderError(outcome[1])
        value: T = outcome[0]
        return value


def launched() -> bool:
    """Whether ``torchrun`` started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def join(device: str) -> Group:
    """Join the processes that ``torchrun`` started: nccl between CUDA devices, gloo otherwise.

    Raises:
        StudyError: they cannot be joined.
    """
    try:
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise StudyError(f"the processes of torchrun cannot be joined: {error}") from error
    return Group(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def resolve(device: str) -> str:
    """The device by the name PyTorch has for it; ``auto`` is CUDA if there is any, else the CPU.

    Raises:
        StudyError: there is no such device here.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise StudyError(f"there is no device {device!r} here: {str(error).splitlines()[0]}") from error
    return device


def place(device: str) -> torch.device:
    """Where this process computes: its own CUDA device if there are several processes."""
    if device == "cuda" and launched():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(device)
