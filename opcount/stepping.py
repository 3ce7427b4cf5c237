"""Counting one training step: the forward, the backward pass, and the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn, optim

from opcount.counting import checked, profile_of, shapes_of
from opcount.errors import InputError
from opcount.inputs import call_arguments
from opcount.ledger import Ledger
from opcount.ops import Call, Convention, Event
from opcount.result import Profile
from opcount.rules.optimizer import by_name, step_term
from opcount.trace.backward import run_backward
from opcount.trace.describe import spec_of
from opcount.trace.guard import garbage_kept
from opcount.trace.remarks import unwrapped_modules
from opcount.trace.skeleton import Skeleton, clone, cloned
from opcount.trace.trying import shapes_or_real, values_if_asked_for

Optimizer = str | optim.Optimizer


def count_step(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    convention: Convention,
    *,
    execution: str = "auto",
    loss: Callable[[Any], Any] | None = None,
    optimizer: Optimizer | Steps | None = None,
    layer_rules: bool = True,
    closed_forms: bool = True,
) -> Profile:
    """What ``opcount.profile`` returns with ``backward=True``.

    Args:
        closed_forms: whether gradients are counted by closed forms; without, by the operators that are run.

    Raises:
        OpCountError: as for ``opcount.profile``.
    """
    checked(model, execution, convention)
    _check_loss(loss)
    steps = optimizer if isinstance(optimizer, Steps) or optimizer is None else Steps(model, optimizer)

    def run(shapes_only: bool, reason: str, constants: bool = False) -> Profile:
        args, keywords = call_arguments(model, inputs, kwargs, shapes_only=shapes_only, whole_numbers=constants)
        skeleton = clone(model, shapes_only=True) if shapes_only else cloned(model)
        ledger, shapes = Ledger(convention), shapes_of(args, keywords)
        rules = {"layer_rules": layer_rules, "closed_forms": closed_forms, "constants": constants}
        done = run_backward(skeleton, args, keywords, ledger, loss=loss, shapes_only=shapes_only, **rules)
        for event in steps.events(skeleton) if steps else ():
            ledger.on_event(event)
        return profile_of(model, skeleton, ledger, shapes, convention, replace(done, reason=reason))

    def by_shapes() -> Profile:
        with garbage_kept():
            return values_if_asked_for(lambda constants: run(True, "", constants))

    return shapes_or_real(execution, by_shapes, lambda reason: run(False, reason))


def _check_loss(loss: object) -> None:
    if loss is not None and not callable(loss):
        raise InputError(f"loss= is a function from what the model returns to a tensor, not {loss!r}")


def checked_step(
    model: nn.Module, convention: Convention, loss: Callable[[Any], Any] | None, optimizer: Optimizer | None
) -> dict[str, Any]:
    """What ``opcount.profile`` is to be told of a training step, with the optimizer's parameters found already.

    Raises:
        InputError: something of this cannot be counted.
    """
    checked(model, "shapes", convention)
    _check_loss(loss)
    steps = None if optimizer is None else Steps(model, optimizer)
    return {"backward": True, "loss": loss, "optimizer": steps}


class Steps:
    """The optimizer's step of each parameter that was given a gradient."""

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self._groups: dict[tuple[str, str], Mapping[str, Any]] | None = None
        self._defaults: Mapping[str, Any] = {}
        if isinstance(optimizer, str):
            self._kind, self._defaults = by_name(optimizer)
        elif isinstance(optimizer, optim.Optimizer):
            self._kind = type(optimizer)
            self._groups = _groups(model, optimizer)
        else:
            raise InputError(f"optimizer= is a name such as 'adamw', or a torch.optim.Optimizer, not {optimizer!r}")

    def events(self, skeleton: Skeleton) -> Iterator[Event]:
        """A step for each parameter, at the module that holds it first."""
        done: set[int] = set()
        for path, module in skeleton.modules:
            for name, parameter in list((module.__dict__.get("_parameters") or {}).items()):
                given = self._defaults if self._groups is None else self._groups.get((path, name))
                if parameter is None or parameter.grad is None or id(parameter) in done or given is None:
                    continue
                done.add(id(parameter))
                yield self._event(path, parameter, given)

    def _event(self, path: str, parameter: torch.Tensor, given: Mapping[str, Any]) -> Event:
        spec, gradient = spec_of(parameter), parameter.grad
        call = Call((spec,), {}, spec)
        sparse = gradient is not None and gradient.layout != torch.strided
        term = None if sparse else step_term(self._kind, given, spec.elements, spec.dtype)
        name = f"{self._kind.__name__} of a sparse gradient" if sparse else self._kind.__name__
        terms = None if term is None else (term.in_phase("optimizer"),)
        return Event("optimizer", name, path, call, terms, "optimizer")


def _groups(model: nn.Module, optimizer: optim.Optimizer) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The hyperparameters of each parameter of a model that an optimizer steps, by its module's path and its name.

    Raises:
        InputError: it steps none of them.
    """
    held = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    found: dict[tuple[str, str], Mapping[str, Any]] = {
        (path, name): held[id(parameter)]
        for path, module in unwrapped_modules(model)
        for name, parameter in module._parameters.items()
        if id(parameter) in held
    }
    if not found:
        raise InputError(
            f"this {type(optimizer).__name__} steps no parameter of this {type(model).__name__}; make it of this very "
            "model's parameters, or give its name, as in optimizer='adamw'"
        )
    return found
