"""Who owns an operation: one stack of what is running, asked by three observers.

Layers are seen by forward hooks, functions that PyTorch takes apart above its dispatcher by a function mode, and
operators by a dispatch mode. The outermost rule wins: inside what a rule owns nothing is counted again. What no rule
owns belongs to the module in whose forward it happened.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn
from torch.autograd import forward_ad

from opcount.errors import OpCountError, RuleError
from opcount.ops import Call, Event, Source, Term, Tree, tensors
from opcount.rules import Rule, layer_rule
from opcount.trace.describe import describe_call, described
from opcount.trace.memory import Happened


class Collector(Protocol):
    """What a run tells its events to."""

    def enter(self, path: str) -> None:
        """A module's forward begins."""

    def leave(self, path: str, call: Call | None) -> None:
        """A module's forward has ended; without a call, by an exception."""

    def on_event(self, event: Event) -> None:
        """Something was counted, found free, or is uncounted."""


def transformed() -> bool:
    """Whether tensors stand for more than their shape says: inside vmap, grad, jvp and their like, or forward AD.

    What runs there is what operators below the transform see; a layer's or a function's own shapes do not tell.
    """
    if torch.compiler.is_dynamo_compiling():  # which cannot look there
        return False
    return transformed_eagerly()


def transformed_eagerly() -> bool:
    """The same where nothing is compiled."""
    return _peek_interpreter_stack() is not None or forward_ad._current_level >= 0


_peek_interpreter_stack = torch._C._functorch.peek_interpreter_stack


@dataclass(slots=True)
class Frame:
    """A module whose forward is running."""

    path: str
    module: nn.Module
    rule: Rule | None
    inputs: tuple[Tree, Tree]
    exception: BaseException | None  # what was being handled when the call began
    mark: Any = None


@dataclass(slots=True)
class Recording:
    """What a function was seen to do.

    Attributes:
        events: what was told to the collector.
        operators: how many operators it called.
        repeatable: whether that is all it did, for all we can see.
    """

    events: list[Event] = field(default_factory=list)
    operators: int = 0
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """The innermost layer an exception came from."""

    exception: BaseException
    path: str
    module: str
    inputs: tuple[Tree, Tree]


