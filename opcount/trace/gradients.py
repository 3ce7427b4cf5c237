"""Who owns what a backward pass does, by the numbers that autograd gives its nodes.

PyTorch numbers the nodes of its graph as the forward makes them. So it is enough to note the number at which a module's
forward began and went on, and those between which a layer or function with a rule ran: a node that runs in the backward
pass belongs to the forward that made it. No hook is put on any tensor.

What a rule owned in the forward is counted by the closed form of its gradient, if there is one, as soon as the first of
its nodes runs; anything else by the operators that its nodes run.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from opcount.ops import Call, Event, Phase, Source, TensorSpec, Term, Tree
from opcount.rules import gradient_rule
from opcount.rules.registry import Rule
from opcount.trace.describe import describe, described
from opcount.trace.observer import Collector, Frame, Observer

next_number: Callable[[], int] = getattr(torch.autograd, "_get_sequence_nr")  # noqa: B009 (private, in no stub)
"""The number that autograd will give the next node that this thread makes."""

_LEAF = 2**64 - 1
"""The number of every node that puts a gradient into its parameter."""


class InPhase:
    """Tells a collector what happens, as part of a phase."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.phase: Phase = "forward"

    def enter(self, path: str) -> None:
        """A module's forward begins."""
        if self.phase == "forward":
            self.collector.enter(path)

    def leave(self, path: str, call: Call | None) -> None:
        """A module's forward has ended; what a backward pass runs again is no call of the model's."""
        if self.phase == "forward":
            self.collector.leave(path, call)

    def on_event(self, event: Event) -> None:
        """Something was counted, found free, or is uncounted."""
        phase = self.phase
        if phase != "forward":
            terms = event.terms and tuple(term.in_phase(phase) for term in event.terms)
            event = event._replace(phase=phase, terms=terms)
        self.collector.on_event(event)


@dataclass(slots=True, eq=False)
class Accumulation:
    """The gradients of a value that was used more than once: how many additions they take, and who owns them."""

    owner: str
    shape: tuple[int, ...] | None
    left: int


@dataclass(slots=True, eq=False)
class Span:
    """What a rule owned in the forward, and the numbers of the nodes it made.

    Attributes:
        begin, end: the first number, and the one after the last.
        rule: the closed form of its gradient.
        repeated: elements of the tensors it was given more than once, each further time.
        told: whether its gradient was counted.
        outputs: for each tensor that was returned the node that takes its gradient, and the place there.
        accumulations: those that a gradient of this one may be added in.
    """

    begin: int
    end: int
    path: str
    source: Source
    name: str
    subject: Any
    call: Call
    rule: Rule
    repeated: int = 0
    told: bool = False
    outputs: list[tuple[Any, int]] = field(default_factory=list)
    accumulations: list[Accumulation] = field(default_factory=list)


