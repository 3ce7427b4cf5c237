"""Stand-ins for a model's tensors: shapes on the meta device, made when somebody looks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from opcount.errors import OpCountError
from opcount.ops import TensorSpec, Tree
from opcount.trace.describe import KEPT, STRIDES, dtype_name
from opcount.trace.memory import MEMORY
from opcount.trace.wrapping import is_distributed

META = torch.device("meta")


class NeedsValues(OpCountError):
    """The model cannot be worked out by shapes: it has to be run."""


def stand_in(tensor: torch.Tensor, *, described: bool = False) -> torch.Tensor:
    """A tensor of the same class, shape, strides and type on the meta device; without values, whatever its size.

    Args:
        described: whether it is to keep its description, and may share its storage with others that look like it; to
            be called out of sight of all modes.

    Raises:
        NeedsValues: the tensor is of a kind that shapes do not describe.
    """
    dense = tensor.layout is _STRIDED and not tensor.is_quantized and not tensor.is_nested
    if described and dense and type(tensor) in _PLAIN:
        return _described(tensor)
    if is_lazy(tensor):
        kind: Any = type(tensor)
        blank: torch.Tensor = kind(requires_grad=tensor.requires_grad, device=META, dtype=tensor.dtype)
        return blank
    if is_distributed(tensor):  # as one device would hold it
        data = torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=META)
        return nn.Parameter(data, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else data
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        raise NeedsValues(f"a {tensor.layout} tensor has no stand-in")
    plain = type(tensor) in (torch.Tensor, nn.Parameter, nn.Buffer)
    if not plain and not isinstance(tensor, nn.Parameter):
        raise NeedsValues(f"a {type(tensor).__name__} has no stand-in")
    data = torch.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device=META)
    if not isinstance(tensor, nn.Parameter):
        return data
    parameter = nn.Parameter(data, requires_grad=tensor.requires_grad)
    if type(tensor) is not nn.Parameter:
        parameter.__class__ = type(tensor)
        parameter.__dict__.update(tensor.__dict__)
    return parameter


def _described(tensor: torch.Tensor) -> torch.Tensor:
    is_parameter = type(tensor) is nn.Parameter
    needs_grad = is_parameter and tensor.requires_grad
    like, spec, strides = _like(tensor.shape, tensor.stride(), tensor.dtype, needs_grad)
    blank = like.data  # as nn.Parameter() does of a plain tensor, without asking what it is:
    blank = torch.Tensor._make_subclass(nn.Parameter, blank, needs_grad) if is_parameter else blank
    return _kept(blank, spec, strides)


def _kept(tensor: torch.Tensor, spec: TensorSpec, strides: tuple[int, ...] | None) -> torch.Tensor:
    """A tensor with its description, and its strides unless it is contiguous."""
    own = tensor.__dict__
    own[KEPT] = spec
    if strides is not None:
        own[STRIDES] = strides
    return tensor


@lru_cache(maxsize=4096)
def _like(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, needs_grad: bool
) -> tuple[torch.Tensor, TensorSpec, tuple[int, ...] | None]:
    """An empty tensor, its description with that gradient, and its strides unless it is contiguous."""
    like = torch.empty_strided(shape, strides, dtype=dtype, device=META)
    spec = TensorSpec(tuple(shape), dtype_name(dtype), needs_grad=needs_grad)
    return like, MEMORY.same(spec), None if like.is_contiguous() else strides


_DTYPES: dict[str, torch.dtype] = {}


def made(tree: Tree) -> Any:
    """New tensors on meta for specs; everything else as it is."""
    if type(tree) is TensorSpec:
        dtype = _DTYPES.get(tree.dtype) or dtype_of(tree.dtype)
        tensor = torch.empty(tree.shape, dtype=dtype, device=META)
        tensor.__dict__[KEPT] = tree
        return tensor
    if isinstance(tree, tuple):
        return tuple(made(item) for item in tree)
    return tree


def dtype_of(name: str) -> torch.dtype:
    """``torch.float32`` for ``"float32"``."""
    return _DTYPES.setdefault(name, getattr(torch, name))


class _Supply:
    """Tensors that look alike: one that all are made of, how many to make at once, and those not yet given away."""

    __slots__ = ("like", "number", "spare")

    def __init__(self, spec: TensorSpec, strides: tuple[int, ...] | None) -> None:
        dtype = dtype_of(spec.dtype)
        if strides is None:
            self.like = torch.empty(spec.shape, dtype=dtype, device=META)
        else:
            self.like = torch.empty_strided(spec.shape, strides, dtype=dtype, device=META)
        self.number = 1
        self.spare: list[torch.Tensor] = []

    def fill(self, spec: TensorSpec, strides: tuple[int, ...] | None, requires_grad: bool) -> None:
        """Make some more: twice as many as the last time, up to a limit."""
        for _ in range(self.number):
            blank = _kept(self.like.data, spec, strides)
            if requires_grad:
                blank.requires_grad = True
            self.spare.append(blank)
        self.number = min(2 * self.number, _AT_ONCE)


_AT_ONCE = 16


class Blanks:
    """New tensors on meta for specs, in one run: those of a size that came before share a storage.

    There is nothing in it, and a tensor with a new one takes longer to make. What takes longest is to get out of sight
    of all modes, so of what is often wanted several are made at once.
    """

    def __init__(self) -> None:
        self._supplies: dict[Any, _Supply] = {}

    def __call__(
        self, spec: TensorSpec, strides: tuple[int, ...] | None = None, requires_grad: bool = False
    ) -> torch.Tensor:
        """A tensor like that; contiguous, unless it is to have other strides."""
        key = spec if strides is None and not requires_grad else (spec, strides, requires_grad)
        supply = self._supplies.get(key)
        if supply is None or not supply.spare:
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                if supply is None:
                    supply = self._supplies[key] = _Supply(spec, strides)
                supply.fill(spec, strides, requires_grad)
        return supply.spare.pop()

    def tree(self, tree: Tree) -> Any:
        """Tensors for all the specs in a tree; everything else as it is."""
        if type(tree) is TensorSpec:
            return self(tree)
        return tuple(map(self.tree, tree)) if isinstance(tree, tuple) else tree


_PLAIN = frozenset({torch.Tensor, nn.Parameter})
_STRIDED = torch.strided


class StandIns(dict[str, Any]):
    """A module's table of parameters or buffers, of which each stand-in is made when it is first asked for.

    ``looks`` are the shapes and types of all of them; None once something else was put in their place. ``plain`` is
    whether all are PyTorch's own dense tensors.

    Most are never asked for: a layer that answers by its shape needs no tensors. Behind the back of this class (a
    plain ``dict(...)`` of it) the tensors that were not made look like None, never like the model's own.
    """

    __slots__ = ("_make", "_originals", "looks", "plain")

    def __init__(self, originals: Mapping[str, Any], make: Callable[[Any], Any]) -> None:
        super().__init__(dict.fromkeys(originals))
        self._originals = dict(originals)
        self._make = make
        looks: list[Any] = []
        plain = True
        for tensor in originals.values():
            if tensor is None:
                looks.append(None)
                continue
            if type(tensor) not in _PLAIN:
                plain = False
                if is_lazy(tensor):
                    break
            elif tensor.layout is not _STRIDED:
                plain = False
            looks.append((tensor.shape, tensor.dtype))
        self.plain = plain
        self.looks: tuple[Any, ...] | None = tuple(looks)
        if len(looks) < len(originals):
            for name, tensor in originals.items():
                if tensor is not None and is_lazy(tensor):
                    self[name] = make(tensor)  # it will take its shape in place

    def peek(self, name: str) -> Any:
        """What is held under a name, for its shape and type only: the original, unless another was put there."""
        original = self._originals.get(name)
        return super().get(name) if original is None else original

    def peeked(self) -> list[Any]:
        """What is held under every name, as :meth:`peek` has it."""
        if self.looks is not None:  # nothing else was put there
            return list(self._originals.values())
        return [self.peek(name) for name in self]

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if found is None and self._originals.get(name) is not None:
            found = self._make(self._originals[name])
            super().__setitem__(name, found)
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        self.looks = None
        self._originals.pop(name, None)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self.looks = None
        self._originals.pop(name, None)
        super().__delitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def pop(self, name: str, *default: Any) -> Any:
        found = self.get(name)
        self.looks = None
        self._originals.pop(name, None)
        popped = super().pop(name, *default)
        return popped if found is None else found

    def values(self) -> Any:
        return self._complete().values()

    def items(self) -> Any:
        return self._complete().items()

    def copy(self) -> dict[str, Any]:
        return self._complete()

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        """A table of copies of all: what makes stand-ins, and all that this knows, is not to be copied with a layer."""
        return copy.deepcopy(self._complete(), memo)

    def _complete(self) -> dict[str, Any]:
        return {name: self[name] for name in self}
