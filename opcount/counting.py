"""Counting one model: by shapes alone, or by running it where that is not enough."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from torch import fx, nn
from torch.nn.parameter import is_lazy

from opcount.errors import InputError
from opcount.graphs.onnx.counting import count_onnx, is_onnx, proto_of
from opcount.graphs.ordering import in_order
from opcount.graphs.signature import bind
from opcount.graphs.subject import Program, program_of
from opcount.inputs import call_arguments
from opcount.ledger import Ledger, ModuleFacts
from opcount.ops import Convention, Execution, tensors
from opcount.result import Profile, Shapes
from opcount.trace.describe import describe
from opcount.trace.following import bases_of, keeps_stacks, traced_places
from opcount.trace.guard import garbage_kept, is_compiler_loaded
from opcount.trace.remarks import remarks
from opcount.trace.run import run_real
from opcount.trace.shapes import run_shapes
from opcount.trace.skeleton import Skeleton, clone, cloned
from opcount.trace.standins import StandIns
from opcount.trace.trying import shapes_or_real, values_if_asked_for
from opcount.trace.vacancy import Vacant


def count(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    convention: Convention,
    *,
    execution: str = "auto",
    layer_rules: bool = True,
) -> Profile:
    """What ``opcount.profile`` returns, with layers counted by their own rules or by what they call.

    Raises:
        OpCountError: as for ``opcount.profile``.
    """
    if is_onnx(model):
        _check_graph(execution, layer_rules)
        return count_onnx(proto_of(model), inputs, kwargs, convention)
    program = program_of(model)
    if program is not None:
        return _count_program(program, inputs, kwargs, convention, execution, layer_rules)
    checked(model, execution, convention)

    def by_shapes(constants: bool) -> Profile:
        return _by_shapes(model, inputs, kwargs, convention, layer_rules, constants=constants)

    return shapes_or_real(
        execution,
        lambda: _uncompiled(lambda: values_if_asked_for(by_shapes)),
        lambda reason: _uncompiled(lambda: _by_running(model, inputs, kwargs, convention, layer_rules, reason)),
    )


def _uncompiled(run: Callable[[], Profile]) -> Profile:
    """What a run returns; anew if it failed while the compiler was first imported, which then was not held back."""
    before = is_compiler_loaded()
    try:
        return run()
    except Exception:
        if before or not is_compiler_loaded():
            raise
    return run()


def _count_program(
    program: Program,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    convention: Convention,
    execution: str,
    layer_rules: bool,
) -> Profile:
    if not program.has_values:
        _check_graph(execution, layer_rules)
    bound = bind(program.inputs, inputs, kwargs)
    if program.has_values:
        return count(program.module, bound, None, convention, execution=execution, layer_rules=layer_rules)
    return _by_shapes(program.module, bound, None, convention, layer_rules, undecided=True)


def _check_graph(execution: str, layer_rules: bool) -> None:
    if not layer_rules:
        raise InputError("a graph has no layers, only operators: there is no second way to count it")
    if execution == "real":
        raise InputError("the graph in a file has no values to run with: count it by shapes, or the model itself")


def _by_shapes(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    convention: Convention,
    layer_rules: bool,
    *,
    constants: bool = False,
    undecided: bool = False,
) -> Profile:
    how = {"layer_rules": layer_rules, "constants": constants, "undecided": undecided}
    with garbage_kept():
        vacant = Vacant()
        try:
            found = _without_values(model, inputs, kwargs, convention, vacant, **how)
        except Exception:
            if not vacant.occupied:
                raise
        else:
            if not vacant.occupied:
                return found
        return _without_values(model, inputs, kwargs, convention, None, **how)  # its forward registers hooks


def _without_values(
    model: nn.Module, inputs: Any, kwargs: Any, convention: Convention, vacant: Vacant | None, **how: bool
) -> Profile:
    args, keywords = call_arguments(model, inputs, kwargs, shapes_only=True, whole_numbers=how["constants"])
    ledger, skeleton = Ledger(convention), clone(model, shapes_only=True, vacant=vacant)
    shapes = shapes_of(args, keywords)
    execution = run_shapes(skeleton, args, keywords, ledger, **how)
    skeleton.settle()
    return profile_of(model, skeleton, ledger, shapes, convention, execution)


def _by_running(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    convention: Convention,
    layer_rules: bool,
    reason: str,
) -> Profile:
    args, keywords = call_arguments(model, inputs, kwargs)
    ledger, skeleton = Ledger(convention), cloned(model)
    shapes = shapes_of(args, keywords)
    execution = run_real(skeleton, args, keywords, ledger, layer_rules=layer_rules)
    return profile_of(model, skeleton, ledger, shapes, convention, replace(execution, reason=reason))


def shapes_of(args: Any, keywords: Any) -> Shapes:
    """The shapes of the tensors of a call."""
    return tuple(spec.shape for spec in tensors(describe((args, keywords))))


def profile_of(
    model: nn.Module,
    skeleton: Skeleton,
    ledger: Ledger,
    inputs: Shapes,
    convention: Convention,
    execution: Execution,
) -> Profile:
    """What a ledger holds, as the profile of the model that a clone is of."""
    facts = _with_traced(list(_facts(skeleton)), skeleton)
    _told_apart(facts)
    records = cache(lambda: ledger.records(facts))
    said = () if skeleton.ordinary else remarks(model, records())
    return Profile.folded_later(
        records,
        ops=ledger.total(facts),
        params=sum(fact.params for fact in facts),
        model=facts[0].type if facts and not facts[0].path else type(skeleton.model).__name__,
        inputs=inputs,
        convention=convention,
        execution_record=replace(execution, remarks=said) if said else execution,
    )


def _told_apart(facts: list[ModuleFacts]) -> None:
    """Refuse two modules of one path, each of which would be told of as both.

    Raises:
        InputError: there are two.
    """
    if len({fact.path for fact in facts}) < len(facts):
        ((path, times),) = Counter([fact.path for fact in facts]).most_common(1)
        raise InputError(
            f"{times} modules are both {path!r}: a name with a dot in it was written past add_module, which "
            "refuses that; give it another"
        )


def _with_traced(facts: list[ModuleFacts], skeleton: Skeleton) -> list[ModuleFacts]:
    """The facts with those of modules that graphs were traced in; a graph's own holders of parameters are no more."""
    traced: dict[str, str] = {}
    for path, module in skeleton.modules:
        if isinstance(module, fx.GraphModule) and keeps_stacks(module) and not (path and "" in traced):
            traced.update(traced_places(module, path))
    if not traced:
        return facts
    known = {fact.path: fact for fact in facts}
    for path, kind in traced.items():
        fact = known.get(path, ModuleFacts(path, "", ()))
        if fact.type in ("", "Module", "GraphModule") or not path:
            known[path] = fact._replace(type=kind.rpartition(".")[2], bases=bases_of(kind))
    return [known[path] for path in in_order(known, [*traced, *known])]


