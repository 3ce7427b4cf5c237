"""One run seen at every level: the layers called, the functions inside them, the operators inside those.

A count wants each operation once, so its observers look no further inside what a rule owns. Other counters look at
other levels; what they see is what this witness keeps: a tree of calls, in which those that a rule of ours counts carry
its terms.
"""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch._ops import OpOverload
from torch.nn.parameter import is_lazy

from opcount.errors import OpCountError
from opcount.inputs import call_arguments
from opcount.ops import Call, Event, Source, Term
from opcount.rules import function_rule
from opcount.trace import hooks
from opcount.trace.describe import describe
from opcount.trace.functions import FunctionObserver
from opcount.trace.guard import nothing_compiled, process_state_kept
from opcount.trace.observer import Observer, transformed
from opcount.trace.operators import OperatorObserver
from opcount.trace.run import call
from opcount.trace.sight import unobserved
from opcount.trace.skeleton import Skeleton, clone


@dataclass(slots=True, eq=False)
class Seen:
    """One call.

    Attributes:
        level: ``"layer"``, ``"function"`` or ``"operator"``.
        subject: the layer, function or operator that was called.
        path: the layer, or the one in whose forward it was called.
        parent: the call that it was made in.
        call: what went in and came out; None if it raised.
        terms: what it costs by a rule of ours; None if it is not this call that a rule counts.
        as_operator: whether a function was called by a sign, as in ``a @ b``.
        places: how many paths lead to the layer, 0 to one that is kept where PyTorch does not look; of other calls
            those of the nearest layer about them that it knows.
        inside: the calls made in it, in order.
    """

    level: Source
    subject: Any
    path: str
    parent: Seen | None
    call: Call | None = None
    terms: tuple[Term, ...] | None = None
    as_operator: bool = False
    places: int = 1
    inside: list[Seen] = field(default_factory=list)

    def walk(self) -> Iterator[Seen]:
        """This call and all within, in the order they began."""
        pending = [self]
        while pending:
            seen = pending.pop()
            yield seen
            pending.extend(reversed(seen.inside))

    def above(self) -> Iterator[Seen]:
        """The calls that it was made in, from the inside out."""
        outer = self.parent
        while outer is not None:
            yield outer
            outer = outer.parent


def witness(model: nn.Module, inputs: Any = None, kwargs: Mapping[str, Any] | None = None) -> Seen:
    """Call a clone of a model once, in evaluation mode, and tell of every call in it.

    Args:
        model, inputs, kwargs: as for :func:`opcount.profile`. By shapes alone where that is enough, else for real.

    Returns:
        The root of the tree; its calls are what happened.

    Raises:
        OpCountError: as for :func:`opcount.profile`.
    """
    with unobserved():
        try:
            return _witness(model, inputs, kwargs, shapes_only=True)
        except Exception as error:
            if isinstance(error, OpCountError) and error.__cause__ is None:
                raise
            return _witness(model, inputs, kwargs, shapes_only=False)


def _witness(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None, *, shapes_only: bool) -> Seen:
    args, keywords = call_arguments(model, inputs, kwargs, shapes_only=shapes_only)
    skeleton = clone(model, shapes_only=shapes_only)
    for _, module in skeleton.modules:
        module.training = False
    tree = _Tree(_places(skeleton))
    observer = _Witness(tree)
    hooks.attach(skeleton.modules, observer)
    with (
        process_state_kept(lambda: observer.drew),
        nothing_compiled(),
        torch.inference_mode(False),
        torch.no_grad(),
        _Functions(observer),
        _Operators(observer),
    ):
        call(skeleton.model, args, keywords, observer)
    return tree.root


def _places(skeleton: Skeleton) -> dict[int, int]:
    """For each module how many paths lead to it, through others that several lead to."""
    places: dict[int, int] = {id(skeleton.model): 1}
    inner: dict[int, list[nn.Module]] = {}
    entered: dict[int, int] = {}
    for _, module in skeleton.modules:
        if id(module) not in inner:
            inner[id(module)] = list(module.children())
            for child in inner[id(module)]:
                entered[id(child)] = entered.get(id(child), 0) + 1
    ready = [skeleton.model]
    while ready:
        module = ready.pop()
        for child in inner.get(id(module), ()):
            places[id(child)] = places.get(id(child), 0) + places[id(module)]
            entered[id(child)] -= 1
            if not entered[id(child)]:
                ready.append(child)
    return places


