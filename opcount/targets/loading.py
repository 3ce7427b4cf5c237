"""A target loaded, its input known, and counted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opcount.errors import ForwardError, TargetError
from opcount.ops import Convention
from opcount.parsing import listed
from opcount.result import Profile
from opcount.targets.building import NAMED
from opcount.targets.registry import source_of
from opcount.targets.source import Knobs, Request, Target

LARGEST_RUN = 4 * 2**30
"""Bytes of weights up to which a model is run where shapes alone are not enough."""


def load(
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    knobs: Knobs = Knobs(),
    own_input: bool = True,
    trust: bool = False,
) -> Target:
    """What a target names.

    Args:
        name: ``"package.module:Name"``, ``"path/to/file.py:Name"``, ``"timm:NAME"``, a file, ...
        arguments: keyword arguments for the class or function.
        knobs: what its natural input is to be like.
        own_input: whether the model is to be built for its own input size, where it has one.
        trust: whether files may be loaded that run what is in them.

    Raises:
        TargetError: it cannot be found or built, is no model, or does not understand a knob. The message says what
            to do.
        MissingExtraError: a package is missing; the message names the extra.

    >>> target = load("torch.nn:Linear", {"in_features": 10, "out_features": 5})
    >>> target.model
    Linear(in_features=10, out_features=5, bias=True)
    """
    source, rest = source_of(name)
    request = Request(name, rest, dict(arguments or {}), knobs, own_input, trust)
    if not own_input and knobs.given:
        raise TargetError(
            f"--{next(iter(knobs.given))} changes the natural input of {name}, but --input gives another: leave one out"
        )
    source.check(request)
    return source.load(request)


def known_input(target: Target) -> Any:
    """The input that is known for a target, as :func:`opcount.profile` takes it; None leaves it to the model.

    Raises:
        TargetError: none is known; the message shows how to give one.
    """
    if target.inputs is not None or getattr(target.model, "example_input_size", None) is not None:
        return target.inputs
    needed = _needed(getattr(target.model, "forward", None))
    if needed == []:
        return ()
    each = f", one for each of {listed(needed)}" if needed and len(needed) > 1 else ""
    raise TargetError(
        f"no input is known for {target.name}: give its size, batch included, as in --input 1,3,224,224{each}"
    )


def counted(
    target: Target, inputs: Any = None, convention: Convention = Convention(), *, memory: bool = False, **step: Any
) -> Profile:
    """The profile of a target, under its name.

    Args:
        target: what was loaded.
        inputs: another input than its own.
        convention, memory: as for :func:`opcount.profile`.
        step: ``backward`` and ``optimizer``, likewise.

    Raises:
        OpCountError: as for :func:`opcount.profile`.

    >>> counted(load("lenet.models:Depthwise")).model
    'lenet.models:Depthwise'
    """
    from opcount.profiler import profile

    if isinstance(target.model, Profile):
        return target.model
    inputs = known_input(target) if inputs is None else inputs
    if target.real is None:
        found = profile(target.model, inputs, convention=convention, memory=memory, **step)
    else:
        try:
            found = profile(target.model, inputs, convention=convention, execution="shapes", memory=memory, **step)
        except ForwardError as error:  # it asks for values: what has none of its own will not do
            found = profile(_real(target, error), inputs, convention=convention, memory=memory, **step)
    kept = None if found.memory is None else found.memory.named(target.name)
    return replace(found, model=target.name, memory=kept)


def _real(target: Target, reason: ForwardError) -> Any:
    """The model with weights, if they are not too many to run it once."""
    tensors = [*target.model.parameters(), *target.model.buffers()]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if size > LARGEST_RUN or target.real is None:
        raise TargetError(
            f"{target.name} cannot be counted by shapes alone, and its {size / 2**30:,.1f} GiB of weights are too many "
            f"to run it for that: make it smaller with --arg, or give another input ({reason})"
        ) from reason
    return target.real()


def _needed(forward: Callable[..., Any] | None) -> list[str] | None:
    """The arguments a forward cannot do without; None if it does not tell."""
    try:
        parameters = inspect.signature(forward).parameters.values()  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    needed = (*NAMED, inspect.Parameter.POSITIONAL_ONLY)
    return [
        parameter.name for parameter in parameters if parameter.default is parameter.empty and parameter.kind in needed
    ]
