"""From live values to descriptions: shapes and types, never contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from math import prod
from typing import Any

import torch

from opcount.ops import TensorSpec, Tree

_NUMBERS = (bool, int, float, complex, str)
_PLAIN = frozenset({*_NUMBERS, type(None)})
_OPAQUE = frozenset({torch.dtype, torch.device, torch.layout, torch.memory_format, slice, type(...)})
_DEEPEST = 32


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """``"float32"`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def describe(value: Any, depth: int = 0) -> Tree:
    """The description of any value: tensors as specs, containers as tuples and dicts.

    Named tuples become tuples, dataclasses and mappings dicts. What is neither is named by its type.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is torch.Tensor or isinstance(value, torch.Tensor):
        return spec_of(value)
    if isinstance(value, _NUMBERS):
        return value
    if kind in _OPAQUE:
        return dtype_name(value) if kind is torch.dtype else kind.__name__
    if depth > _DEEPEST:
        return type(value).__name__
    if isinstance(value, (tuple, list)):
        return tuple([describe(item, depth + 1) for item in value])
    if isinstance(value, Mapping):
        return {str(key): describe(item, depth + 1) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: describe(getattr(value, field.name, None), depth + 1) for field in dataclasses.fields(value)
        }
    if isinstance(value, torch.ScriptObject):
        return _packed(value)
    return type(value).__name__


def _packed(value: Any) -> Tree:
    """A quantized layer's packed weights: its weight, its bias, and its geometry if it is a convolution."""
    if not value._has_method("unpack"):
        return type(value).__name__
    unpacked = value.unpack()
    weight, bias = unpacked if isinstance(unpacked, (tuple, list)) else (unpacked, None)
    geometry = {name: getattr(value, name)() for name in _GEOMETRY if value._has_method(name)}
    return {"weight": spec_of(weight), "bias": describe(bias), **{name: describe(at) for name, at in geometry.items()}}


_GEOMETRY = ("stride", "padding", "dilation", "groups", "transpose")


def described(value: Any) -> Tree:
    """The description of what a module returned; most often that is one tensor."""
    if type(value) is torch.Tensor:
        kept = value.__dict__.get(KEPT)
        if kept is not None:
            return kept
    with torch._C.DisableTorchFunction():
        return describe(value)


def describe_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tree, ...], dict[str, Tree]]:
    """The descriptions of a call's arguments; most often they are one tensor."""
    if not kwargs and len(args) == 1 and type(args[0]) is torch.Tensor:
        kept = args[0].__dict__.get(KEPT)
        if kept is not None:
            return (kept,), kwargs
    with torch._C.DisableTorchFunction():
        return _described(args, kwargs)


def _described(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tree, ...], dict[str, Tree]]:
    return tuple(describe(value) for value in args), {name: describe(value) for name, value in kwargs.items()}


def spec_of(tensor: torch.Tensor) -> TensorSpec:
    """The description of a tensor; one that was made from a description keeps it."""
    kept: TensorSpec | None = tensor.__dict__.get(KEPT)
    if kept is not None:
        return kept
    number = ALIASES.get()
    alias = None if number is None else number(tensor)
    if tensor.is_nested:
        shape, lengths = _nested(tensor)
        return TensorSpec(shape, dtype_name(tensor.dtype), alias, tensor.requires_grad, lengths)
    return TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), alias, tensor.requires_grad)


def keep_spec(tensor: torch.Tensor, spec: TensorSpec | None) -> None:
    """Keep the description of a tensor with it; None once it has changed its shape."""
    tensor.__dict__[KEPT] = spec
    tensor.__dict__.pop(STRIDES, None)


ALIASES: ContextVar[Callable[[torch.Tensor], int | None] | None] = ContextVar("opcount_aliases", default=None)
"""What numbers the storage of a tensor, while a run tracks storages: equal numbers share their memory."""

KEPT = "_opcount_spec"
STRIDES = "_opcount_strides"  # beside a kept description, where the tensor is not contiguous


def _nested(tensor: torch.Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of a nested tensor's rows one after another, and how many there are in each sample."""
    if tensor.layout == torch.jagged:
        jagged: Any = tensor
        return tuple(tensor.values().shape), tuple(jagged.offsets().diff().tolist())
    sizes = tensor._nested_tensor_size().tolist()
    lengths = tuple(size[-2] if len(size) > 1 else size[0] for size in sizes)
    if len({size[-1] for size in sizes}) == 1:
        return (sum(prod(size[:-1]) for size in sizes), sizes[0][-1]), lengths
    return (sum(map(prod, sizes)),), lengths
