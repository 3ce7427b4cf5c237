"""From what a user says of a model's inputs to the tensors it is called with."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from opcount.errors import InputError

SHORT = 2**16
"""Elements up to which whole numbers may be known where nothing is computed."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input by its size, batch included, and its element type.

    >>> Input((1, 3, 224, 224))
    Input(size=(1, 3, 224, 224), dtype='float32')
    >>> Input((8, 128), "int64").dtype
    'int64'

    Raises:
        InputError: a size that is no whole number or is negative, or an element type PyTorch does not have.
    """

    size: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not is_size(self.size) and self.size != ():
            raise InputError(
                f"a size is whole numbers of 0 or more, batch included, as in (1, 3, 224, 224), not {self.size!r}"
            )
        if not isinstance(getattr(torch, self.dtype, None), torch.dtype):
            raise InputError(
                f"PyTorch has no element type {self.dtype!r}; for example float32, bfloat16, int64 or bool"
            )


def is_size(value: object) -> TypeGuard[tuple[int, ...]]:
    """Whether a value is a tuple of ints: one size."""
    return (
        isinstance(value, tuple)
        and len(value) > 0
        and all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in value)
    )


def call_arguments(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    *,
    shapes_only: bool = False,
    whole_numbers: bool = False,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword arguments for one call, every tensor new.

    A tuple is the positional arguments, a mapping the keyword arguments, a tuple of ints one size; None is the model's
    own ``example_input_size``; anything else is the one argument. With ``shapes_only`` the
    tensors are on the meta device, but for short ones of whole numbers where ``whole_numbers`` keep their values.

    Raises:
        InputError: no inputs are known, or they are not something to call a model with.
    """
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise InputError(f"kwargs is a mapping from names to values, not {type(kwargs).__name__} {kwargs!r}")
    if inputs is None and not kwargs:
        inputs = example_input(model)
    make = _Maker(model, shapes_only=shapes_only, whole_numbers=whole_numbers)
    keywords = {str(name): make(value) for name, value in (kwargs or {}).items()}
    if inputs is None:
        return (), keywords
    if isinstance(inputs, Mapping) and not hasattr(inputs, "shape"):
        clash = sorted(set(map(str, inputs)) & set(keywords))
        if clash:
            raise InputError(f"{', '.join(clash)} is given in inputs and in kwargs; give it once")
        return (), {**{str(name): make(value) for name, value in inputs.items()}, **keywords}
    if isinstance(inputs, tuple) and not is_size(inputs) and not hasattr(inputs, "_fields"):
        return tuple(make(value) for value in inputs), keywords
    if isinstance(inputs, list) and is_size(tuple(inputs)):
        raise InputError(f"a size is a tuple, batch included: write {tuple(inputs)} for {inputs}")
    if isinstance(inputs, (int, float, str)):
        raise InputError(
            f"the inputs {inputs!r} are neither a tensor nor a size; a size is a tuple such as (1, 3, 224, 224)"
        )
    return (make(inputs),), keywords


def example_input(model: nn.Module) -> Any:
    """The model's own ``example_input_size``.

    Raises:
        InputError: it has none.
    """
    size = getattr(model, "example_input_size", None)
    if size is None:
        raise InputError(
            f"no input is known for {type(model).__name__}: give a tensor or a size, batch included, "
            "as in profile(model, (1, 3, 224, 224)), or set its example_input_size"
        )
    return tuple(size) if isinstance(size, list) else size


class _Maker:
    """Makes a model's inputs: on its device, sizes in its own floating-point type, given tensors copied."""

    def __init__(self, model: nn.Module, *, shapes_only: bool, whole_numbers: bool = False) -> None:
        self.device, self.dtype = home(model)
        self.whole_numbers = whole_numbers
        if shapes_only:
            self.device = torch.device("meta")
        self.copies: dict[int, torch.Tensor] = {}
        self.generator = torch.Generator("cpu").manual_seed(0)  # our own: the global random state stays as it is

    def __call__(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in self.copies:  # given twice it stays one: self-attention asks whether it is
                self.copies[id(value)] = self.copy(value)
            return self.copies[id(value)]
        if is_size(value):
            return self.tensor(tuple(value), self.dtype)
        if isinstance(value, Input):
            return self.tensor(value.size, getattr(torch, value.dtype))
        if isinstance(value, tuple) and type(value) in (tuple, torch.Size):
            return tuple(self(item) for item in value)
        if type(value) is list:
            return [self(item) for item in value]
        if type(value) is dict:
            return {name: self(item) for name, item in value.items()}
        try:
            return copy.deepcopy(value)
        except Exception as error:  # whatever the copying of a stranger's object may raise
            raise InputError(f"the input {value!r} cannot be copied, and opcount hands out copies: {error}") from error

    def copy(self, given: torch.Tensor) -> torch.Tensor:
        """A tensor like the one given: with its values, or on meta with its shape and strides."""
        kept = self.whole_numbers and _is_short(given.numel(), given.dtype) and not given.is_meta
        if self.device.type == "meta" and not kept and given.layout == torch.strided and not given.is_nested:
            shape = tuple(given.shape)
            blank = torch.empty_strided(shape, given.stride(), dtype=given.dtype, device=self.device)
            return blank.requires_grad_() if given.requires_grad else blank
        return given.detach().clone().requires_grad_(given.requires_grad)

    def tensor(self, size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """A tensor of that size and type: normal random numbers, or zeros where only whole numbers fit.

        Raises:
            InputError: PyTorch cannot make one so large.
        """
        try:
            return self.filled(size, dtype)
        except (RuntimeError, TypeError, OverflowError) as error:
            problem = str(error).partition("\n")[0]
            raise InputError(f"PyTorch cannot make an input of size {size}: {problem}") from error

    def filled(self, size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """As :meth:`tensor`, if PyTorch can."""
        kept = self.whole_numbers and _is_short(math.prod(size), dtype)
        if self.device.type == "meta" and not kept:
            return torch.empty(size, dtype=dtype, device="meta")
        if not (dtype.is_floating_point or dtype.is_complex):
            return torch.zeros(size, dtype=dtype, device="cpu" if kept else self.device)
        drawn = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(size, dtype=drawn, generator=self.generator, device="cpu").to(self.device, dtype)


def _is_short(elements: int, dtype: torch.dtype) -> bool:
    """Whether a tensor is a short one of whole numbers or truth values, such as the tokens of a text."""
    return elements <= SHORT and not (dtype.is_floating_point or dtype.is_complex)


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    """Every parameter, then every buffer, in the order of PyTorch but without recursion: a model may be deep."""
    for table in ("_parameters", "_buffers"):
        for module in _modules(model):
            yield from (tensor for tensor in getattr(module, table).values() if tensor is not None)


def _modules(model: nn.Module) -> Iterator[nn.Module]:
    pending, seen = [model], set()
    while pending:
        module = pending.pop()
        if id(module) not in seen:
            seen.add(id(module))
            yield module
            pending.extend(child for child in reversed(list(module._modules.values())) if child is not None)


def home(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a model lives, and its first floating-point type."""
    device: torch.device | None = None
    for tensor in _tensors(model):
        device = tensor.device if device is None else device
        if tensor.is_floating_point() or tensor.is_complex() or is_lazy(tensor):
            return device, tensor.dtype
    return device or torch.device("cpu"), torch.get_default_dtype()
