"""The process's state that a forward may change, kept and put back."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Random states of every device in use, of Python and of numpy, grad mode and default dtype, as they were."""
    numpy: Any = sys.modules.get("numpy.random")
    devices = _devices_in_use()
    before = torch.get_rng_state(), random.getstate(), numpy.get_state() if numpy else None
    on_devices = [(device, device.get_rng_state_all()) for device in devices]
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
        torch.set_rng_state(before[0])
        random.setstate(before[1])
        if numpy:
            numpy.set_state(before[2])
        for device, states in on_devices:
            device.set_rng_state_all(states)


@contextmanager
def deeper_recursion() -> Iterator[None]:
    """Room for the frames of observing on top of the forward's own: one a module, and what is below the innermost."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + min(limit // 3, 1000) + 300)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@contextmanager
def garbage_kept() -> Iterator[None]:
    """No search for garbage: a count by shapes makes many small objects that live until it ends, and little else."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


def _devices_in_use() -> list[Any]:
    backends = [getattr(torch, name, None) for name in ("cuda", "xpu")]
    return [backend for backend in backends if backend is not None and backend.is_initialized()]
