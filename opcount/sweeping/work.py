"""Counting one point, wherever that happens: whatever goes wrong with it is its row."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opcount.errors import InputError, OpCountError, TargetError, described
from opcount.ops import Convention
from opcount.sweeping.plain import to_plain
from opcount.sweeping.record import PEAK, failed

_LONGEST = 500


@dataclass(frozen=True)
class Task:
    """A point to be counted: the arguments of the builder, what the model is called with, the convention, and whether
    the peak of its activations is wanted."""

    point: dict[str, Any]
    inputs: Any
    convention: Convention
    peak: bool = True


def count_point(build: Callable[..., Any], task: Task) -> dict[str, Any]:
    """Build the model of a point as anyone would and count it. What goes wrong is the result."""
    begin = time.perf_counter()
    try:
        result = _counted(build(**task.point), task)
    except (Exception, SystemExit) as error:
        return failed(in_short(error), time.perf_counter() - begin)
    return {**result, "seconds": round(time.perf_counter() - begin, 6)}


def count_quickly(builder: Any, task: Task) -> dict[str, Any]:
    """The same result, without filling the model's weights where it can be had without them.

    Args:
        builder: a :class:`~opcount.sweeping.builder.Builder`.
        task: the point.
    """
    begin = time.perf_counter()
    try:
        model = builder.quick(task.point)
        result = None if model is None else _counted(model, task, by_shapes=True)
    except Exception:  # values are needed, or it fails: the plain way gives the result or the error
        result = None
    if result is not None:
        return {**result, "seconds": round(time.perf_counter() - begin, 6)}
    return count_point(builder.build, task)


def _counted(built: Any, task: Task, *, by_shapes: bool = False) -> dict[str, Any]:
    from torch import nn

    from opcount.profiler import profile
    from opcount.targets import Target, counted as count_target

    if isinstance(built, Target):
        counted = count_target(built, task.inputs, task.convention)
    elif isinstance(built, nn.Module):
        execution = "shapes" if by_shapes else "auto"
        counted = profile(built, task.inputs, convention=task.convention, execution=execution)
    else:
        raise InputError(f"build returned {type(built).__name__} {built!r:.80}, not a torch.nn.Module")
    if by_shapes and counted.execution != "shapes":
        raise InputError("it takes values")
    return {
        **counted.ops.to_dict(),
        "total": counted.total,
        "params": counted.params,
        PEAK: _peak(built, task.inputs, by_shapes=by_shapes) if task.peak else None,
        "complete": counted.complete,
        "uncounted": sorted({item.name for item in counted.uncounted}),
        "execution": counted.execution,
        "called_with": " + ".join("x".join(map(str, shape)) or "scalar" for shape in counted.inputs),
        "error": None,
    }


def _peak(built: Any, inputs: Any, *, by_shapes: bool) -> int | None:
    """The most bytes of activations alive at once; None where that cannot be told, as of a saved profile.

    Raises:
        OpCountError: it cannot be told by shapes, and nothing else was to be tried.
    """
    from opcount.measuring import peak_activations
    from opcount.targets import Target, known_input

    try:
        if isinstance(built, Target):
            inputs = known_input(built) if inputs is None else inputs
            by_shapes, built = by_shapes or built.real is not None, built.model
        return peak_activations(built, inputs, execution="shapes" if by_shapes else "auto")
    except (InputError, TargetError):
        return None
    except OpCountError:
        if by_shapes:
            raise
        return None


def in_short(error: BaseException) -> str:
    """An error in one line: its type, unless it is one of ours, and what it says.

    >>> in_short(ValueError("no\\n  luck")), in_short(InputError("give a size"))
    ('ValueError: no luck', 'give a size')
    """
    text = " ".join(str(error).split()) if isinstance(error, OpCountError) else described(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def described_inputs(inputs: Any) -> Any:
    """Inputs as JSON: sizes and element types, and of a tensor that has values a fingerprint of them.

    Raises:
        InputError: there is something in them that cannot be told from others.

    >>> from opcount import Input
    >>> described_inputs((1, 3, 8, 8)), described_inputs(Input((2, 5), "int64"))
    ({'$tuple': [1, 3, 8, 8]}, {'$input': [2, 5, 'int64']})
    """
    import torch

    from opcount.inputs import Input

    if isinstance(inputs, Input):
        return {"$input": [*inputs.size, inputs.dtype]}
    if isinstance(inputs, torch.Tensor):
        return {"$tensor": [*inputs.shape, str(inputs.dtype), _values(inputs)]}
    if isinstance(inputs, Mapping):
        return {str(name): described_inputs(value) for name, value in inputs.items()}
    if isinstance(inputs, list):
        return [described_inputs(value) for value in inputs]
    if isinstance(inputs, tuple):
        return {"$tuple": [described_inputs(value) for value in inputs]}
    return to_plain(inputs)


def _values(tensor: Any) -> str:
    import torch

    if tensor.device.type == "meta" or tensor.layout != torch.strided:
        return ""
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(data.tobytes()).hexdigest()[:16]
