"""Layers of ``torch.nn`` built once for the same arguments, and copied from then on.

A design space builds the same few layers thousands of times, and PyTorch takes several times as long to work one out
as it takes to put down what comes out: attributes that are numbers and words, empty tables, parameters and buffers of
known sizes. A layer that is anything else is built as always, and so is every layer where something has a say in how
tensors or modules are made: a mode, a hook on registration, a patched method.

It changes classes of PyTorch for good, so it belongs in a process where nothing else runs.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules import module as registering

from opcount.sweeping.unfilled import skipped

LARGEST = 2**14
"""Bytes of values that a tensor of a template may have; a layer with more is built as always."""

MANY = 1024
"""Templates of one class, after which all are forgotten."""

_PLAIN = frozenset({type(None), bool, int, float, str, torch.dtype, torch.device})
_CONTAINERS = frozenset({dict, OrderedDict, set, list})
_in_use = False


@contextmanager
def templates_used() -> Iterator[None]:
    """Inside, layers are copied from templates, if :func:`layers_from_templates` was called."""
    global _in_use
    before, _in_use = _in_use, True
    try:
        yield
    finally:
        _in_use = before


def layers_from_templates() -> None:
    """From now on, layers of ``torch.nn`` may be copied from templates."""
    for kind, plain in [(kind, kind.__init__) for kind in stock_layers()]:
        kind.__init__ = _templated(kind, plain)


def stock_layers() -> set[Any]:
    """The classes of layers that ``torch.nn`` has."""
    named = vars(nn).values()
    return {each for each in named if isinstance(each, type) and issubclass(each, nn.Module)} - {nn.Module}


def _templated(kind: Any, plain: Callable[..., None]) -> Callable[..., None]:
    templates: dict[Any, Template | None] = {}

    @functools.wraps(plain)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if not _in_use or type(self) is not kind or self.__dict__ or not _ordinary():
            return plain(self, *args, **kwargs)
        key = _key(kind, args, kwargs)
        if key is None:
            return plain(self, *args, **kwargs)
        template = templates.get(key)
        if template is not None:
            return template.fill(self.__dict__)
        if key in templates:
            return plain(self, *args, **kwargs)
        with skipped() as unfilled:
            plain(self, *args, **kwargs)
        if len(templates) >= MANY:
            templates.clear()
        templates[key] = template_of(self, unfilled)
        return None

    return init


def _ordinary() -> bool:
    """Whether nothing looks on that would see how a layer is made."""
    return not (
        torch._C._len_torch_function_stack()
        or torch._C._len_torch_dispatch_stack()
        or torch.is_inference_mode_enabled()
        or registering._global_parameter_registration_hooks
        or registering._global_buffer_registration_hooks
        or registering._global_module_registration_hooks
    )


def _key(kind: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a layer of a class depends on; None where it may depend on more than can be told."""
    values = (*args, *kwargs.values()) if kwargs else args
    kinds: list[Any] = []
    for value in values:
        of = type(value)
        if of is float:
            kinds.append(repr(value))  # 0.0 and -0.0 are equal, but not the same; neither are 1, 1.0 and True
        elif of in _PLAIN or (of is tuple and all(type(item) is int for item in value)):
            kinds.append(of)
        else:
            return None
    how = nn.Module
    filled_by = getattr(kind, "reset_parameters", None)
    made_by = how.__init__, how.__setattr__, how.register_parameter, how.register_buffer, filled_by
    return values, len(args), tuple(kwargs), tuple(kinds), torch.get_default_dtype(), made_by


class _Tensor(NamedTuple):
    """How to make a parameter or buffer: of these values, or of this size and whatever values."""

    values: torch.Tensor | None
    size: torch.Size
    dtype: torch.dtype
    device: torch.device
    parameter: bool
    requires_grad: bool

    def made(self) -> torch.Tensor:
        """A new one."""
        values, size, dtype, device, parameter, requires_grad = self
        tensor = torch.empty(size, dtype=dtype, device=device) if values is None else values.clone()
        if not parameter:
            return tensor
        made: torch.Tensor = torch.Tensor._make_subclass(nn.Parameter, tensor, requires_grad)
        return made


class Template(NamedTuple):
    """A layer's attributes.

    Attributes:
        attributes: all of them, in their order; what the others name is replaced.
        empty: the tables that are empty, by the names they have in the layer, and their types.
        filled: those that hold numbers and words.
        tensors: the two tables of tensors.
    """

    attributes: dict[str, Any]
    empty: tuple[tuple[str, type], ...]
    filled: tuple[tuple[str, Any], ...]
    tensors: tuple[tuple[str, tuple[tuple[str, _Tensor | None], ...]], ...]

    def fill(self, own: dict[str, Any]) -> None:
        """Give a new layer what the first one had."""
        own.update(self.attributes)
        for name, kind in self.empty:
            own[name] = kind()
        for name, values in self.filled:
            own[name] = values.copy()
        for name, tensors in self.tensors:
            own[name] = {each: None if tensor is None else tensor.made() for each, tensor in tensors}


def template_of(layer: nn.Module, unfilled: set[int]) -> Template | None:
    """The template of a layer that was just built; None if there is more to it than a template can hold.

    Args:
        layer: the layer.
        unfilled: the ids of parameters that were to be filled with random numbers and were not.
    """
    attributes = dict(layer.__dict__)
    empty, filled, tensors = [], [], []
    met: set[int] = set()
    for name, value in attributes.items():
        kind = type(value)
        if _is_plain(value):
            continue
        if kind not in _CONTAINERS or id(value) in met:
            return None
        met.add(id(value))
        if name in ("_parameters", "_buffers") and kind is dict and value:
            tensors.append((name, tuple((each, _read(tensor, unfilled)) for each, tensor in value.items())))
        elif not value:
            empty.append((name, kind))
        elif kind in (set, list) and all(map(_is_plain, value)):
            filled.append((name, value.copy()))
        else:
            return None
        attributes[name] = None
    read = [tensor for _, table in tensors for _, tensor in table]
    held = [tensor for table in (layer._parameters, layer._buffers) for tensor in table.values() if tensor is not None]
    if NotImplemented in read or len(set(map(_storage, held))) < len(held):
        return None
    return Template(attributes, tuple(empty), tuple(filled), tuple(tensors))


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain, value)))


def _storage(tensor: torch.Tensor) -> Any:
    """What two tensors have in common if changing one changes the other."""
    return tensor.untyped_storage()._cdata


def _read(tensor: Any, unfilled: set[int]) -> Any:
    """How to make another tensor like this; NotImplemented if it is of no ordinary kind."""
    if tensor is None:
        return None
    parameter = type(tensor) is nn.Parameter
    if not (parameter or type(tensor) is torch.Tensor) or tensor.layout != torch.strided or tensor.__dict__:
        return NotImplemented
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    if not whole or tensor.is_quantized or (tensor.requires_grad and not parameter):
        return NotImplemented
    untouched = id(tensor) in unfilled and tensor._version == 0
    if not untouched and tensor.nbytes > LARGEST:
        return NotImplemented
    values = None if untouched else tensor.detach().clone()
    return _Tensor(values, tensor.shape, tensor.dtype, tensor.device, parameter, tensor.requires_grad)
