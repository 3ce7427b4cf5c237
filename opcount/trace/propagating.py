"""The observers of functions and operators while gradients are on: of the forward, and of what a backward pass runs.

On the meta device an operator runs once under a signature: what it returned then, strides included, is made anew from
then on, because many of PyTorch's own meta functions take long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch._ops import HigherOrderOperator, OpOverload
from torch.overrides import resolve_name

from opcount.answers import ANSWERS
from opcount.errors import BackwardError
from opcount.ops import Call, Tree
from opcount.rules import gradient_rule, operator_name
from opcount.rules.registry import FUNCTIONS, LAYERS, OPERATORS
from opcount.trace.answering import is_known, is_small, on_meta, plan_of, without_device
from opcount.trace.describe import describe
from opcount.trace.functions import FunctionObserver
from opcount.trace.gradients import GradientObserver, next_number, repeated
from opcount.trace.memory import MEMORY
from opcount.trace.operators import DRAWS, OperatorObserver
from opcount.trace.standins import META, NeedsValues, dtype_of


def leaves(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    """The tensors in nested containers."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth > 32:
        return
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves(item, depth + 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item, depth + 1)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from leaves(getattr(value, each.name, None), depth + 1)


class GradientFunctions(FunctionObserver):
    """Functions with a rule, and the nodes that they make."""

    observer: GradientObserver

    def run(self, func: Callable[..., Any], args: Any, kwargs: Any, call: Call) -> tuple[Any, Call]:
        """The function's output, and the call with it."""
        begin, again = next_number(), repeated(args, kwargs)
        output, call = super().run(func, args, kwargs, call)
        name = resolve_name(func) or func.__name__
        self.observer.made(begin, "function", name, func, call, again, output)
        return output, call


