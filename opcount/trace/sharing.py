"""What a copy of a model shares with it: what is immutable, and what is not the model's own."""

from __future__ import annotations

import argparse
import enum
import sys
import types
from functools import lru_cache

import torch

SHARED = (
    *(type(None), bool, int, float, complex, str, bytes, type, range, slice, enum.Enum),
    *(types.ModuleType, types.BuiltinFunctionType, types.CodeType),
    *(torch.Size, torch.dtype, torch.device, torch.fx.Graph, torch.jit.ScriptFunction),
)
"""Immutable, or never changed by a forward."""

_COPIED_STDLIB = (types.SimpleNamespace, argparse.Namespace)
_OPAQUE = frozenset(
    sys.stdlib_module_names | {"builtins", "sympy", "torch._C", "torch._ops", "torch.distributed", "torch.fx"}
)
"""Packages whose objects (locks, files, loggers, process groups) are shared."""


def is_opaque(value: object) -> bool:
    """Whether an object is of a package whose objects are shared."""
    return not isinstance(value, _COPIED_STDLIB) and _is_of_an_opaque_package(type(value).__module__)


@lru_cache(maxsize=4096)
def _is_of_an_opaque_package(module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in _OPAQUE)
