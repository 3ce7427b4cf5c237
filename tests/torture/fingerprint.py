"""What a model and the process are: everything a forward or a counter could leave changed, as plain comparable data."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_calls
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

Print = dict[str, Any]


def of_model(model: nn.Module) -> Print:
    """Every attribute of every module: identities, hook tables, modes, and the bits of every tensor."""
    seen: Print = {}
    for path, module in _modules(model):
        seen[f"{path}:"] = (id(module), type(module), module.__dict__.get("training"))
        for name, value in module.__dict__.items():
            seen[f"{path}:{name}"] = _shape_of(value, set())
    return seen


def of_value(value: Any) -> Any:
    """A value with everything inside it."""
    return _shape_of(value, set())


def of_process() -> Print:
    """Random states, modes, defaults, patched functions, threads, open files, handlers and filters."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "torch random state": _bits(torch.get_rng_state()),
        "device random states": [_bits(torch.cuda.get_rng_state(device)) for device in devices],
        "python random state": hash(random.getstate()),
        "numpy random state": hashlib.sha1(np.random.get_state()[1].tobytes()).hexdigest(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        "autocast cache": torch.is_autocast_cache_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads of torch": torch.get_num_threads(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "compiler": _stance(),
        "dispatch modes": len(_get_current_dispatch_mode_stack()),
        "function modes": torch._C._len_torch_function_stack(),
        "functions": {name: _names(owner) for name, owner in _OWNERS.items()},
        "global hooks": [len(table) for table in _GLOBAL_HOOKS],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "standard files": [_path_of(number) for number in (0, 1, 2)],
        "open files": _open_files(),
        "warning filters": list(warnings.filters),
        "recursion limit": sys.getrecursionlimit(),
        "garbage collection": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "streams": (id(sys.stdout), id(sys.stderr), id(sys.stdin)),
        "hooks of the interpreter": (sys.excepthook, sys.displayhook, threading.excepthook, sys.gettrace()),
        "log handlers": list(logging.getLogger().handlers),
        "environment": dict(os.environ) | {"PYTEST_CURRENT_TEST": ""},
        "folder": os.getcwd(),
    }


def differences(before: Print, after: Print) -> list[str]:
    """What is other than it was, by name.

    A thread of an earlier test that ended meanwhile, or a file of one that the collector closed, is nothing left
    behind; a thread or a file that is new is told by its name.
    """
    changed = {name for name in (*before, *after) if before.get(name, _ABSENT) != after.get(name, _ABSENT)}
    for kind in changed & _MAY_END:
        changed.remove(kind)
        changed.update(f"{kind}: {new}" for new in Counter(after[kind]) - Counter(before[kind]))
    return sorted(changed)


_ABSENT = object()
_MAY_END = {"threads", "open files"}
_OWNERS: dict[str, Any] = {
    "torch": torch,
    "functional": torch.nn.functional,
    "Tensor": torch.Tensor,
    "Module": nn.Module,
    "Linear": nn.Linear,
    "Conv2d": nn.Conv2d,
    "MultiheadAttention": nn.MultiheadAttention,
    "init": nn.init,
    "autograd": torch.autograd,
}
_GLOBAL_HOOKS: tuple[Any, ...] = (
    module_calls._global_forward_pre_hooks,
    module_calls._global_forward_hooks,
    module_calls._global_backward_pre_hooks,
    module_calls._global_backward_hooks,
    module_calls._global_module_registration_hooks,
    module_calls._global_parameter_registration_hooks,
    module_calls._global_buffer_registration_hooks,
)


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    pending, seen = [("", model)], set()
    while pending:
        path, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        pending.extend(
            (f"{path}.{name}", child) for name, child in (module.__dict__.get("_modules") or {}).items() if child
        )


def _shape_of(value: Any, above: set[int]) -> Any:
    """A value as something that changes when it does: its identity, and what is inside it."""
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, (int, float, str, bytes, bool, type(None))):
        return value
    if id(value) in above:
        return "above"
    inner = above | {id(value)}
    if isinstance(value, dict):
        return id(value), [(str(name), _shape_of(item, inner)) for name, item in value.items()]
    if isinstance(value, (list, tuple)):
        return id(value), [_shape_of(item, inner) for item in value]
    if isinstance(value, (set, frozenset)):
        return id(value), len(value)
    return id(value), type(value)


def _tensor(tensor: Tensor) -> Any:
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        return id(tensor), type(tensor), tensor.requires_grad
    version = None if tensor.is_inference() else tensor._version
    gradient = None if tensor.grad is None else _tensor(tensor.grad)
    place = tensor.data_ptr() if tensor.layout == torch.strided and not tensor.is_nested else None
    return id(tensor), place, version, tensor.requires_grad, gradient, _bits(tensor), len(tensor._backward_hooks or ())


def _bits(tensor: Tensor) -> str:
    plain = tensor.detach()
    if plain.is_meta or plain.layout != torch.strided or plain.is_nested or plain.is_quantized:
        return str(tuple(plain.shape)) if not plain.is_nested else "nested"
    flat = plain.contiguous().reshape(-1).cpu()
    return hashlib.sha1(flat.view(torch.uint8).numpy().tobytes()).hexdigest() if flat.numel() else "empty"


def _names(owner: Any) -> list[tuple[str, int]]:
    """What an owner's public names are bound to; what is imported on first use is not there before it."""
    return sorted((name, id(value)) for name, value in vars(owner).items() if callable(value))


def _stance() -> str:
    """What the compiler does; before it is imported what it will do."""
    compiler: Any = sys.modules.get("torch._dynamo.eval_frame")
    stance = getattr(compiler, "_stance", None)
    return "default" if stance is None else stance.stance


def _open_files() -> list[str]:
    """The files that this process holds open, but for the one that lists them: its number is free again at once."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        return []
    listed = f"/proc/{os.getpid()}/fd"
    paths = (_path_of(int(name)) for name in os.listdir(folder))
    return sorted(path for path in paths if path is not None and path != listed)


def _path_of(number: int) -> str | None:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return None
