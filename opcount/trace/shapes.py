"""Running a clone by shapes alone: layers, functions and operators answer with what they would return.

The clone's tensors are stand-ins on the meta device. Known layers answer instead of running, and so do operators, from
their answers or from what was remembered of the same signature. Views are taken for real (on meta that costs next to
nothing); what nobody answers for runs on meta once. A tensor that the forward makes from Python numbers keeps its
values. Where a forward needs values that are not there, PyTorch raises, and the model has to be run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from types import CodeType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as module_calls

from opcount.answers import ANSWERS, layer_answer
from opcount.ops import Call, Execution, Tree
from opcount.rules import Rule, layer_rule
from opcount.rules.registry import LAYERS
from opcount.trace import hooks
from opcount.trace.answering import OperatorAnswerer
from opcount.trace.describe import describe_call
from opcount.trace.guard import nothing_compiled, process_state_kept
from opcount.trace.memory import MEMORY, Remembered
from opcount.trace.observer import Collector, Observer, transformed
from opcount.trace.recalling import FunctionAnswerer
from opcount.trace.run import call
from opcount.trace.sight import Observing
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import NeedsValues, made


def run_shapes(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    collector: Collector,
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
    observer = Observer(collector, layer_rules=layer_rules, undecided=undecided)
    modules = skeleton.modules
    if layer_rules:
        _stub(modules, observer)
    hooks.attach(modules, observer)
    begin = time.perf_counter()
    with (
        process_state_kept(lambda: observer.drew),
        nothing_compiled(),
        torch.inference_mode(False),
        torch.no_grad(),
        FunctionAnswerer(observer),
        OperatorAnswerer(observer, constants=constants),
    ):
        _refuse_autocast()
        call(skeleton.model, args, kwargs, observer)
    return Execution("shapes", seconds=time.perf_counter() - begin)


_CALL, _CALL_IMPL = nn.Module.__call__, nn.Module._call_impl
_CALLERS = frozenset(
    (
        *(_CALL_IMPL.__code__, nn.Module._slow_forward.__code__),
        *(code for code in _CALL_IMPL.__code__.co_consts if isinstance(code, CodeType)),
    )
)
"""What runs a layer's forward when the layer is called, between the hooks that it has."""


class Stub(Observing):
    """Stands where a layer's forward is looked up: answers where it can, else it is that forward.

    It sits inside all hooks and is told what they made of the arguments, so it does what our own hooks would do. Only
    a call of the layer counts as one, not a call of its ``forward`` by somebody else.
    """

    __slots__ = ("answer", "module", "observer", "path")
    stands_for_own_forward = True

    def __init__(self, path: str, module: nn.Module, answer: Any, observer: Observer) -> None:
        self.path, self.module, self.answer, self.observer = path, module, answer, observer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer would return."""
        module = self.module
        if sys._getframe(1).f_code not in _CALLERS:
            return type(module).forward(module, *args, **kwargs)
        rule = layer_rule(module)
        if rule is not None and not torch.is_grad_enabled() and not transformed():
            known = self._known(rule, *describe_call(args, kwargs))
            if known is not None:
                self.observer.answered(self.path, type(module).__name__, known)
                with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                    return made(known.output)
        return self._run(module, args, kwargs)

    def _run(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.observer.enter(self.path, module, args, kwargs)
        output = None
        try:
            output = type(module).forward(module, *args, **kwargs)
        except Exception:
            self.observer.leave(module, args, kwargs, None)
            raise
        self.observer.leave(module, args, kwargs, output)
        return output

    def _known(self, rule: Rule, args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> Remembered | None:
        """The answer and its terms: remembered of a layer just like this one, or worked out."""
        if torch._C._is_any_autocast_enabled():
            _refuse_autocast()
        module = self.module
        looks = None if kwargs else _looks(module)
        key = None if looks is None else (args, *looks)
        known: Remembered | None = None if key is None else MEMORY.get(key)
        if known is not None:
            return known
        with torch._C.DisableTorchFunction():
            output = MEMORY.same(self.answer(module, Call(args, kwargs, None, module.training)))
        if output is None:
            return None
        call = Call(args, kwargs, output, module.training)
        terms = self.observer.terms(type(module).__name__, rule, module, call, self.path)
        known = Remembered(output, call, terms, rule.free)
        if key is not None:
            MEMORY.put(key, known)
        return known


_PLAIN = frozenset({type(None), bool, int, float, str, tuple})
_READERS: dict[tuple[Any, ...], Callable[[dict[str, Any]], Any]] = {}


def _looks(module: nn.Module) -> tuple[Any, ...] | None:
    """All that an answer and a rule can read of a layer without children: attributes, shapes and types of tensors.

    None if it has children, or attributes of other than plain types.
    """
    own = module.__dict__
    if own["_modules"]:
        return None
    names = tuple(own)
    reader = _READERS.get(names)
    if reader is None:
        public = [name for name in names if name[0] != "_" and name != "forward"]
        reader = itemgetter("training", "training", *public)
        if len(_READERS) < 4096:
            _READERS[names] = reader
    values = reader(own)
    if not _PLAIN.issuperset(map(type, values)):
        return None
    parameters, buffers = own["_parameters"], own["_buffers"]
    seen = parameters.looks if parameters else (), buffers.looks if buffers else ()
    return None if None in seen else (type(module), len(LAYERS), values, *seen)


def _stub(modules: Iterable[tuple[str, nn.Module]], observer: Observer) -> None:
    """Put stubs where a layer is called in PyTorch's own way; hooks on all modules at once would see too much."""
    if nn.Module.__call__ is not _CALL or nn.Module._call_impl is not _CALL_IMPL or any(map(len, _GLOBAL_HOOKS)):
        return
    for path, module in modules:
        kind: Any = type(module)
        answer = _stub_answer(kind, kind.__call__, kind._call_impl, len(ANSWERS) + len(LAYERS))
        if answer is not None and "forward" not in module.__dict__:
            module.__dict__["forward"] = Stub(path, module, answer, observer)


_GLOBAL_HOOKS: tuple[Any, ...] = (
    *(module_calls._global_forward_pre_hooks, module_calls._global_forward_hooks),
    *(module_calls._global_backward_pre_hooks, module_calls._global_backward_hooks),
)


@lru_cache(maxsize=4096)
def _stub_answer(kind: Any, call: Any, call_impl: Any, registered: int) -> Any:
    return layer_answer(kind) if call is _CALL and call_impl is _CALL_IMPL else None


def _refuse_autocast() -> None:
    """Autocast chooses types by device, which stand-ins do not have."""
    if torch._C._is_any_autocast_enabled():
        raise NeedsValues("autocast chooses types by the model's own device")
