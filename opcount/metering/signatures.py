"""What a call's cost can depend on: the shapes and types of its tensors, and its other arguments."""

from __future__ import annotations

import copy
from collections import UserDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from opcount.inputs import SHORT, Input
from opcount.trace.copying import Copier
from opcount.trace.wrapping import is_distributed

Signature: TypeAlias = "tuple[Any, ...]"

_BY_VALUE = frozenset({int, str, bytes, bool, type(None), torch.dtype, torch.device, Input})
_DEEPEST = 8
_META = torch.device("meta")


def signature(arguments: Any, *first: Any) -> Signature:
    """What the cost of a call with these arguments can depend on.

    A number with a fraction counts by its type alone: schedules change it at every step, and costs do not follow.

    >>> a, b = signature((torch.ones(2, 3), 0.5)), signature((torch.zeros(2, 3), 0.7))
    >>> a == b, a == signature((torch.ones(3, 2), 0.5))
    (True, False)
    """
    parts = [*first]
    _sign(arguments, parts, 0)
    return tuple(parts)


def _sign(value: Any, parts: list[Any], depth: int) -> None:
    if isinstance(value, torch.Tensor):
        parts += (value.shape, value.dtype, value.requires_grad)
        return
    kind = type(value)
    if kind is dict:
        parts.append(len(value))
        for name, item in value.items():
            parts.append(name)
            _sign(item, parts, depth)
    elif kind is tuple or kind is list:
        parts.append(len(value))
        for item in value:
            _sign(item, parts, depth)
    elif kind in _BY_VALUE:
        parts += (kind, value)
    else:
        _sign_object(value, kind, parts, depth)


def _sign_object(value: Any, kind: type, parts: list[Any], depth: int) -> None:
    """An object is what it holds, as far down as anybody nests tensors."""
    parts.append(kind)
    if kind is float or depth > _DEEPEST or isinstance(value, type):
        return
    if isinstance(value, nn.Module) or callable(value):
        parts.append(getattr(value, "__code__", None) or id(value))
    elif isinstance(value, UserDict):
        _sign(value.data, parts, depth + 1)
    elif isinstance(value, Mapping):
        _sign(dict(value), parts, depth + 1)
    elif isinstance(value, (tuple, list)):
        _sign(list(value), parts, depth + 1)
    else:
        _sign(getattr(value, "__dict__", {}), parts, depth + 1)
        for name in getattr(kind, "__slots__", ()):
            _sign(getattr(value, name, None), parts, depth + 1)


@dataclass(frozen=True)
class Family:
    """Signatures that differ in nothing but sizes.

    Attributes:
        structure: all of a signature but the sizes of its tensors.
        sizes: those of one of them, one after another.
    """

    structure: Signature
    sizes: tuple[int, ...]

    @staticmethod
    def of(signature: Signature) -> Family:
        """The family of a signature, and its place in it.

        >>> Family.of(signature((torch.ones(2, 3),))).sizes
        (2, 3)
        """
        structure = tuple(("sizes", len(part)) if type(part) is torch.Size else part for part in signature)
        return Family(structure, tuple(size for part in signature if type(part) is torch.Size for size in part))


def rebuilt(value: Any, make: Callable[[torch.Tensor], Any]) -> Any:
    """Arguments with something else in the place of each tensor, in the order of their signature.

    Objects that are no containers are copied with stand-ins for their tensors.
    """
    if isinstance(value, torch.Tensor):
        return make(value)
    kind = type(value)
    if kind is dict:
        return {name: rebuilt(item, make) for name, item in value.items()}
    if isinstance(value, UserDict):
        new = copy.copy(value)
        new.data = rebuilt(dict(value.data), make)
        return new
    if isinstance(value, (tuple, list)):
        items = [rebuilt(item, make) for item in value]
        return kind(*items) if hasattr(value, "_fields") else kind(items)
    return Copier(shapes_only=True).run(value)


def blank(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's like on the meta device; a short one of whole numbers keeps them, because a forward may look at them.

    It shares nothing with the tensor.
    """
    plain = tensor.detach()
    if is_distributed(plain):
        plain = torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=_META)
    whole = not (plain.is_floating_point() or plain.is_complex())
    if plain.layout != torch.strided or plain.is_nested:
        return plain.clone().requires_grad_(tensor.requires_grad)
    if whole and plain.numel() <= SHORT and not plain.is_meta:
        return plain.to("cpu", copy=True)
    empty = torch.empty_strided(tuple(plain.shape), plain.stride(), dtype=plain.dtype, device=_META)
    return empty.requires_grad_(tensor.requires_grad)


def resized(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A blank of another size: whole numbers are the largest that were there, so that a mask of ones stays one."""
    if tuple(tensor.shape) == shape:
        return tensor
    if tensor.is_meta or not tensor.numel():
        return torch.empty(shape, dtype=tensor.dtype, device=_META).requires_grad_(tensor.requires_grad)
    with suppress(RuntimeError):  # a type that has no largest
        return torch.full(shape, tensor.max().item(), dtype=tensor.dtype)
    return torch.zeros(shape, dtype=tensor.dtype)