class GradientObserver(Observer):
    """An observer that remembers which nodes of autograd's graph belong to what.

    Args:
        collector: what is told.
        parameters: the path of the module that holds each parameter, by the parameter's id.
        layer_rules: whether layers are counted by their own rules; without, by what they call.
        closed_forms: whether gradients are counted by closed forms; without, by the operators that are run.
    """

    def __init__(
        self,
        collector: Collector,
        parameters: dict[int, str],
        *,
        layer_rules: bool = True,
        closed_forms: bool = True,
    ) -> None:
        self.phased = InPhase(collector)
        super().__init__(self.phased, layer_rules=layer_rules)
        self.closed_forms = closed_forms
        self._parameters = parameters
        self._turns: list[int] = []
        self._paths: list[str] = []
        self._begins: list[int] = []
        self._spans: list[Span] = []
        self._running = ""

    @property
    def path(self) -> str:
        """The module in whose forward we are, or whose gradient is being worked out."""
        return self._frames[-1].path if self._frames else self._running

    @property
    def propagating(self) -> bool:
        """Whether a node of the graph runs, and not a forward that is run again for it."""
        return self.phased.phase == "backward" and not self._frames and not torch.is_grad_enabled()

    def enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        """A module's forward begins."""
        super().enter(path, module, args, kwargs)
        self._frames[-1].mark = next_number(), repeated(args, kwargs)
        self._turn()

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """A module's forward has ended."""
        frame = next((each for each in reversed(self._frames) if each.module is module), None)
        raised = sys.exc_info()[1]
        super().leave(module, args, kwargs, output)
        self._turn()
        if frame is not None and frame.rule is not None and (raised is None or raised is frame.exception):
            begin, again = frame.mark
            call = Call(*frame.inputs, described(output), module.training, grad=True)
            self.made(begin, "layer", type(module).__name__, module, call, again, output, path=frame.path)

    def made(
        self,
        begin: int,
        source: Source,
        name: str,
        subject: Any,
        call: Call,
        again: int,
        output: Any = None,
        path: str | None = None,
    ) -> None:
        """A rule owned the nodes from a number on: remember the closed form of their gradient, if there is one."""
        end = next_number()
        wanted = begin < end and (self.closed_forms or source == "operator")
        rule = gradient_rule(subject) if wanted else None
        if rule is not None:
            owner = self.path if path is None else path
            self._begins.append(begin)
            span = Span(begin, end, owner, source, name, subject, call, rule, again)
            span.outputs.extend((tensor.grad_fn, tensor.output_nr) for tensor in _tensors(output))
            self._spans.append(span)

    def _stopped(self, frame: Frame, raised: BaseException) -> bool:
        """Checkpointing runs a forward again until it has what the backward needs; a layer's input is there at once."""
        return type(raised).__name__ == "_StopRecomputationError" and not frame.module._modules

    def recall(self, source: Source, name: str, call: Call, terms: tuple[Term, ...] | None) -> None:
        """Something happened whose terms are known already."""
        self.collector.on_event(Event(source, name, self.path, call, terms))

    def runs(self, node: Any, operator: Any, args: tuple[Any, ...]) -> bool:
        """A node runs an operator. Returns whether a closed form counts it."""
        number = _LEAF if node is None else node._sequence_nr()
        if number == _LEAF:
            variable = getattr(node, "variable", None)
            self._running = self._parameters.get(id(variable), "")
            return False
        span = self.span_of(number)
        if span is None:
            self._running = self.path_of(number)
            return False
        self._running = span.path
        if not span.told:
            span.told = True
            self._tell(span)
        if operator in _ADDITIONS:
            self._accumulate(span, args)
        return True

    def _tell(self, span: Span) -> None:
        """What the gradient of a span costs, and the sum of those of a tensor that it was given more than once."""
        terms = self.terms(span.name, span.rule, span.subject, span.call, span.path)
        self.collector.on_event(Event(span.source, span.name, span.path, span.call, terms))
        if span.repeated:
            term = Term("addition", role="repeated argument", dtype=span.call.dtype, count=span.repeated)
            self.collector.on_event(Event("gradient", "accumulation", span.path, span.call, (term,)))

    def _accumulate(self, span: Span, args: tuple[Any, ...]) -> None:
        """The gradient of a span was added to one from elsewhere, if there is a value that both used."""
        added = describe(args[:2])
        sizes = {spec.shape for spec in added if isinstance(spec, TensorSpec)}
        for awaited in span.accumulations:
            if awaited.left and (awaited.shape is None or {awaited.shape} == sizes):
                awaited.left -= 1
                call = Call(added, {}, added[0])
                terms = (Term("addition", role="uses", dtype=call.dtype, count=call.out.elements),)
                self.collector.on_event(Event("gradient", "accumulation", awaited.owner, call, terms))
                return

    def span_of(self, number: int) -> Span | None:
        """The span that made a node."""
        place = bisect_right(self._begins, number) - 1
        span = self._spans[place] if place >= 0 else None
        return span if span is not None and number < span.end else None

    def path_of(self, number: int) -> str:
        """The module in whose forward a node was made."""
        place = bisect_right(self._turns, number) - 1
        return self._paths[place] if place >= 0 else ""

    def _turn(self) -> None:
        self._turns.append(next_number())
        self._paths.append(self._frames[-1].path if self._frames else self._running)

    def await_sums(self, roots: Iterable[torch.Tensor]) -> None:
        """Find the values that were used more than once, whose gradients will be added up.

        What a rule owned may return several values, of which some are used: its closed form is told which. How it adds
        the gradient of one to what it made of that itself is its own affair.
        """
        uses = _uses(roots)
        for span in self._spans:
            if len(span.outputs) > 1:
                used = [any(self._user(number) is not span for number in uses.get(each, ())) for each in span.outputs]
                span.call = _told_used(span.call, used)
        for (node, place), users in uses.items():
            maker = self._user(node._sequence_nr())
            spans = {id(span): span for span in map(self._user, users) if span is not None and span is not maker}
            others = sum(self._user(number) is None for number in users)
            if not spans or len(spans) + others < 2:
                continue
            owner = _above(self.path_of(number) for number in users if number is not None)
            sums = Accumulation(owner, _shape_of(node, place), len(spans) + others - 1)
            for span in spans.values():
                span.accumulations.append(sums)

    def _user(self, number: int | None) -> Span | None:
        return None if number is None else self.span_of(number)