class GradientOperators(OperatorObserver):  # type: ignore[no-untyped-call]
    """Operators of the forward, and those that the nodes of a backward pass run."""

    observer: GradientObserver

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        observer = self.observer
        if isinstance(func, HigherOrderOperator):
            return self.call_higher_order(func, args, kwargs or {})
        if DRAWS in func.tags:
            observer.drew = True
        if observer.propagating and observer.runs(torch._C._current_autograd_node(), func, args):
            return self.execute(func, args, kwargs or {})
        begin = next_number() - 1  # the node of an operator is made before the operator is seen
        output = super().__torch_dispatch__(func, types, args, kwargs)
        if gradient_rule(func) is not None and torch.is_grad_enabled() and not observer.owned:
            inputs = Call(describe(args), describe(kwargs or {}), describe(output), grad=True)
            if any(isinstance(each, torch.Tensor) and each.requires_grad for each in args):
                observer.made(begin, "operator", operator_name(func), func, inputs, 0)
        return output

    def call_higher_order(self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Refuse: this is below autograd, where what the operator's functions do leaves no graph.

        Raises:
            BackwardError: always.
        """
        raise BackwardError(
            f"the backward pass of torch's {func._name} is not counted: without backward=True the forward is"
        )


_PRODUCTS = frozenset(
    (
        torch.ops.aten.mm.default,
        torch.ops.aten.bmm.default,
        torch.ops.aten.addmm.default,
        torch.ops.aten.baddbmm.default,
    )
)
"""Operators whose results are contiguous whatever they are given."""


class _Shaped(NamedTuple):
    """What a tensor on the meta device is made of."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


class MetaOperators(GradientOperators):  # type: ignore[no-untyped-call]
    """The same on the meta device; a tensor that the model makes from Python numbers keeps its values.

    Args:
        constants: whether tensors that are made of known numbers (positions, masks of ones) keep theirs too.
    """

    def __init__(self, observer: GradientObserver, *, constants: bool = False) -> None:
        super().__init__(observer)
        self.constants = constants
        self.registered = len(OPERATORS), len(FUNCTIONS), len(LAYERS), len(ANSWERS)

    def execute(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the operator returns, on the meta device unless all that it is given has values."""
        kinds = {tensor.is_meta for tensor in leaves((args, kwargs))}
        if kinds == {False} and (not self.constants or is_small(func, args, kwargs)):
            return func(*args, **without_device(kwargs))
        plan = plan_of(func, self.registered)
        if False in kinds:
            if plan.in_place and not args[0].is_meta:
                raise NeedsValues(f"{plan.name} would change a tensor whose values are known")
            args, kwargs = on_meta(args), on_meta(kwargs)
        given = kwargs
        if "device" in kwargs:
            kwargs = {**kwargs, "device": META}
        if plan.native or not kinds:
            output = func(*args, **kwargs)
            if self.constants and plan.constant and not kinds and is_known(plan.name, output):
                return func(*args, **without_device(given))
            return output
        parts: list[Any] = [MetaOperators, func]
        if not (_sign(args, parts) and _sign(kwargs.values(), parts)):
            return func(*args, **kwargs)
        key = (*parts, *kwargs)
        known = MEMORY.get(key)
        if known is None:
            recipe = None if plan.in_place or plan.answer is None else self._answered(plan.answer, func, args, kwargs)
            if recipe is None:
                output = func(*args, **kwargs)
                recipe = None if plan.in_place else _recipe(output)
                if recipe is not NotImplemented:
                    MEMORY.put(key, (recipe,))
                return output
            known = (recipe,)
            MEMORY.put(key, known)
        return args[0] if plan.in_place else _made(known[0])

    def _answered(self, answer: Any, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator answers on tensors that are all contiguous, as its answer is; of matrices, on any."""
        if func not in _PRODUCTS and not all(tensor.is_contiguous() for tensor in leaves((args, kwargs))):
            return None
        tree = answer(func, Call(describe(args), describe(kwargs), None))
        return None if tree is None else _contiguous(tree)


_PLAIN = frozenset({type(None), bool, int, float, complex, str, torch.dtype, torch.device, torch.layout})
_PLAIN |= {torch.memory_format}


def _sign(values: Iterable[Any], parts: list[Any]) -> bool:
    """Add values to a signature. Returns whether it says everything about them."""
    for value in values:
        kind = type(value)
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.is_nested or value.is_conj() or value.is_neg():
                return False
            parts.append(_Shaped(tuple(value.shape), value.stride(), value.dtype))
        elif kind is list or kind is tuple or kind is torch.Size:
            parts.append((kind, len(value)))
            if not _sign(value, parts):
                return False
        elif kind in _PLAIN:
            parts.append((kind, value))
        else:
            return False
    return True


def _recipe(value: Any) -> Any:
    """How to make the like of what an operator returned; NotImplemented where shapes do not say it."""
    if isinstance(value, (tuple, list)):
        items = [_recipe(item) for item in value]
        return NotImplemented if any(item is NotImplemented for item in items) else type(value)(items)
    if value is None:
        return None
    if type(value) is not torch.Tensor or value.layout is not torch.strided or not value.is_meta:
        return NotImplemented
    return _Shaped(tuple(value.shape), value.stride(), value.dtype)


def _contiguous(tree: Tree) -> Any:
    """Specs as what contiguous tensors are made of."""
    if isinstance(tree, tuple):
        return tuple(_contiguous(item) for item in tree)
    if tree is None:
        return None
    strides, step = [], 1
    for size in reversed(tree.shape):
        strides.append(step)
        step *= max(size, 1)
    return _Shaped(tree.shape, tuple(reversed(strides)), dtype_of(tree.dtype))


def _made(recipe: Any) -> Any:
    if type(recipe) is _Shaped:
        with torch._C.DisableTorchFunction():
            return torch.empty_strided(recipe.shape, recipe.strides, dtype=recipe.dtype, device=META)
    return None if recipe is None else type(recipe)(_made(item) for item in recipe)
