"""Running a clone by shapes alone: layers, functions and operators answer with what they would return.

The clone's tensors are stand-ins on the meta device. Known layers answer instead of running, and so do operators, from
their answers or from what was remembered of the same signature. Views are taken for real (on meta that costs next to
nothing); what nobody answers for runs on meta once. A tensor that the forward makes from Python numbers keeps its
values. Where a forward needs values that are not there, PyTorch raises, and the model has to be run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload
from torch.overrides import resolve_name

from opcount.answers import ANSWERS, layer_answer
from opcount.errors import OpCountError
from opcount.ops import Call, Execution, TensorSpec, Term, Tree
from opcount.rules import Rule, function_rule, operator_name, operator_rule
from opcount.rules.registry import FUNCTIONS, LAYERS, OPERATORS
from opcount.trace import hooks
from opcount.trace.describe import KEPT, describe, keep_spec, spec_of
from opcount.trace.functions import FunctionObserver
from opcount.trace.guard import process_state_kept
from opcount.trace.memory import MEMORY, Remembered
from opcount.trace.observer import Collector, Observer
from opcount.trace.operators import OperatorObserver
from opcount.trace.run import explained
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import META, NeedsValues

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def run_shapes(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    collector: Collector,
    *,
    layer_rules: bool = True,
) -> Execution:
    """Call the clone once on shapes and tell the collector what would have happened.

    Raises:
        ForwardError: the forward raised, on shapes that do not fit as well as on values that are not there.
        NeedsValues: a tensor has no stand-in, or autocast is on.
    """
    observer = Observer(collector, layer_rules=layer_rules)
    modules = skeleton.modules
    if layer_rules:
        for _, module in modules:
            _stub(module, observer)
    hooks.attach(modules, observer)
    begin = time.perf_counter()
    with (
        process_state_kept(),
        torch.inference_mode(False),
        torch.no_grad(),
        FunctionAnswerer(observer),
        OperatorAnswerer(observer),
    ):
        _refuse_autocast()
        try:
            skeleton.model(*args, **kwargs)
        except OpCountError:
            raise
        except Exception as error:
            raise explained(error, observer, skeleton.model) from error
    return Execution("shapes", seconds=time.perf_counter() - begin)


class Stub:
    """Stands where a layer's forward is looked up: answers where it can, else it is that forward."""

    __slots__ = ("answer", "module", "observer")
    stands_for_own_forward = True

    def __init__(self, module: nn.Module, answer: Any, observer: Observer) -> None:
        self.module, self.answer, self.observer = module, answer, observer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer would return."""
        frame = self.observer.frame
        if frame is not None and frame.module is self.module and frame.known is not None:
            answered = frame.answered = self._answered(frame.known, *frame.inputs)
            if answered is not None:
                with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                    return made(answered.output)
        return type(self.module).forward(self.module, *args, **kwargs)

    def _answered(self, rule: Rule, args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> Remembered | None:
        """The answer and its terms: remembered of a layer just like this one, or worked out."""
        _refuse_autocast()
        module = self.module
        looks = None if kwargs else _looks(module)
        key = None if looks is None else (args, *looks)
        known = None if key is None else MEMORY.get(key)
        if known is not None:
            return known
        with torch._C.DisableTorchFunction():
            output = self.answer(module, Call(args, kwargs, None, module.training))
        if output is None:
            return None
        call = Call(args, kwargs, output, module.training)
        terms = self.observer.terms(type(module).__name__, rule, module, call)
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
        reader = _READERS[names] = itemgetter("training", "training", *public)
    values = reader(own)
    if not _PLAIN.issuperset(map(type, values)):
        return None
    parameters, buffers = own["_parameters"], own["_buffers"]
    seen = parameters.looks if parameters else (), buffers.looks if buffers else ()
    return None if None in seen else (type(module), len(LAYERS), values, *seen)


def _stub(module: nn.Module, observer: Observer) -> None:
    answer = layer_answer(type(module))
    if answer is not None and "forward" not in module.__dict__:
        module.__dict__["forward"] = Stub(module, answer, observer)


def _refuse_autocast() -> None:
    """Autocast chooses types by device, which stand-ins do not have."""
    if torch._C._is_any_autocast_enabled():
        raise NeedsValues("autocast chooses types by the model's own device")


_DTYPES: dict[str, torch.dtype] = {}


def made(tree: Tree) -> Any:
    """New tensors on meta for specs; everything else as it is."""
    if type(tree) is TensorSpec:
        dtype = _DTYPES.get(tree.dtype) or _DTYPES.setdefault(tree.dtype, getattr(torch, tree.dtype))
        tensor = torch.empty(tree.shape, dtype=dtype, device=META)
        keep_spec(tensor, tree)
        return tensor
    if isinstance(tree, tuple):
        return tuple(made(item) for item in tree)
    return tree


class FunctionAnswerer(FunctionObserver):
    """Functions with a rule and an answer need not be taken apart: they answer from their signature."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer)
        self.base = _base()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.observer.owned or func not in _ANSWERING:
            return super().__torch_function__(func, types, args, kwargs)
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            known = self._known(func, args, kwargs)
            if known is not None:
                self.observer.recall("function", resolve_name(func) or func.__name__, known.call, known.terms)
                with torch._C._DisableTorchDispatch():
                    return made(known.output)
        return super().__torch_function__(func, types, args, kwargs)

    def _known(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Remembered | None:
        parts: list[Any] = [func, self.base]
        met = _sign(args, parts)
        parts.extend(kwargs)
        met |= _sign(tuple(kwargs.values()), parts)
        key, rule = tuple(parts), function_rule(func)
        known = MEMORY.get(key)
        if known is not None or met == _REAL or rule is None:
            return known
        call = Call(describe(args), describe(kwargs), None)
        output = ANSWERS[func](func, call)
        if output is None:
            return None
        call = Call(call.args, call.kwargs, output)
        terms = self.observer.terms(func.__name__, rule, func, call)
        known = Remembered(output, call, terms, rule.free)
        MEMORY.put(key, known)
        return known


_ANSWERING = frozenset(subject for subject in ANSWERS if callable(subject) and not isinstance(subject, type))


def _base() -> int:
    """What else an outcome may depend on, the same for a whole run."""
    return hash((torch.get_default_dtype(), len(OPERATORS), len(FUNCTIONS), len(LAYERS), len(ANSWERS)))


class OperatorAnswerer(OperatorObserver):  # type: ignore[no-untyped-call]
    """Operators answer from their signature."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer)
        self.registered = len(OPERATORS), len(FUNCTIONS), len(LAYERS), len(ANSWERS)
        self.base = _base()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        plan = plan_of(func, self.registered)
        if plan.decomposed:
            with self:
                return func.decompose(*args, **kwargs)
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
        if met == _REAL:  # made of Python numbers: their values are known, and may be asked for
            return super().__torch_dispatch__(func, (), args, _without_device(kwargs))
        if plan.native:
            return self._native(plan, func, _on_meta(args), _on_meta(kwargs))
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
        return output

    def _work_out(self, plan: Plan, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Remembered:
        call = Call(describe(args), describe(kwargs), None)
        output = plan.answer(func, call) if plan.answer is not None else None
        if output is None:
            if "device" in kwargs:
                kwargs = {**kwargs, "device": META}
            output = describe(func(*_on_meta(args, fresh=plan.in_place), **_on_meta(kwargs)))
        call = Call(call.args, call.kwargs, output)
        terms: tuple[Term, ...] | None = ()
        if not plan.free:
            terms = None if plan.rule is None else self.observer.terms(plan.name, plan.rule, func, call)
        return Remembered(output, call, terms, plan.free)


@lru_cache(maxsize=4096)
def plan_of(operator: Any, registered: tuple[int, ...]) -> Plan:
    """What is to be done about an operator; anew when rules or answers were added."""
    return Plan(operator)


class Plan:
    """What is to be done about an operator, whatever it is called with.

    Attributes:
        decomposed: it is made of others, which have rules.
        native: it is done on meta each time: a view, a factory, or something that returns no tensors.
        in_place: it returns its first argument, changed in value but not in shape.
        changes_shape: it changes the shape of its first argument.
    """

    def __init__(self, operator: OpOverload) -> None:
        self.name = operator_name(operator)
        self.rule = operator_rule(operator)
        self.free = self.rule is not None and self.rule.free
        self.answer = ANSWERS.get(self.name)
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


def _on_meta(value: Any, *, fresh: bool = False) -> Any:
    """Real tensors as tensors on meta; ``fresh``: all of them new, so that none is written to."""
    if isinstance(value, torch.Tensor):
        if value.is_meta and not fresh:
            return value
        return torch.empty_strided(tuple(value.shape), value.stride(), dtype=value.dtype, device=META)
    if isinstance(value, (tuple, list)):
        return type(value)(_on_meta(item, fresh=fresh) for item in value)
    if isinstance(value, dict):
        return {name: _on_meta(item, fresh=fresh) for name, item in value.items()}
    return value


def _without_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != "device"}
