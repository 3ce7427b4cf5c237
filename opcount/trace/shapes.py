"""Running a clone by shapes alone: layers, functions and operators answer with what they would return.

The clone's tensors are stand-ins on the meta device. Known layers answer instead of running, and so do operators, from
their answers or from what was remembered of the same signature. Views are taken for real (on meta that costs next to
nothing); what nobody answers for runs on meta once. A tensor that the forward makes from Python numbers keeps its
values. Where a forward needs values that are not there, PyTorch raises, and the model has to be run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from types import FunctionType
from typing import Any, Protocol

import torch
from torch import fx, nn
from torch.nn.modules import module as module_calls

from opcount.answers import ANSWERS, layer_answer
from opcount.answers.layers import given_back
from opcount.ops import Call, Execution, Term, Tree
from opcount.rules import Rule, layer_rule
from opcount.rules.registry import LAYERS
from opcount.trace import hooks
from opcount.trace.answering import OperatorAnswerer
from opcount.trace.describe import describe_call
from opcount.trace.following import Interpreted
from opcount.trace.guard import nothing_compiled, process_state_kept
from opcount.trace.likeness import looks
from opcount.trace.memory import MEMORY, Happened, Remembered
from opcount.trace.observer import Collector, Observer, transformed
from opcount.trace.recalling import FunctionAnswerer
from opcount.trace.run import call
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import Blanks, NeedsValues
from opcount.trace.watching import Watch


class AnswerCollector(Collector, Protocol):
    """A collector that is also told of layers which answer instead of running."""

    def on_answer(self, path: str, name: str, call: Call, terms: tuple[Term, ...] | None) -> None:
        """A layer was called: its forward began, cost that and ended."""

    def on_repeat(self, path: str, events: Iterable[Happened]) -> None:
        """A function did in a module's forward what it had done before."""


class ShapesObserver(Observer):
    """An observer of a run in which layers answer."""

    collector: AnswerCollector

    def __init__(self, collector: AnswerCollector, *, layer_rules: bool, undecided: bool) -> None:
        super().__init__(collector, layer_rules=layer_rules, undecided=undecided)
        self.blanks = Blanks()

    def answered(self, path: str, kind: str, known: Remembered) -> None:
        """A layer with a rule was called and need not run."""
        if self.recording is not None:
            self.recording.repeatable = False
        counts = not self._owners and (self.layer_rules or known.free)
        self.collector.on_answer(path, kind, known.call, known.terms if counts else ())

    def repeated(self, events: Iterable[Happened]) -> None:
        if self.recording is None:
            self.collector.on_repeat(self.path, events)
        else:
            super().repeated(events)


def run_shapes(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    collector: AnswerCollector,
    *,
    layer_rules: bool = True,
    constants: bool = False,
    undecided: bool = False,
) -> Execution:
    """Call the clone once on shapes and tell the collector what would have happened.

    Args:
        layer_rules: whether layers are counted by their own rules; without, by what they call.
        constants: whether tensors that the forward makes of known numbers (positions, masks of ones) keep their values.
        undecided: whether what a value would decide is uncounted, because there will be none.

    Raises:
        ForwardError: the forward raised, on shapes that do not fit as well as on values that are not there.
        NeedsValues: a tensor has no stand-in, or autocast is on.
    """
    observer = ShapesObserver(collector, layer_rules=layer_rules, undecided=undecided)
    modules = skeleton.modules
    vacant = skeleton.copier.vacant
    standing = _stub(modules, observer, layer_rules, watched=vacant is not None)
    hooks.attach(modules, observer)
    begin = time.perf_counter()
    with (
        process_state_kept(lambda: observer.drew),
        nothing_compiled(),
        torch.inference_mode(False),
        torch.no_grad(),
        FunctionAnswerer(observer, observer.blanks),
        OperatorAnswerer(observer, constants=constants),
    ):
        _refuse_autocast()
        call(skeleton.model, args, kwargs, observer)
    stood = [each.retire() for each in standing]
    if vacant is not None and not all(stood):
        vacant.occupied = True  # by a forward of the model's own choosing, whose calls nobody has seen
    return Execution("shapes", seconds=time.perf_counter() - begin)