def checked(model: object, execution: str, convention: object) -> None:
    """Refuse what cannot be counted, or not in that way.

    Raises:
        InputError: it is no module, or there is no such way or convention.
    """
    if execution not in ("auto", "shapes", "real"):
        raise InputError(f"execution is 'auto', 'shapes' or 'real', not {execution!r}")
    if not isinstance(convention, Convention):
        raise InputError(f"convention is a Convention, as in Convention(bias=False), not {convention!r}")
    if not isinstance(model, nn.Module):
        hint = f"; make one first: {model.__name__}(...)" if isinstance(model, type) else ""
        raise InputError(f"profile() takes an nn.Module, not {type(model).__name__} {reprlib.repr(model)}{hint}")


def _facts(skeleton: Skeleton) -> Iterator[ModuleFacts]:
    """Each module once, under its first path, with its own parameters counted where they are first met."""
    others: dict[int, list[str]] = {}
    firsts = []
    for path, module in skeleton.modules:
        known = others.get(id(module))
        if known is None:
            firsts.append((path, module, others.setdefault(id(module), [])))
        else:
            known.append(path)
    counted: set[int] = set()
    for path, module, aliases in firsts:
        params = 0
        table = module.__dict__.get("_parameters")
        if table:
            for parameter in _parameters(table):
                if parameter is not None and id(parameter) not in counted and not is_lazy(parameter):
                    counted.add(id(parameter))
                    params += parameter.numel()
        kind: Any = type(module)
        yield ModuleFacts(path, kind.__name__, _bases(kind), tuple(aliases), params)


def _parameters(table: dict[str, Any]) -> list[Any]:
    return table.peeked() if isinstance(table, StandIns) else list(table.values())


@lru_cache(maxsize=4096)
def _bases(kind: Any) -> tuple[str, ...]:
    return tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__ if base is not object)
