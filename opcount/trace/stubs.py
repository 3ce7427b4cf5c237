"""What stands where a layer's forward is looked up in a run by shapes, and answers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from types import FunctionType
from typing import Any, Protocol

import torch
from torch import fx, nn
from torch.nn.modules import module as module_calls

from opcount.answers import ANSWERS, Answer, layer_answer
from opcount.answers.layers import given_back
from opcount.ops import Call, TensorSpec, Term, Tree
from opcount.rules import layer_rule
from opcount.rules.registry import LAYERS, class_rule
from opcount.trace import hooks
from opcount.trace.chains import Chained, Link, Links
from opcount.trace.describe import describe_call, described
from opcount.trace.following import Interpreted
from opcount.trace.likeness import looks, looks_plain
from opcount.trace.memory import MEMORY, Happened, Remembered
from opcount.trace.observer import Collector, Observer, transformed_eagerly
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import Blanks, NeedsValues
from opcount.trace.watching import CALLER_IDS, Watch


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
            self.collector.on_repeat(self._frames[-1].path if self._frames else "", events)
        else:
            super().repeated(events)


class Answering(Watch):
    """Answers where it can, else is the forward that it stands for.

    It sits inside all hooks and is told what they made of the arguments, so it does what our own hooks would do.
    """

    __slots__ = ()
    observer: ShapesObserver

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module would return."""
        if id(_frame(1).f_code) not in CALLER_IDS:
            return type(self.module).forward(self.module, *args, **kwargs)
        if not (_is_grad_enabled() or transformed_eagerly()):
            if _is_autocast_enabled():
                refuse_autocast()
            output = self.answered(args, kwargs)
            if output is not None:
                return output
        return self.run(args, kwargs)

    def answered(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the module would return, which the observer is told of; None where it has to run."""
        raise NotImplementedError


class Stub(Answering):
    """Answers for a layer."""

    __slots__ = ("answer",)

    def __init__(self, path: str, module: nn.Module, answer: Any, observer: ShapesObserver) -> None:
        super().__init__(path, module, observer)
        self.answer = answer

    def answered(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        known = self._known(args, kwargs)
        if known is None:
            return None
        self.observer.answered(self.path, type(self.module).__name__, known)
        return args[0] if self.answer is given_back else self.observer.blanks.tree(known.output)

    def _known(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Remembered | None:
        """The answer and its terms: remembered of a layer just like this one, or worked out."""
        given = describe_call(args, kwargs)
        like = None if kwargs else looks(self.module)
        key = None if like is None else (like, *given[0])
        try:
            known: Remembered | None = None if key is None else MEMORY.get(key)
        except TypeError:  # a list somewhere inside
            key = known = None
        if known is None:
            known = worked_out(self.observer, self.path, self.module, self.answer, *given)
            if known is not None and key is not None:
                MEMORY.put(key, known)
        return known


def worked_out(
    observer: Observer, path: str, layer: nn.Module, answer: Answer, args: tuple[Tree, ...], kwargs: dict[str, Tree]
) -> Remembered | None:
    """What a layer returns and costs; None where it had better run."""
    rule = layer_rule(layer)
    if rule is None:
        return None
    with torch._C.DisableTorchFunction():
        output = MEMORY.same(answer(layer, Call(args, kwargs, None, layer.training)))
    if output is None:
        return None
    call = Call(args, kwargs, output, layer.training)
    return Remembered(output, call, observer.terms(type(layer).__name__, rule, layer, call, path), rule.free)


class ChainStub(Answering):
    """Answers for all the layers of a chain, one after another, as long as nobody has looked at any of them."""

    __slots__ = ()

    def answered(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chain: Any = self.module._modules
        links = getattr(chain, "links", None)
        if links is None or len(args) != 1 or kwargs:
            return None
        if not called_as_usual() or type(self.module).forward is not _IN_A_ROW:
            return None  # the forward of the model has seen to it that each layer is called
        given = described(args[0])
        paths = chain.paths
        known = self._known(paths, links, given)
        if known is None:
            return None
        observer = self.observer
        for path, (kind, _, _, _), each in zip(paths, links, known):
            observer.answered(path, kind, each)
        output = known[-1].output
        observer.collector.leave(self.path, Call((given,), kwargs, output, self.module.training))
        return args[0] if all(answer is given_back for _, _, answer, _ in links) else observer.blanks(output)

    def _known(self, paths: list[str], links: tuple[Link, ...], spec: Tree) -> list[Remembered] | None:
        """The answers of all the layers and their terms, if each gives one tensor to the next."""
        found = []
        for path, (_, layer, answer, like) in zip(paths, links):
            if type(spec) is not TensorSpec or like[0].forward is not like[1]:
                return None
            key = like, spec
            known = MEMORY.get(key)
            if known is None:
                known = worked_out(self.observer, path, layer, answer, (spec,), {})
                if known is None:
                    return None
                MEMORY.put(key, known)
            found.append(known)
            spec = known.output
        return found if type(spec) is TensorSpec else None


def chain_finder() -> Chained:
    """What finds the chains of one model: the layers of a chain, if each of them may answer before it is copied."""
    answers = Answers()

    def links_of(module: nn.Module) -> tuple[Link, ...] | None:
        kind: Any = type(module)
        if kind.forward is not _IN_A_ROW or kind.__iter__ is not nn.Sequential.__iter__:
            return None
        own = module.__dict__
        if answers[kind] is not _RUNS or not own["_modules"] or "forward" in own or layer_rule(module) is not None:
            return None
        links = []
        for layer in own["_modules"].values():
            answer = None if layer is None else answers[type(layer)]
            like = None if answer is None or answer is _RUNS else looks_plain(layer)
            if like is None:
                return None
            links.append((type(layer).__name__, layer, answer, like))
        return tuple(links)

    return links_of


_IN_A_ROW = nn.Sequential.forward
_frame = sys._getframe
_is_grad_enabled = torch.is_grad_enabled
_is_autocast_enabled = torch._C._is_any_autocast_enabled


def stand(skeleton: Skeleton, observer: ShapesObserver, *, watched: bool) -> list[Watch]:
    """Stand where a module is called in PyTorch's own way; hooks on all modules at once would see too much.

    Args:
        watched: whether modules that nothing answers for are watched in this way as well, or hooked.
    """
    standing: list[Watch] = []
    if not called_as_usual():
        skeleton.unchain()
        hooks.attach(skeleton.modules, observer)
        return standing
    answers = Answers()

    def put(path: str, module: nn.Module) -> bool:
        """Stand at a module. Returns whether it is to be hooked, or its own hooks are to be looked at."""
        answer, own = answers[type(module)], module.__dict__
        if answer is None or "forward" in own or not (watched if answer is _RUNS else observer.layer_rules):
            return True
        if answer is not _RUNS:
            standing.append(Stub(path, module, answer, observer))
        elif type(own["_modules"]) is Links and own["_modules"].links is not None:
            own["_modules"].path = path
            standing.append(ChainStub(path, module, observer))
        else:
            standing.append(Watch(path, module, observer))
        return bool(own["_forward_pre_hooks"])

    def attend(places: list[tuple[str, nn.Module]]) -> None:
        hooks.attach([place for place in places if put(*place)], observer)

    attend(skeleton.modules)
    for chain in skeleton.copier.chains:
        chain.on_copy = lambda path, module: attend([(path, module)])
    return standing


_CALL, _CALL_IMPL = nn.Module.__call__, nn.Module._call_impl
_GLOBAL_HOOKS: tuple[Any, ...] = (
    *(module_calls._global_forward_pre_hooks, module_calls._global_forward_hooks),
    *(module_calls._global_backward_pre_hooks, module_calls._global_backward_hooks),
)


def called_as_usual() -> bool:
    """Whether modules are called in PyTorch's own way, and nobody looks on at the calls of all."""
    as_written = nn.Module.__call__ is _CALL and nn.Module._call_impl is _CALL_IMPL
    return as_written and not any(_GLOBAL_HOOKS)


_RUNS = object()


class Answers(dict[type, Any]):
    """What answers for modules of a class, as it is during one run; ``_RUNS`` where nothing does."""

    def __missing__(self, kind: Any) -> Any:
        self[kind] = found = None
        if not issubclass(kind, torch.jit.ScriptModule):
            known = len(ANSWERS) + len(LAYERS)
            self[kind] = found = _stub_answer(kind, kind.__call__, kind._call_impl, kind.forward, known)
        return found


@lru_cache(maxsize=4096)
def _stub_answer(kind: Any, call: Any, call_impl: Any, forward: Any, registered: int) -> Any:
    """What answers for modules of a class; ``_RUNS`` for those that nothing answers for, which are watched."""
    if call is not _CALL or call_impl is not _CALL_IMPL:
        return None
    answer = layer_answer(kind)
    if answer is not None and class_rule(kind, forward, len(LAYERS)) is not None:
        return answer
    follows_a_graph = issubclass(kind, (fx.GraphModule, Interpreted))
    return _RUNS if isinstance(forward, FunctionType) and not follows_a_graph else None


def refuse_autocast() -> None:
    """Autocast chooses types by device, which stand-ins do not have."""
    if _is_autocast_enabled():
        raise NeedsValues("autocast chooses types by the model's own device")
