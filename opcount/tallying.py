"""Counting whatever PyTorch does within a block of code: functions, training loops, several models, optimizers.

Only operators are looked at, so this works on live models and on code that was never seen before. An operator belongs
to the module in whose forward it runs, the gradient of one to the module whose forward made it (by the number that
autograd gave the node), a step to its optimizer, and anything else to the line of the source that called for it.
"""

from __future__ import annotations

import os
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn
from torch._ops import OpOverload
from torch.nn.modules import module as module_calls
from torch.optim import optimizer as optimizers
from torch.utils.weak import WeakIdKeyDictionary, WeakTensorKeyDictionary

from opcount.ledger import Ledger, ModuleFacts
from opcount.ops import Call, Convention, Event, Execution, Phase, Term
from opcount.result import Profile
from opcount.rules import operator_name, operator_rule
from opcount.rules.registry import OPERATORS, Rule
from opcount.trace.describe import describe
from opcount.trace.gradients import next_number
from opcount.trace.sight import ObservingMode

_LEAF = 2**64 - 1
_KEPT_TURNS = 200_000
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_OURS = tuple(os.path.join(os.path.dirname(os.path.abspath(each or "")), "") for each in (torch.__file__, __file__))

P = ParamSpec("P")
R = TypeVar("R")


class _Known:
    """What is known of one operator under one signature."""

    __slots__ = ("call", "name", "terms")

    def __init__(self, name: str, call: Call, terms: tuple[Term, ...] | None) -> None:
        self.name, self.call, self.terms = name, call, terms


class _Plan:
    """What is to be done about an operator."""

    __slots__ = ("by_gradient", "composite", "free", "known", "name", "rule")

    def __init__(self, operator: OpOverload) -> None:
        self.name = operator_name(operator)
        self.rule: Rule | None = operator_rule(operator)
        self.free = self.rule is not None and self.rule.free
        self.composite = self.rule is None and operator.has_kernel_for_dispatch_key(_COMPOSITE)
        self.by_gradient = self.name.endswith("_backward")  # some work out only what is asked for
        self.known: dict[Any, _Known] = {}


