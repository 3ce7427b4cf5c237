"""Stand-ins for a model's tensors: shapes on the meta device, made when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from opcount.errors import OpCountError
from opcount.ops import TensorSpec, Tree
from opcount.trace.deferred import Deferred
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
    """Tensors of one description: one that all are made of, how many to make at once, and those not yet given away."""

    __slots__ = ("like", "number", "spare", "spec")

    def __init__(self, spec: TensorSpec, strides: tuple[int, ...] | None) -> None:
        self.spec = spec  # as long as it is held, its identity is its own
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
        key = id(spec) if strides is None and not requires_grad else (id(spec), strides, requires_grad)
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


Looks = tuple[Any, ...]
"""The shapes and types of tensors, None for those that are not there."""


def looks_of(tensors: Iterable[Any]) -> tuple[Looks | None, bool]:
    """What tensors look like, unless one has yet to take its shape; and whether all are PyTorch's own dense ones."""
    looks: list[Any] = []
    plain = True
    for tensor in tensors:
        if tensor is None:
            looks.append(None)
            continue
        if type(tensor) not in _PLAIN:
            plain = False
            if is_lazy(tensor):
                return None, False
        elif tensor.layout is not _STRIDED:
            plain = False
        looks.append((tensor.shape, tensor.dtype))
    return tuple(looks), plain


class StandIns(Deferred):
    """A module's table of parameters or buffers, of which each stand-in is made when it is first asked for.

    ``looks`` are the shapes and types of all of them; None once something else was put in their place. ``plain`` is
    whether all are PyTorch's own dense tensors.
    """

    __slots__ = ("_make", "looks", "plain")

    def __init__(self, originals: Mapping[str, Any], make: Callable[[Any], Any]) -> None:
        super().__init__(originals)
        self._make = make
        self.looks, self.plain = looks_of(originals.values())
        if self.looks is None:
            for name, tensor in originals.items():
                if tensor is not None and is_lazy(tensor):
                    self[name] = make(tensor)  # it will take its shape in place

    def made(self, name: str, original: Any) -> Any:
        return self._make(original)

    def changed(self) -> None:
        self.looks = None

    def peeked(self) -> list[Any]:
        """What is held under every name, as :meth:`peek` has it."""
        if self.looks is not None:  # nothing else was put there
            return list(self._originals.values())
        return [self.peek(name) for name in self]
