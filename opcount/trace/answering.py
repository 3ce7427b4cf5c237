"""Operators answer with what they would return: from their answers, or from what was remembered of the same signature.

Views are taken for real (on meta that costs next to nothing); what nobody answers for runs on meta once. A tensor that
the forward makes from Python numbers keeps its values.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import torch
from torch._ops import HigherOrderOperator, OpOverload

from opcount.answers import ANSWERS
from opcount.ops import Call, Term
from opcount.rules import operator_name, operator_rule
from opcount.rules.registry import FUNCTIONS, LAYERS, OPERATORS
from opcount.trace.describe import KEPT, describe, keep_spec, spec_of
from opcount.trace.higher_order import call_higher_order
from opcount.trace.memory import MEMORY, Remembered
from opcount.trace.observer import Observer
from opcount.trace.operators import OperatorObserver
from opcount.trace.standins import META, NeedsValues, made

_CONSTANTS = frozenset(f"aten.{name}" for name in ("arange", "linspace", "ones", "zeros", "full", "empty"))
LARGEST_CONSTANT, LARGEST_DERIVED = 2**16, 2**24
"""Elements up to which a constant keeps its values, and up to which what is made of constants does."""
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def registered_base() -> int:
    """What else an outcome may depend on, the same for a whole run."""
    return hash((torch.get_default_dtype(), len(OPERATORS), len(FUNCTIONS), len(LAYERS), len(ANSWERS)))


class OperatorAnswerer(OperatorObserver):  # type: ignore[no-untyped-call]
    """Operators answer from their signature."""

    def __init__(self, observer: Observer, *, constants: bool = False) -> None:
        super().__init__(observer)
        self.constants = constants
        self.registered = len(OPERATORS), len(FUNCTIONS), len(LAYERS), len(ANSWERS)
        self.base = registered_base()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            if self.observer.recording is not None:
                self.observer.recording.repeatable = False
            return call_higher_order(self, func, args, kwargs)
        plan = plan_of(func, self.registered)
        if plan.decomposed:
            with self:
                return func.decompose(*args, **kwargs)
        recording = self.observer.recording
        if recording is not None:
            recording.operators += 1
            recording.repeatable &= plan.repeatable
        with torch._C.DisableTorchFunction():
            if plan.is_free_view and args[0].is_meta:
                return func(*args, **kwargs)
            return self._answer(plan, func, args, kwargs)

    def _answer(self, plan: Plan, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parts: list[Any] = [func, self.base]
        met = _sign(args, parts)
        if kwargs:
            parts.extend(kwargs)
            met |= _sign(tuple(kwargs.values()), parts)
        if met == _REAL and (not self.constants or is_small(func, args, kwargs)):  # made of Python numbers: known
            return super().__torch_dispatch__(func, (), args, without_device(kwargs))
        if plan.native:
            if self.constants or met or not plan.constant or not is_plainly_on_a_device(kwargs):
                return self._native(plan, func, on_meta(args), on_meta(kwargs))
            parts.append(torch.get_default_dtype())  # which the forward may have changed
        if plan.in_place and not args[0].is_meta:
            raise NeedsValues(f"{plan.name} would change a tensor whose values are known")
        key = tuple(parts)
        known = MEMORY.get(key)
        if known is None:
            known = self._work_out(plan, func, args, kwargs)
            MEMORY.put(key, known)
        if not known.free and not self.observer.owned:
            self.observer.recall("operator", plan.name, known.call, known.terms)
        return args[0] if plan.in_place else made(known.output)

    def _native(self, plan: Plan, func: OpOverload, args: Any, kwargs: dict[str, Any]) -> Any:
        """Views, factories and what returns no tensors: done on meta each time."""
        if "device" in kwargs:
            kwargs = {**kwargs, "device": META}
        output = func(*args, **kwargs)
        if plan.changes_shape:
            keep_spec(args[0], None)
        if not plan.free and not self.observer.owned:
            call = Call(describe(args), describe(kwargs), describe(output))
            self.observer.observe("operator", plan.name, plan.rule, func, call)
        if self.constants and plan.constant and is_known(plan.name, output):
            return func(*args, **without_device(kwargs))
        return output

    def _work_out(self, plan: Plan, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Remembered:
        call = Call(describe(args), describe(kwargs), None)
        output = plan.answer(func, call) if plan.answer is not None else None
        if output is None:
            if "device" in kwargs:
                kwargs = {**kwargs, "device": META}
            output = describe(func(*on_meta(args, fresh=plan.in_place), **on_meta(kwargs)))
        call = Call(call.args, call.kwargs, output)
        terms: tuple[Term, ...] | None = ()
        if not plan.free:
            terms = None if plan.rule is None else self.observer.terms(plan.name, plan.rule, func, call)
        return Remembered(output, call, terms, plan.free)


def is_known(name: str, output: torch.Tensor) -> bool:
    """Whether a new tensor is to keep its values. Empty ones of whole numbers are there to be filled with some."""
    whole = not (output.is_floating_point() or output.is_complex())
    return output.numel() <= LARGEST_CONSTANT and (whole or name != "aten.empty")


def is_plainly_on_a_device(kwargs: dict[str, Any]) -> bool:
    """Whether a new tensor is to lie on a device that is named, and there as most do: dense and contiguous."""
    strided = kwargs.get("layout") in (None, torch.strided)
    return kwargs.get("device") is not None and strided and kwargs.get("memory_format") is None


def is_small(func: OpOverload, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether what an operator makes of constants is small enough to be made."""
    made_of = on_meta(args), on_meta(without_device(kwargs))
    try:
        found = func(*made_of[0], **made_of[1])
    except Exception:  # it asks for values, which it has
        return True
    parts = found if isinstance(found, (tuple, list)) else (found,)
    return all(part.numel() <= LARGEST_DERIVED for part in parts if isinstance(part, torch.Tensor))