class Tally:
    """What PyTorch does while this is entered. Use :func:`tally`.

    It may be entered again, and adds up; others may be entered within it, and count what both see.

    Attributes:
        convention: what is included.
    """

    def __init__(self, convention: Convention = Convention()) -> None:
        self.convention = convention
        self._mode = _Mode(self)
        self._names = _Names()
        self._counts: dict[tuple[str, Phase], dict[_Known, int]] = {}
        self._calls: dict[str, int] = {}
        self._lines: dict[tuple[Any, int], str] = {}
        self._stack: list[tuple[str, nn.Module]] = []
        self._turns: list[int] = []
        self._paths: list[str] = []
        self._stepping = ""
        self._thread = 0
        self._handles: list[Any] = []
        self.paused = False

    def __enter__(self) -> Tally:
        self._thread = threading.get_ident()
        self._handles = [
            module_calls.register_module_forward_pre_hook(self._enter),
            module_calls.register_module_forward_hook(self._leave, always_call=True),
            optimizers.register_optimizer_step_pre_hook(self._step),
            optimizers.register_optimizer_step_post_hook(self._stepped),
        ]
        self._mode.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        try:
            self._mode.__exit__(*raised)  # type: ignore[no-untyped-call]
        finally:
            for handle in self._handles:
                handle.remove()
            self._handles, self._stack, self._stepping = [], [], ""

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Nothing within is counted.

        >>> with tally() as t:
        ...     with t.pause():
        ...         _ = torch.ones(3) * 2
        >>> t.profile.multiplications
        0
        """
        before, self.paused = self.paused, True
        try:
            yield
        finally:
            self.paused = before

    @property
    def profile(self) -> Profile:
        """What was counted so far: a record for each module, optimizer and line that did something."""
        ledger = Ledger(self.convention)
        for (path, phase), known in list(self._counts.items()):
            for each, times in list(known.items()):
                terms = each.terms and tuple(term.in_phase(phase) for term in each.terms)
                ledger.on_event(Event("operator", each.name, path, each.call, terms, phase), times)
        for path, times in self._calls.items():
            ledger.leave(path, None, times)
        paths = dict.fromkeys(("", *self._calls, *(path for path, _ in self._counts)))
        for path in paths:
            if path and path not in self._calls:  # an optimizer or a line, which nobody calls
                ledger.leave(path, None)
        facts = [self._names.facts(path) for path in paths]
        return Profile("tally", (), ledger.records(facts), self.convention, Execution("real"))

    def _enter(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        path = self._names.path(module, self._stack[-1][0] if self._stack else "")
        self._stack.append((path, module))
        if not self.paused:
            self._calls[path] = self._calls.get(path, 0) + 1
        self._turn(path)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        while self._stack and self._stack.pop()[1] is not module:
            pass
        self._turn(self._stack[-1][0] if self._stack else "")

    def _turn(self, path: str) -> None:
        self._turns.append(next_number())
        self._paths.append(path)
        if len(self._turns) > _KEPT_TURNS:
            del self._turns[: _KEPT_TURNS // 2], self._paths[: _KEPT_TURNS // 2]

    def _step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if threading.get_ident() == self._thread:
            self._stepping = type(optimizer).__name__

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._stepping = ""

    def add(self, known: _Known) -> None:
        """An operator has run."""
        node: Any = torch._C._current_autograd_node()
        if node is not None:
            where: tuple[str, Phase] = (self._of_node(node), "backward")
        elif self._stack:
            where = (self._stack[-1][0], "forward")
        elif self._stepping:
            where = (self._stepping, "optimizer")
        else:
            where = (self._line(), "forward")
        counts = self._counts.get(where)
        if counts is None:
            counts = self._counts[where] = {}
        counts[known] = counts.get(known, 0) + 1

    def _of_node(self, node: Any) -> str:
        """The module whose gradient a node works out, or whose forward it runs again."""
        if self._stack and torch.is_grad_enabled():
            return self._stack[-1][0]
        number = node._sequence_nr()
        if number == _LEAF:
            return self._names.owner(getattr(node, "variable", None))
        place = bisect_right(self._turns, number) - 1
        path = self._paths[place] if place >= 0 else ""
        return path or self._line()

    def _line(self) -> str:
        """The innermost line of the source that is neither PyTorch's nor ours."""
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
            frame = frame.f_back
        place = (frame.f_code, frame.f_lineno)
        name = self._lines.get(place)
        if name is None:
            stem = os.path.splitext(os.path.basename(frame.f_code.co_filename))[0]
            name = self._lines[place] = f"{stem.replace('.', '_')}:{frame.f_lineno}"
        return name


