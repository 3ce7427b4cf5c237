"""One run in which nothing is short-cut: every operator is executed, on fake tensors or on real ones, and memory seen.

Gradients are off, as in inference: a tensor lives as long as the forward holds it, not as long as a backward might want
it. There is no function mode, because PyTorch takes slower paths under one, and those need other memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves

from opcount.ops import Call, Event, Execution, Term
from opcount.rules import Rule, operator_name
from opcount.trace import hooks
from opcount.trace.describe import ALIASES, describe
from opcount.trace.faking import Faker
from opcount.trace.guard import garbage_kept, nothing_compiled, process_state_kept
from opcount.trace.moving import Moves
from opcount.trace.observer import Observer
from opcount.trace.run import call
from opcount.trace.sight import Observing, ObservingMode
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import NeedsValues
from opcount.trace.storages import Storages

_OTHERWISE_SHAPED = frozenset({"aten._embedding_bag", "aten._embedding_bag_forward_only"})
"""Operators whose further outputs, which nobody reads, have other sizes on tensors without values."""

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def run_whole(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    storages: Storages,
    *,
    moves: Moves | None = None,
    faker: Faker | None = None,
) -> Execution:
    """Call the clone once and see what memory it takes.

    Args:
        skeleton: the clone, with fakes for its tensors if there is a faker.
        args, kwargs: what it is called with, likewise.
        storages: is told of every storage.
        moves: is told of every layer and operator, if bytes moved are wanted.
        faker: made the fakes.

    Raises:
        ForwardError: the forward raised.
    """
    observer = _Silent(_Nobody() if moves is None else moves)
    _watch(skeleton.modules, observer)
    token = ALIASES.set(storages.alias if moves is not None else None)
    begin = time.perf_counter()
    try:
        with (
            process_state_kept(lambda: observer.drew),
            nothing_compiled(),
            garbage_kept(),
            torch.inference_mode(False),
            torch.no_grad(),
            nullcontext() if faker is None else faker.mode,
            StorageObserver(observer, storages, moves),
        ):
            call(skeleton.model, args, kwargs, observer)
    finally:
        ALIASES.reset(token)
    return Execution("real" if faker is None else "shapes", seconds=time.perf_counter() - begin)


class Watched(Observing):
    """Stands where a module's forward is looked up: tells the observer, and is that forward.

    No hooks, as in a count: PyTorch's transformer layers leave their fast path where there are any.
    """

    __slots__ = ("forward", "module", "observer", "path", "stands_for_own_forward")

    def __init__(self, path: str, module: nn.Module, observer: Observer) -> None:
        self.path, self.module, self.observer = path, module, observer
        own: Any = module.__dict__.get("forward")
        self.stands_for_own_forward = own is None
        self.forward: Any = partial(type(module).forward, module) if own is None else own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns."""
        self.observer.enter(self.path, self.module, args, kwargs)
        output = None
        try:
            output = self.forward(*args, **kwargs)
        finally:
            self.observer.leave(self.module, args, kwargs, output)
        return output


def _watch(modules: Iterable[tuple[str, nn.Module]], observer: Observer) -> None:
    """Watch every module once, under the first of its paths."""
    watched = set()
    for path, module in modules:
        if id(module) not in watched:
            watched.add(id(module))
            hooks.leave_lazy_alone(module)
            module.__dict__["forward"] = Watched(path, module, observer)


class _Silent(Observer):
    """Knows who owns what happens, and asks no rule what it costs: a rule may compute, which would take memory."""

    def terms(
        self, name: str, rule: Rule, subject: Any, call: Call, path: str | None = None
    ) -> tuple[Term, ...] | None:
        """None of it."""
        return ()


class _Nobody:
    """A collector that wants to know nothing."""

    def enter(self, path: str) -> None:
        """A module's forward begins."""

    def leave(self, path: str, call: Call | None) -> None:
        """A module's forward has ended."""

    def on_event(self, event: Event) -> None:
        """A layer has run."""


class StorageObserver(ObservingMode):  # type: ignore[no-untyped-call]
    """Sees every operator that reaches PyTorch's dispatcher, and the storages of what it takes and returns."""

    def __init__(self, observer: Observer, storages: Storages, moves: Moves | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.observer, self.storages, self.moves = observer, storages, moves

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":  # a fake tensor is asked for its device
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled() and func.has_kernel_for_dispatch_key(_COMPOSITE):
            with self:  # inference mode hands composite operators over whole
                return func.decompose(*args, **kwargs)
        storages, observer, moves = self.storages, self.observer, self.moves
        if torch.Tag.nondeterministic_seeded in func.tags:
            observer.drew = True
        if not storages.values and operator_name(func) in _OTHERWISE_SHAPED:
            raise NeedsValues(f"PyTorch tells another size of what {operator_name(func)} returns than it has")
        given = _tensors((args, kwargs))
        if operator_name(func) != "aten.lift_fresh":  # what it is given was made from Python numbers just now
            storages.know(given)
        call = None if moves is None else Call(describe(args), describe(kwargs), None)
        output = func(*args, **kwargs)
        storages.note(
            [*_tensors(output), *(given if func._schema.is_mutable else ())], observer.path, operator_name(func)
        )
        if moves is not None and call is not None:
            moves.lived()
            call = Call(call.args, call.kwargs, describe(output))
            moves.operator(func, call, observer.path, owned=observer.owned)
        return output


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