_CALL, _CALL_IMPL = nn.Module.__call__, nn.Module._call_impl


class Stub(Watch):
    """Answers where it can, else is the forward that it stands for.

    It sits inside all hooks and is told what they made of the arguments, so it does what our own hooks would do.
    """

    __slots__ = ("answer",)
    observer: ShapesObserver

    def __init__(self, path: str, module: nn.Module, answer: Any, observer: ShapesObserver) -> None:
        super().__init__(path, module, observer)
        self.answer = answer

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the layer would return."""
        if not _is_grad_enabled() and not transformed():
            if _is_autocast_enabled():
                _refuse_autocast()
            known = self._known(args, kwargs)
            if known is not None:
                self.observer.answered(self.path, type(self.module).__name__, known)
                return args[0] if self.answer is given_back else self.observer.blanks.tree(known.output)
        return super().run(args, kwargs)

    def _known(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Remembered | None:
        """The answer and its terms: remembered of a layer just like this one, or worked out."""
        rule = layer_rule(self.module)
        if rule is None:
            return None
        given = describe_call(args, kwargs)
        like = None if kwargs else looks(self.module)
        key = None if like is None else (*like, *given[0])
        try:
            known: Remembered | None = None if key is None else MEMORY.get(key)
        except TypeError:  # a list somewhere inside
            key = known = None
        if known is None:
            known = self._worked_out(rule, *given)
            if known is not None and key is not None:
                MEMORY.put(key, known)
        return known

    def _worked_out(self, rule: Rule, args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> Remembered | None:
        module = self.module
        with torch._C.DisableTorchFunction():
            output = MEMORY.same(self.answer(module, Call(args, kwargs, None, module.training)))
        if output is None:
            return None
        call = Call(args, kwargs, output, module.training)
        terms = self.observer.terms(type(module).__name__, rule, module, call, self.path)
        return Remembered(output, call, terms, rule.free)


_is_grad_enabled = torch.is_grad_enabled
_is_autocast_enabled = torch._C._is_any_autocast_enabled


def _stub(
    modules: Iterable[tuple[str, nn.Module]], observer: ShapesObserver, layer_rules: bool, *, watched: bool
) -> list[Watch]:
    """Stand where a module is called in PyTorch's own way; hooks on all modules at once would see too much."""
    standing: list[Watch] = []
    if nn.Module.__call__ is not _CALL or nn.Module._call_impl is not _CALL_IMPL or any(map(len, _GLOBAL_HOOKS)):
        return standing
    registered = len(ANSWERS) + len(LAYERS)
    for path, module in modules:
        kind: Any = type(module)
        answer = _stub_answer(kind, kind.__call__, kind._call_impl, kind.forward, registered)
        if answer is None or "forward" in module.__dict__:
            continue
        if answer is _RUNS:
            if watched:
                standing.append(Watch(path, module, observer))
        elif layer_rules:
            standing.append(Stub(path, module, answer, observer))
    return standing


_GLOBAL_HOOKS: tuple[Any, ...] = (
    *(module_calls._global_forward_pre_hooks, module_calls._global_forward_hooks),
    *(module_calls._global_backward_pre_hooks, module_calls._global_backward_hooks),
)


_RUNS = object()


@lru_cache(maxsize=4096)
def _stub_answer(kind: Any, call: Any, call_impl: Any, forward: Any, registered: int) -> Any:
    """What answers for modules of a class; ``_RUNS`` for those that nothing answers for, which are watched."""
    if call is not _CALL or call_impl is not _CALL_IMPL:
        return None
    answer = layer_answer(kind)
    if answer is not None:
        return answer
    follows_a_graph = issubclass(kind, (fx.GraphModule, Interpreted))
    return _RUNS if isinstance(forward, FunctionType) and not follows_a_graph else None


def _refuse_autocast() -> None:
    """Autocast chooses types by device, which stand-ins do not have."""
    if torch._C._is_any_autocast_enabled():
        raise NeedsValues("autocast chooses types by the model's own device")