class _Mode(ObservingMode):  # type: ignore[no-untyped-call]
    """Sees every operator, and tells the tally of those that are not known to be free."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tally = tally
        self.plans: dict[OpOverload, _Plan] = {}
        self.registered = len(OPERATORS)

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.tally.paused:
            return func(*args, **(kwargs or {}))
        plan = self.plans.get(func) or self._plan(func)
        if plan.free:
            return func(*args, **(kwargs or {}))
        if plan.composite:
            with self:
                return func.decompose(*args, **(kwargs or {}))
        key: list[Any] = []
        dense = _sign(args, key, plan.by_gradient)
        if kwargs:
            dense &= _sign(kwargs.values(), key, plan.by_gradient)
            output = func(*args, **kwargs)
        else:
            output = func(*args)
        try:
            known = plan.known.get(signature := tuple(key))
        except TypeError:  # an argument that is not hashable
            known = signature = None
        if known is None:
            known = _looked_up(plan, func, args, kwargs or {}, output, dense)
            if signature is not None and len(plan.known) < 65_536:
                plan.known[signature] = known
        self.tally.add(known)
        return output

    def _plan(self, func: OpOverload) -> _Plan:
        if self.registered != len(OPERATORS):
            self.plans, self.registered = {}, len(OPERATORS)
        plan = self.plans[func] = _Plan(func)
        return plan


def _sign(values: Any, key: list[Any], by_gradient: bool) -> bool:
    """Add all that a count can depend on to a signature. Returns whether all tensors are dense."""
    dense = True
    for value in values:
        if isinstance(value, torch.Tensor):
            key.append(value.shape)
            key.append(value.dtype)
            if by_gradient:
                key.append(value.requires_grad)
            if value.layout is not torch.strided:
                key.append(value.layout)
                dense = dense and value.layout is torch.jagged
        elif type(value) is list or type(value) is tuple:
            key.append(len(value))
            dense &= _sign(value, key, by_gradient)
        else:
            key.append(value)
    return dense


def _looked_up(plan: _Plan, func: OpOverload, args: Any, kwargs: dict[str, Any], output: Any, dense: bool) -> _Known:
    call = Call(describe(args), describe(kwargs), describe(output))
    counts = plan.rule is not None and dense  # what a dense formula would say of a sparse tensor is not what it costs
    terms = plan.rule.terms(func, call) if plan.rule is not None and counts else None
    return _Known(plan.name, call, terms)


class _Names:
    """What modules are called: by their place under the module through which they were first called."""

    def __init__(self) -> None:
        self._paths: Any = WeakIdKeyDictionary()
        self._owners: Any = WeakTensorKeyDictionary()
        self._facts: dict[str, ModuleFacts] = {}

    def path(self, module: nn.Module, within: str) -> str:
        """Its path. A root is called by its class, and by a number if another was called so before."""
        known: str | None = self._paths.get(module)
        if known is not None:
            return known
        kind = type(module).__name__
        name = root = f"{within}.{kind}" if within else kind
        number = 1
        while root in self._facts:
            number += 1
            root = f"{name}#{number}"
        for path, each in module.named_modules():
            if each not in self._paths:
                self._remember(f"{root}.{path}" if path else root, each)
        return str(self._paths[module])

    def _remember(self, path: str, module: nn.Module) -> None:
        self._paths[module] = path
        params = 0
        for parameter in module._parameters.values():
            if parameter is not None and parameter not in self._owners:
                self._owners[parameter] = path
                params += 0 if nn.parameter.is_lazy(parameter) else parameter.numel()
        bases = tuple(f"{base.__module__}.{base.__qualname__}" for base in type(module).__mro__ if base is not object)
        self._facts[path] = ModuleFacts(path, type(module).__name__, bases, (), params)

    def owner(self, parameter: Any) -> str:
        """The module that holds a parameter."""
        return str(self._owners.get(parameter, "")) if isinstance(parameter, torch.Tensor) else ""

    def facts(self, path: str) -> ModuleFacts:
        """What is told of what a path stands for."""
        known = self._facts.get(path)
        kind = "line" if ":" in path else "optimizer" if path else "tally"
        return known or ModuleFacts(path, kind, ())


def tally(convention: Convention = Convention()) -> Tally:
    """Count whatever PyTorch does within a ``with`` block: functions, training loops, several models, optimizers.

    ``t.profile`` is what was counted, by module, optimizer or line of the source; ``with t.pause():`` leaves something
    out. Operators are counted as they run, nothing runs otherwise than without, and nothing is left behind. The
    backward pass is seen on whatever thread autograd runs it; other threads of Python's are not.

    Args:
        convention: what to include where the field does not agree; an operator does not say which additions are a bias.

    >>> layer = nn.Linear(3, 2)
    >>> with tally() as t:
    ...     loss = layer(torch.ones(5, 3)).sum()
    ...     loss.backward()
    >>> t.profile.forward.macs, t.profile.backward.macs
    (30, 30)
    >>> t.profile["Linear"].calls
    1
    """
    return Tally(convention)


def tallied(function: Callable[P, R]) -> Callable[P, R]:
    """A function that counts what PyTorch does in each call of it: ``last_profile`` is that of the last one.

    >>> @tallied
    ... def double(x):
    ...     return x * 2
    >>> _ = double(torch.ones(3))
    >>> double.last_profile.multiplications
    3
    """

    @wraps(function)
    def counted(*args: P.args, **kwargs: P.kwargs) -> R:
        counting = tally()
        try:
            with counting:
                return function(*args, **kwargs)
        finally:
            counted.last_profile = counting.profile  # type: ignore[attr-defined]

    counted.last_profile = None  # type: ignore[attr-defined]
    return counted
