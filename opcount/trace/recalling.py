"""Functions answer with what they did when they were called like this before: what they returned, and what was seen.

A torch function on shapes is made of operators, each of which would have to be answered by itself. Where those were
all that happened, the function's signature says everything about the next call: the tensors that it returns (with
their strides, so that a view of them fits or fails as it would), and the events it gives rise to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import EllipsisType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import resolve_name

from opcount.answers import ANSWERS
from opcount.ops import Call, TensorSpec, Tree
from opcount.rules import function_rule
from opcount.trace.answering import registered_base
from opcount.trace.describe import KEPT, STRIDES, describe, keep_spec, spec_of
from opcount.trace.functions import FunctionObserver
from opcount.trace.memory import MEMORY, Repeated
from opcount.trace.observer import Observer, Recording, transformed_eagerly
from opcount.trace.standins import Blanks, NeedsValues


class _Argument(NamedTuple):
    """Returned as it was given: by its number among the positional arguments."""

    number: int


class _Special(NamedTuple):
    """A new tensor that is not contiguous, or of which a gradient can be asked: a view of a parameter."""

    spec: TensorSpec
    strides: tuple[int, ...] | None
    requires_grad: bool


class FunctionAnswerer(FunctionObserver):
    """Functions repeat what they did under the same signature."""

    def __init__(self, observer: Observer, blanks: Blanks) -> None:
        super().__init__(observer)
        self.base = registered_base()
        self.blanks = blanks

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _NOT_REPEATED:
            return func(*args, **(kwargs or {}))
        if func == _SET_DATA:
            _assigned(*args)
        if torch._C._is_any_autocast_enabled() or torch.is_grad_enabled() or transformed_eagerly():
            return super().__torch_function__(func, types, args, kwargs)
        observer = self.observer
        key = _signature(func, self.base, observer.owned, args, kwargs)
        known: Repeated | None = None if key is None else MEMORY.get(key)
        if known is None and key is not None and not observer.owned and func in ANSWERS:
            with torch._C.DisableTorchFunction():
                known = self._answered(key, func, args, kwargs or {})
        if known is not None:
            if known.events:
                observer.repeated(known.events)
            return self._returned(known.output, args)
        if key is None:
            return super().__torch_function__(func, types, args, kwargs)
        return self._recorded(key, func, types, args, kwargs)

    def _answered(
        self, key: tuple[Any, ...], func: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Repeated | None:
        """What a function with an answer of its own returns and costs."""
        rule = function_rule(func)
        call = Call(describe(args), describe(kwargs), None)
        output = None if rule is None else ANSWERS[func](func, call)
        if rule is None or output is None:
            return None
        name = resolve_name(func) or func.__name__
        call = Call(call.args, call.kwargs, output)
        terms = self.observer.terms(name, rule, func, call)
        known = Repeated(MEMORY.same(output), (("function", name, call, terms),))
        MEMORY.put(key, known)
        return known

    def _recorded(self, key: tuple[Any, ...], func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """Call the function, and remember what it did if that was nothing but operators."""
        observer = self.observer
        recording = observer.recording = Recording()
        try:
            output = super().__torch_function__(func, types, args, kwargs)
        finally:
            observer.recording = None
        if not recording.repeatable or not (recording.operators or func in _SIGNED):
            if output is None and args and KEPT in getattr(args[0], "__dict__", ()):
                keep_spec(args[0], None)  # it may have another shape now, as after an assignment of its data
            return output
        with torch._C.DisableTorchFunction():
            recipe = None if output is None else _recipe(output, args)
        if recipe is not NotImplemented:
            events = tuple((event.source, event.name, event.call, event.terms) for event in recording.events)
            MEMORY.put(key, Repeated(recipe, events))
        return output

    def _returned(self, recipe: Tree, args: tuple[Any, ...]) -> Any:
        kind = type(recipe)
        if kind is TensorSpec:
            return self.blanks(recipe)
        if kind is _Argument:
            return args[recipe.number]
        if kind is _Special:
            return self.blanks(*recipe)
        return None if recipe is None else kind(self._returned(item, args) for item in recipe)


_NOT_REPEATED: frozenset[Any] = frozenset(
    getattr(torch.Tensor, name).__get__  # asked for all the time, and no tensors
    for name in ("shape", "dtype", "device", "ndim", "requires_grad", "is_meta", "layout", "data", "grad")
) | {torch.Tensor.dim, torch.Tensor.size, torch.Tensor.numel, torch._assert}

_SET_DATA: Any = vars(torch._C.TensorBase)["data"].__set__


def _assigned(tensor: torch.Tensor, data: torch.Tensor) -> None:
    """Forget the shape of a tensor that is given other data.

    Raises:
        NeedsValues: it is a parameter, and the layer that holds it would answer as it was.
    """
    with torch._C.DisableTorchFunction():
        changes = tensor.shape != data.shape or tensor.dtype != data.dtype
    if changes and isinstance(tensor, nn.Parameter):
        raise NeedsValues("a parameter is given data of another shape or type")
    keep_spec(tensor, None)


_SIGNED: frozenset[Any] = frozenset(
    getattr(torch.Tensor, name)
    for name in ("to", "contiguous", "float", "double", "half", "bfloat16", "type_as", "flatten")
) | {torch.tensor, torch.flatten}
"""What returns an argument or a new tensor, and does no more than that even where no operator is seen."""

_TENSORS = frozenset({torch.Tensor, nn.Parameter, nn.Buffer})
_PLAIN = frozenset({type(None), bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format})
_PLAIN |= {EllipsisType, torch.Size}
_TYPED = frozenset({bool, float, torch.Size})  # equal to values of other types: 1, 1.0 and True, sizes and strides


def _signature(
    func: Callable[..., Any], base: int, owned: bool, args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> tuple[Any, ...] | None:
    """All that an outcome can depend on; None if there is more to it, or no tensor."""
    if not _is_torchs(func):
        return None
    parts: list[Any] = [func, base, owned]
    met = _sign(args, parts)
    if kwargs:
        parts.append(dict)
        parts.extend(kwargs)
        met |= _sign(kwargs.values(), parts)
    if met == _SHAPES or (func is torch.tensor and not met and len(parts) < 64 and _is_meta(kwargs)):
        return tuple(parts)
    return None


_SHAPES, _OTHER = 1, 2


def _is_meta(kwargs: dict[str, Any] | None) -> bool:
    """Whether a new tensor is asked for on the device where there are no values."""
    device = (kwargs or {}).get("device")
    return device is not None and torch.device(device).type == "meta"


def _sign(values: Iterable[Any], parts: list[Any]) -> int:
    """Add values to a signature. Returns what was met: tensors without values, anything else, or both."""
    met = 0
    for value in values:
        kind = type(value)
        if kind in _TENSORS:
            own = value.__dict__
            kept = own.get(KEPT)
            if kept is not None:
                parts.append(kept)
                if STRIDES in own:
                    parts.append(own[STRIDES])
                met |= _SHAPES
            else:
                with torch._C.DisableTorchFunction():
                    if _is_plain(value):
                        parts.extend((spec_of(value), value.stride()))
                        met |= _SHAPES
                    else:
                        met |= _OTHER
        elif kind in _PLAIN:
            parts.append(value)
            if kind in _TYPED:
                parts.append(kind)
        elif kind is tuple or kind is list:
            parts.extend((kind, len(value)))
            met |= _sign(value, parts)
        elif kind is slice:
            parts.append(kind)
            met |= _sign((value.start, value.stop, value.step), parts)
        else:
            return _OTHER
    return met


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether shape, strides and type say everything about a tensor."""
    strided = tensor.is_meta and tensor.layout is torch.strided and not tensor.is_nested
    return strided and not (tensor.is_conj() or tensor.is_neg() or tensor.is_quantized or nn.parameter.is_lazy(tensor))


@lru_cache(maxsize=4096)
def _is_torchs(func: Any) -> bool:
    """Whether a function is PyTorch's own; what others make of theirs is not known."""
    module = getattr(func, "__module__", None) or "torch"
    return module == "torch" or module.startswith("torch.")


def _recipe(value: Any, args: tuple[Any, ...]) -> Tree:
    """How to return the like of a value, which is marked as such; NotImplemented where that cannot be said."""
    kind = type(value)
    if kind is tuple or kind is list:
        items = [_recipe(item, args) for item in value]
        return NotImplemented if NotImplemented in items else kind(items)
    for number, argument in enumerate(args):
        if argument is value:
            return _Argument(number)
    if kind is not torch.Tensor or not _is_plain(value):
        return NotImplemented
    spec = MEMORY.same(spec_of(value))
    keep_spec(value, spec)
    strides = None if value.is_contiguous() else value.stride()
    if strides is not None:
        value.__dict__[STRIDES] = strides
    requires_grad = value.requires_grad
    return spec if strides is None and not requires_grad else _Special(spec, strides, requires_grad)
