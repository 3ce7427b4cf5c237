"""The process's state that a forward may change, kept and put back."""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import torch


class _Process:
    """What all threads share: kept by the first count that begins, and put back by the last that ends."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts = 0
        self.drew = False
        self.kept: tuple[Any, ...] = ()
        self.on_devices: list[tuple[Any, Any]] = []
        self.limit = 0

    def enter(self) -> None:
        """A count begins. There is room for its frames on top of the forward's: two a module, and those innermost."""
        with self.lock:
            self.counts += 1
            if self.counts > 1:
                return
            numpy: Any = sys.modules.get("numpy.random")
            self.kept = torch.get_rng_state(), random.getstate(), numpy.get_state() if numpy else None
            self.on_devices = [(device, device.get_rng_state_all()) for device in _devices_in_use()]
            self.seed, self.dtype = torch.initial_seed(), torch.get_default_dtype()
            self.drew = False
            self.limit = sys.getrecursionlimit()
            sys.setrecursionlimit(self.limit + min(self.limit // 2, 1000) + 300)

    def leave(self, drew: bool) -> None:
        """A count has ended.

        Other threads draw from the same random states. Beside them a state of PyTorch's is only put back if a count
        has drawn from it, or a training elsewhere would see its random numbers twice.
        """
        with self.lock:
            self.counts -= 1
            self.drew |= drew
            if self.counts:
                return
            sys.setrecursionlimit(self.limit)
            if torch.get_default_dtype() != self.dtype:
                torch.set_default_dtype(self.dtype)
            numpy: Any = sys.modules.get("numpy.random")
            if random.getstate() != self.kept[1]:
                random.setstate(self.kept[1])
            if numpy and self.kept[2]:
                numpy.set_state(self.kept[2])
            if self.drew or threading.active_count() == 1 or torch.initial_seed() != self.seed:
                torch.set_rng_state(self.kept[0])
                for device, states in self.on_devices:
                    device.set_rng_state_all(states)


_PROCESS = _Process()


def drawn() -> None:
    """Say that a count has drawn random numbers where no observer sees it."""
    with _PROCESS.lock:
        _PROCESS.drew = True


@contextmanager
def process_state_kept(drew: Callable[[], bool]) -> Iterator[None]:
    """Random states of every device in use, of Python and of numpy, grad mode, default dtype and recursion limit.

    Args:
        drew: whether, at the end, what ran within has drawn random numbers.
    """
    grad = torch.is_grad_enabled()
    _PROCESS.enter()
    try:
        yield
    finally:
        torch.set_grad_enabled(grad)
        _PROCESS.leave(drew())


def is_compiler_loaded() -> bool:
    """Whether somebody has imported what ``torch.compile`` needs, and with it may have compiled something."""
    return _COMPILER in sys.modules


_COMPILER = "torch._dynamo.eval_frame"


class _Eager:
    """The compiler held back by the first count that finds it, until the last has ended, whatever their threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts = 0
        self.held: AbstractContextManager[None] | None = None

    def enter(self) -> None:
        with self.lock:
            self.counts += 1
            if self.held is None and is_compiler_loaded():  # else nothing has been compiled, and importing it is slow
                self.held = _compiler_held()
                self.held.__enter__()

    def leave(self) -> None:
        with self.lock:
            self.counts -= 1
            if self.counts == 0 and self.held is not None:
                held, self.held = self.held, None
                held.__exit__(None, None, None)


_EAGER = _Eager()


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Functions under ``torch.compile`` run as they are written: the compiler would look at the observers as well."""
    _EAGER.enter()
    try:
        yield
    finally:
        _EAGER.leave()


@contextmanager
def _compiler_held() -> Iterator[None]:
    if hasattr(torch.compiler, "set_stance"):
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    compiler: Any = sys.modules[_COMPILER]  # before PyTorch 2.6
    kept = compiler._maybe_set_eval_frame
    compiler._maybe_set_eval_frame = lambda _: None
    try:
        yield
    finally:
        compiler._maybe_set_eval_frame = kept


@contextmanager
def meta_known() -> Iterator[None]:
    """Checkpointing may look for the module of the meta device, which before PyTorch 2.6 there was none of."""
    if hasattr(torch, "meta") or hasattr(torch.compiler, "set_stance"):
        yield
        return
    torch.meta = SimpleNamespace(_initialized=False)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if hasattr(torch, "meta"):  # unless a count in another thread was first
            del torch.meta


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
