"""Counting one model: by shapes alone, or by running it where that is not enough."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from torch import nn

from opcount.census import census_of
from opcount.errors import InputError
from opcount.graphs.onnx.counting import count_onnx, is_onnx, proto_of
from opcount.graphs.signature import bind
from opcount.graphs.subject import Program, program_of
from opcount.inputs import call_arguments
from opcount.ledger import Ledger
from opcount.ops import Convention, Execution, tensors
from opcount.result import Profile, Shapes
from opcount.trace.describe import describe
from opcount.trace.guard import garbage_kept, is_compiler_loaded
from opcount.trace.remarks import remarks
from opcount.trace.run import run_real
from opcount.trace.shapes import run_shapes
from opcount.trace.skeleton import Skeleton, clone, cloned
from opcount.trace.stubs import chain_finder
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
    chained = chain_finder() if vacant is not None and how["layer_rules"] else None
    ledger, skeleton = Ledger(convention), clone(model, shapes_only=True, vacant=vacant, chained=chained)
    shapes = shapes_of(args, keywords)
    execution = run_shapes(skeleton, args, keywords, ledger, **how)
    found = profile_of(model, skeleton, ledger, shapes, convention, execution)
    skeleton.settle()
    return found


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
    census = census_of(skeleton)
    records = cache(lambda: ledger.records(census.facts()))
    said = () if skeleton.ordinary else remarks(model, records())
    return Profile.folded_later(
        records,
        ops=ledger.total({*census.paths, *census.traced}),
        params=sum(census.params),
        model=census.facts()[0].type if census.traced else type(skeleton.model).__name__,
        inputs=inputs,
        convention=convention,
        execution_record=replace(execution, remarks=said) if said else execution,
    )


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
