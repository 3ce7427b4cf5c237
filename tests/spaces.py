"""Builders for the tests of sweeps: small models, and everything that can go wrong with one."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn


def dense(width: int, depth: int = 1) -> nn.Module:
    """Linear layers of one width on 8 features: ``8 w + (d - 1) w²`` MACs a sample."""
    sizes = [8, *[width] * depth]
    return nn.Sequential(*(nn.Linear(one, other) for one, other in pairwise(sizes)))


def counted_dense(width: int, log: str) -> nn.Module:
    """The same, with a line in a file for every time it is built."""
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{width}\n")
    return dense(width)


def once_killed(width: int, marker: str) -> nn.Module:
    """Killed from outside the first time, as a machine that runs out of memory does."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return dense(width)


def troubled(how: str) -> Any:
    """A builder that goes wrong in the way it is asked to."""
    ways: dict[str, Any] = {
        "exit": lambda: os._exit(3),
        "crash": lambda: ctypes.string_at(0),
        "hang": lambda: threading.Event().wait(),
        "eat": lambda: [bytearray(2**26) for _ in range(2**12)],
        "memory": lambda: _raised(MemoryError("no room")),
        "raise": lambda: _raised(ValueError("no\nluck")),
        "leave": lambda: _raised(SystemExit(3)),
        "interrupt": lambda: _raised(KeyboardInterrupt()),
        "nothing": lambda: None,
        "print": lambda: print("x" * 100_000),  # noqa: T201
    }
    ways.get(how, lambda: None)()
    return None if how == "nothing" else dense(4)


def _raised(error: BaseException) -> None:
    raise error


def circular(width: int) -> nn.Module:
    """A model that holds itself, with 64 MiB: only a search for garbage lets it go."""
    model = dense(width)
    model.register_buffer("large", torch.empty(2**24))
    model.holders = [model]
    return model


class ReadsItself(nn.Module):
    """Its width is drawn after a layer was: skipping the layer's weights must not change what is drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, int(torch.randint(1, 1000, ())))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


class Chooses(nn.Module):
    """A forward that asks for a value, so that it has to run on real weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(8, width)
        nn.init.ones_(self.layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) if (self.layer.weight.sum() > 0).item() else x
