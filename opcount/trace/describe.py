"""From live values to descriptions: shapes and types, never contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from math import prod
from typing import Any

import torch

from opcount.ops import TensorSpec, Tree

_PLAIN = (bool, int, float, complex, str, type(None))
_DEEPEST = 32


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """``"float32"`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def describe(value: Any, depth: int = 0) -> Tree:
    """The description of any value: tensors as specs, containers as tuples and dicts.

    Named tuples become tuples, dataclasses and mappings dicts. What is neither is named by its type.
    """
    if isinstance(value, torch.Tensor):
        return TensorSpec(_shape(value), dtype_name(value.dtype), None, value.requires_grad)
    if isinstance(value, _PLAIN):
        return value
    if depth > _DEEPEST:
        return type(value).__name__
    if isinstance(value, (tuple, list)):
        return tuple(describe(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return {str(key): describe(item, depth + 1) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: describe(getattr(value, field.name, None), depth + 1) for field in dataclasses.fields(value)
        }
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    return type(value).__name__


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    """A tensor's shape; of a nested one that of its rows one after another, which is what arithmetic runs over."""
    if not tensor.is_nested:
        return tuple(tensor.shape)
    if tensor.layout == torch.jagged:
        return tuple(tensor.values().shape)
    sizes = tensor._nested_tensor_size().tolist()
    if len({size[-1] for size in sizes}) == 1:
        return (sum(prod(size[:-1]) for size in sizes), sizes[0][-1])
    return (sum(map(prod, sizes)),)
