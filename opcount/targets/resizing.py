"""A known input in another batch or resolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opcount.errors import TargetError
from opcount.targets.source import Knobs, Request, Target

Size = tuple[int, ...]


def resized(target: Target, request: Request) -> Target:
    """A target with its known input as the request's knobs want it.

    Raises:
        TargetError: no input is known, or it has no such axis.
    """
    knobs = request.knobs
    if not knobs.given:
        return target
    known = target.inputs if target.inputs is not None else getattr(target.model, "example_input_size", None)
    if known is None:
        knob = next(iter(knobs.given))
        raise TargetError(f"no input is known for {target.name}, so --{knob} has nothing to change: give --input")
    return replace(target, inputs=_changed(known, knobs, target.name))


def _changed(known: Any, knobs: Knobs, name: str) -> Any:
    """Sizes with another batch and another height and width.

    >>> _changed(((1, 3, 224, 224),), Knobs(batch=8, resolution=(96, 160)), "x")
    ((8, 3, 96, 160),)
    >>> _changed(([(3, 300, 300)],), Knobs(batch=2), "x")
    ([(3, 300, 300), (3, 300, 300)],)
    """
    if isinstance(known, list):
        if len(known) > 0 and all(isinstance(item, int) for item in known):
            return _size(tuple(known), knobs, name)
        items = [_pictured(item, knobs, name) for item in known]
        return items if knobs.batch is None else items[:1] * knobs.batch
    if isinstance(known, tuple) and known and all(isinstance(item, int) for item in known):
        return _size(known, knobs, name)
    if isinstance(known, tuple) and known:
        return tuple(_changed(item, knobs, name) for item in known)
    raise TargetError(f"the input of {name} is not known as a size, so it cannot be changed: give --input")


def _size(size: Size, knobs: Knobs, name: str) -> Size:
    batch = size[:1] if knobs.batch is None else (knobs.batch,)
    return _pictured((*batch, *size[1:]), knobs, name, axes=4)


def _pictured(size: Size, knobs: Knobs, name: str, axes: int = 3) -> Size:
    if knobs.resolution is None:
        return size
    if len(size) < axes:
        raise TargetError(f"the input of {name} is {'x'.join(map(str, size))}, which has no resolution")
    return (*size[:-2], *knobs.resolution)