class Observer:
    """The stack of running modules, and what is said of them to the collector.

    Args:
        collector: what is told.
        layer_rules: whether layers are counted by their own rules; without, by what they call.
        undecided: whether what a value would decide is uncounted, because nobody will ever know the value.

    Attributes:
        failure: the innermost layer that the last exception came from.
        drew: whether anything that ran has drawn random numbers.
        recording: what a function that is running was seen to do.
    """

    def __init__(self, collector: Collector, *, layer_rules: bool = True, undecided: bool = False) -> None:
        self.collector = collector
        self.undecided = undecided
        self.layer_rules = layer_rules
        self.failure: Failure | None = None
        self.drew = False
        self.recording: Recording | None = None
        self._frames: list[Frame] = []
        self._owners = 0

    @property
    def owned(self) -> bool:
        """Whether a rule owns what happens now."""
        return self._owners > 0

    @property
    def path(self) -> str:
        """The module in whose forward we are."""
        return self._frames[-1].path if self._frames else ""

    def __deepcopy__(self, memo: Any) -> Observer:
        """Itself: a forward may copy its layers, and the copies are observed like them."""
        return self

    @contextmanager
    def owning(self) -> Iterator[None]:
        """What happens within is already counted, or none of the model's doing."""
        self._owners += 1
        try:
            yield
        finally:
            self._owners -= 1

    @contextmanager
    def standing_at(self, path: str, graph: nn.Module) -> Iterator[None]:
        """What happens within belongs to a module that does not run itself: a graph does, which was captured of it."""
        self._frames.append(Frame(path, graph, None, ((), {}), sys.exc_info()[1]))
        try:
            yield
        finally:
            self._frames.pop()

    def enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        """A module's forward begins."""
        if self.recording is not None:  # a function that calls modules has more to it than operators
            self.recording.repeatable = False
        known = layer_rule(module)
        counts = known is not None and not self._owners and (self.layer_rules or known.free) and not transformed()
        rule = known if counts else None
        if rule is not None:
            self._owners += 1
        inputs = describe_call(args, kwargs)
        self._frames.append(Frame(path, module, rule, inputs, sys.exc_info()[1]))
        self.collector.enter(path)

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """A module's forward has ended, by returning or by raising."""
        raised = sys.exc_info()[1]
        while self._frames:
            frame = self._frames.pop()
            if frame.rule is not None:
                self._owners -= 1
            if frame.module is module:
                break
            self.collector.leave(frame.path, None)  # left by an exception that hooks did not see
        else:
            return
        if raised is not None and raised is not frame.exception:
            self._leave_raising(frame, raised)
            return
        kind = type(module).__name__
        call = Call(*frame.inputs, described(output), module.training)
        if frame.rule is not None:
            terms = self.terms(kind, frame.rule, module, call, frame.path)
            self.collector.on_event(Event("layer", kind, frame.path, call, terms))
        self.collector.leave(frame.path, call)

    def _leave_raising(self, frame: Frame, raised: BaseException) -> None:
        kind = type(frame.module).__name__
        if self.failure is None or self.failure.exception is not raised:
            self.failure = Failure(raised, frame.path, kind, frame.inputs)
        if frame.rule is not None and not self._stopped(frame, raised):  # whatever it did before was not counted
            call = Call(frame.inputs[0], frame.inputs[1], None, frame.module.training)
            self.collector.on_event(Event("layer", kind, frame.path, call, None))
        self.collector.leave(frame.path, None)

    def _stopped(self, frame: Frame, raised: BaseException) -> bool:
        """Whether a layer was left before it did anything: when it is run again only for what was not kept of it."""
        return False

    def left_by(self, raised: BaseException) -> Failure | None:
        """Where something came from that no hook is told of, for it is no ``Exception``: the layer that was running."""
        if isinstance(raised, Exception) or not self._frames:
            return self.failure
        frame = self._frames[-1]
        return Failure(raised, frame.path, type(frame.module).__name__, frame.inputs)

    def observe(self, source: Source, name: str, rule: Rule | None, subject: Any, call: Call) -> None:
        """A function or operator was called that nobody owns; without a rule it is uncounted."""
        if rule is None:
            self.recall(source, name, call, None)
        else:
            self.recall(source, name, call, self.terms(name, rule, subject, call))

    def recall(self, source: Source, name: str, call: Call, terms: tuple[Term, ...] | None) -> None:
        """Something happened whose terms are known already."""
        event = Event(source, name, self._frames[-1].path if self._frames else "", call, terms)
        if self.recording is not None:
            self.recording.events.append(event)
        self.collector.on_event(event)

    def repeated(self, events: Iterable[Happened]) -> None:
        """What a function did once happens again."""
        for source, name, call, terms in events:
            self.recall(source, name, call, terms)

    def terms(
        self, name: str, rule: Rule, subject: Any, call: Call, path: str | None = None
    ) -> tuple[Term, ...] | None:
        """What a rule says of a call.

        Raises:
            RuleError: the rule fails; the message names it, where it was asked, and the sizes.
        """
        self._owners += 1  # reading a parametrized weight computes it
        try:
            return rule.terms(subject, call)
        except OpCountError:
            raise
        except Exception as error:
            where = (self.path if path is None else path) or "the top"
            sizes = ", ".join("x".join(map(str, spec.shape)) or "scalar" for spec in tensors((call.args, call.kwargs)))
            raise RuleError(
                f"the rule {rule.count.__name__} for {name} at {where} failed on {sizes or 'no tensors'}: "
                f"{type(error).__name__}: {error}"
            ) from error
        finally:
            self._owners -= 1