@lru_cache(maxsize=4096)
def plan_of(operator: Any, registered: tuple[int, ...]) -> Plan:
    """What is to be done about an operator; anew when rules or answers were added."""
    return Plan(operator)


class Plan:
    """What is to be done about an operator, whatever it is called with.

    Attributes:
        decomposed: it is made of others, which have rules.
        constant: it makes a tensor of numbers that are known.
        native: it is done on meta each time: a view, a factory, or something that returns no tensors.
        in_place: it returns its first argument, changed in value but not in shape.
        changes_shape: it changes the shape of its first argument.
        repeatable: all that it does is to return tensors, or to change values without a shape.
    """

    def __init__(self, operator: OpOverload) -> None:
        self.name = operator_name(operator)
        self.rule = operator_rule(operator)
        self.free = self.rule is not None and self.rule.free
        self.answer = ANSWERS.get(self.name)
        self.constant = self.name in _CONSTANTS
        self.decomposed = self.rule is None and operator.has_kernel_for_dispatch_key(_COMPOSITE)
        arguments, returns = operator._schema.arguments, operator._schema.returns
        written = [a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write]
        self.changes_shape = torch.Tag.inplace_view in operator.tags
        self.in_place = len(returns) == 1 and written == [arguments[0].name] and not self.changes_shape
        takes_tensors = any("Tensor" in str(argument.type) for argument in arguments)
        returns_tensors = bool(returns) and all("Tensor" in str(returned.type) for returned in returns)
        self.native = (
            operator.is_view or self.changes_shape or "out" in written or not (takes_tensors and returns_tensors)
        )
        self.repeatable = not self.native or not takes_tensors
        self.repeatable |= operator.is_view and not self.changes_shape and "out" not in written
        self.is_free_view = operator.is_view and self.free and str(arguments[0].type) == "Tensor"


_REAL, _SHAPES = 1, 2


def _sign(values: Iterable[Any], parts: list[Any]) -> int:
    """Add what an outcome can depend on to a signature: a tensor's shape and type, anything else itself.

    Returns which kinds of tensors were met: with values, shapes only, or both.
    """
    met = 0
    for value in values:
        kind = type(value)
        if kind is torch.Tensor or isinstance(value, torch.Tensor):
            kept = value.__dict__.get(KEPT)
            if kept is None:
                kept = spec_of(value)
            parts.append(kept)
            met |= _SHAPES if value.is_meta else _REAL
        elif kind is list or kind is tuple:
            parts.append(len(value))
            met |= _sign(value, parts)
        else:
            parts.append(value)
            if kind is float or kind is bool:  # 1, 1.0 and True are equal, but not the same
                parts.append(kind)
    return met


def on_meta(value: Any, *, fresh: bool = False) -> Any:
    """Real tensors as tensors on meta; ``fresh``: all of them new, so that none is written to."""
    if isinstance(value, torch.Tensor):
        if value.is_meta and not fresh:
            return value
        return torch.empty_strided(tuple(value.shape), value.stride(), dtype=value.dtype, device=META)
    if isinstance(value, (tuple, list)):
        return type(value)(on_meta(item, fresh=fresh) for item in value)
    if isinstance(value, dict):
        return {name: on_meta(item, fresh=fresh) for name, item in value.items()}
    return value


def without_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != "device"}