class _Tree:
    """The collector that grows the tree."""

    def __init__(self, places: Mapping[int, int]) -> None:
        self.root = self.current = Seen("layer", None, "", None)
        self.module: nn.Module | None = None
        self._places = places

    def open(self, level: Source, subject: Any, path: str, *, as_operator: bool = False) -> Seen:
        """A call begins."""
        above = self.current
        known = (each.places for each in (above, *above.above()) if each.places)
        places = self._places.get(id(subject), 0) if level == "layer" else next(known, 1)
        seen = self.current = Seen(level, subject, path, above, as_operator=as_operator, places=places)
        above.inside.append(seen)
        return seen

    def close(self, seen: Seen) -> None:
        """A call has ended, and with it whatever was left open inside."""
        self.current = seen.parent or self.root

    def enter(self, path: str) -> None:
        """A module's forward begins."""
        self.open("layer", self.module, path)

    def leave(self, _: str, call: Call | None) -> None:
        """A module's forward has ended."""
        seen = self.current
        while seen.level != "layer" and seen.parent is not None:  # what an exception left open
            seen = seen.parent
        seen.call = call
        self.close(seen)

    def on_event(self, event: Event) -> None:
        """The call that is ending is one that a rule counts."""
        self.current.terms = event.terms


class _Witness(Observer):
    def __init__(self, tree: _Tree) -> None:
        super().__init__(tree)
        self.tree = tree

    def enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.tree.module = module
        super().enter(path, module, args, kwargs)


class _Functions(FunctionObserver):
    """Every torch function, and those that it calls in turn."""

    observer: _Witness

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "__get__" or any(map(_is_blank, args)):
            return func(*args, **kwargs)
        observer, tree = self.observer, self.observer.tree
        rule = None if observer.owned or transformed() else function_rule(func)
        seen = tree.open("function", func, observer.path, as_operator=_is_sign(sys._getframe(1)))
        try:
            given = describe(args), describe(kwargs)
            if rule is None:
                output = self._within(func, args, kwargs)
            else:
                with observer.owning():
                    output = self._within(func, args, kwargs)
            seen.call = Call(*given, describe(output))
            if rule is not None:
                observer.observe("function", getattr(func, "__name__", "function"), rule, func, seen.call)
        finally:
            tree.close(seen)
        return output

    def _within(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        body = _opened(func)
        if body is None:
            return func(*args, **kwargs)
        with self:
            return body(*args, **kwargs)


class _Operators(OperatorObserver):  # type: ignore[no-untyped-call]
    """Every operator, owned or not."""

    observer: _Witness

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tree = self.observer.tree
        with torch._C.DisableTorchFunction():
            given = describe(args), describe(kwargs or {})
        seen = tree.open("operator", func, self.observer.path)
        try:
            output = super().__torch_dispatch__(func, types, args, kwargs)
            with torch._C.DisableTorchFunction():
                seen.call = Call(*given, describe(output))
        finally:
            tree.close(seen)
        return output


_GUARDS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@lru_cache(maxsize=1024)
def _opened(func: Any) -> Callable[..., Any] | None:
    """A function of ``torch.nn.functional`` that does not hand itself to a mode again, so that it can be looked into.

    What it calls is seen then. None for what is written in C, and for other Python.
    """
    if not isinstance(func, types.FunctionType) or func.__globals__ is not vars(F):
        return None
    names = {**func.__globals__, **dict.fromkeys(_GUARDS, _never)}
    body = types.FunctionType(func.__code__, names, func.__name__, func.__defaults__, func.__closure__)
    body.__kwdefaults__ = func.__kwdefaults__
    return body


def _is_blank(value: Any) -> bool:
    """Whether a value is a parameter that a lazy layer has not made yet: there is nothing to describe."""
    return isinstance(value, torch.Tensor) and is_lazy(value)


def _never(*_: Any) -> bool:
    return False


def _is_sign(frame: types.FrameType) -> bool:
    """Whether the instruction that a frame is at is a sign between two values, not a call."""
    return frame.f_lasti >= 0 and _instructions(frame.f_code)[frame.f_lasti] in _SIGNS


_SIGNS = frozenset(code for name, code in dis.opmap.items() if name.startswith(("BINARY_", "INPLACE_")))


@lru_cache(maxsize=4096)
def _instructions(code: types.CodeType) -> bytes:
    return code.co_code  # a copy each time it is asked for