def _told_used(call: Call, used: list[bool]) -> Call:
    """A call whose output says of each tensor whether it has a gradient."""
    remaining = iter(used)

    def told(tree: Tree) -> Tree:
        if isinstance(tree, TensorSpec):
            return replace(tree, needs_grad=next(remaining, True) and tree.needs_grad)
        if isinstance(tree, tuple):
            return tuple(told(item) for item in tree)
        return {name: told(item) for name, item in tree.items()} if isinstance(tree, dict) else tree

    return call._replace(output=told(call.output))


_ADDITIONS = frozenset((torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor))


def _uses(roots: Iterable[torch.Tensor]) -> dict[tuple[Any, int], list[int | None]]:
    """For each value the numbers of the nodes that its gradient comes from; None for one that comes from outside."""
    uses: dict[tuple[Any, int], list[int | None]] = {}
    pending: list[Any] = []
    for root in roots:
        if root.grad_fn is not None:
            uses.setdefault((root.grad_fn, root.output_nr), []).append(None)
            pending.append(root.grad_fn)
    seen = set(pending)
    while pending:
        node = pending.pop()
        for after, place in node.next_functions:
            if after is not None:
                uses.setdefault((after, place), []).append(node._sequence_nr())
                if after not in seen:
                    seen.add(after)
                    pending.append(after)
    return uses


def _shape_of(node: Any, place: int) -> tuple[int, ...] | None:
    """The shape of a gradient that a node takes; None if it does not say."""
    variable = getattr(node, "variable", None)
    if variable is not None:
        return tuple(variable.shape)
    try:
        return tuple(node._input_metadata[place].shape)
    except (AttributeError, IndexError, RuntimeError, TypeError):
        return None


def _above(paths: Iterable[str]) -> str:
    """The innermost module that all of these are in, or are.

    >>> _above(["layer1.0.conv1", "layer1.0.bn1"]), _above(["fc", "fc"]), _above(["a", "b"])
    ('layer1.0', 'fc', '')
    """
    split = [path.split(".") if path else [] for path in paths]
    common: list[str] = []
    for parts in zip(*split):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return ".".join(common)


def repeated(*values: Any) -> int:
    """Elements of the tensors that are given more than once and need a gradient, each further time."""
    found: Counter[int] = Counter()
    sizes: dict[int, int] = {}
    for tensor in _tensors(values):
        if tensor.requires_grad:
            found[id(tensor)] += 1
            sizes[id(tensor)] = tensor.numel()
    return sum((times - 1) * sizes[key] for key, times in found.items() if times > 1)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
