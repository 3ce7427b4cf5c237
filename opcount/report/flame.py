"""Flame graphs by operations: a layer is as wide as the multiplications and additions in it.

speedscope reads one of the forms, Perfetto and chrome://tracing the other. Both were made for time: where they say
seconds, read operations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opcount.ops import OpCount
from opcount.report.escape import visible
from opcount.report.layers import MODEL
from opcount.result import LayerRecord, Profile
from opcount.schema import number_out, ops_out
from opcount.tree import Node, grow, walk

if TYPE_CHECKING:
    from opcount.comparison import Comparison

_LONGEST_TRACE = 10**15
"""Microseconds that a viewer of traces can still hold as whole nanoseconds in 64 bits."""


def speedscope(subject: Profile | Comparison) -> str:
    """The profile in the file format of speedscope, or several, among which its menu chooses."""
    frames: dict[str, int] = {}
    profiles = [_sampled(profile, frames) for profile in _profiles(subject)]
    data = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": "opcount",
        "name": " / ".join(profile["name"] for profile in profiles),
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": profiles,
    }
    return json.dumps(data, ensure_ascii=False, indent=1)


def chrome_trace(subject: Profile | Comparison) -> str:
    """The profile as Chrome's trace events, a process for each model; an operation is a microsecond of it.

    Every event carries its exact figures under ``args``. Above 10**15 operations a microsecond stands for a power of a
    thousand operations, which ``otherData`` tells.
    """
    profiles = _profiles(subject)
    unit = 1
    while max(profile.total for profile in profiles) > unit * _LONGEST_TRACE:
        unit *= 1000
    events = [event for number, profile in enumerate(profiles, start=1) for event in _events(profile, number, unit)]
    data = {
        "displayTimeUnit": "ms",
        "otherData": {"exporter": "opcount", "operations_per_microsecond": str(unit)},
        "traceEvents": events,
    }
    return json.dumps(data, ensure_ascii=False, indent=1)


def _profiles(subject: Profile | Comparison) -> tuple[Profile, ...]:
    return (subject,) if isinstance(subject, Profile) else subject.profiles


def _sampled(profile: Profile, frames: dict[str, int]) -> dict[str, Any]:
    """A sample for each layer that costs something itself: the layers it is in, and its operations as the weight."""
    samples: list[list[int]] = []
    weights: list[int] = []
    stack: list[int] = []
    for node, level in walk(grow(profile)):
        del stack[level:]
        stack.append(frames.setdefault(_frame(node, profile), len(frames)))
        for name, ops in _costs(node):
            if ops.total:
                samples.append([*stack, *([frames.setdefault(name, len(frames))] if name else [])])
                weights.append(ops.total)
    return {
        "type": "sampled",
        "name": f"{visible(profile.model)}, multiplications + additions",
        "unit": "none",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


def _events(profile: Profile, number: int, unit: int) -> Iterator[dict[str, Any]]:
    """Complete events, one within another; a container's own operations come before those of its children."""
    yield {"ph": "M", "pid": number, "name": "process_name", "args": {"name": visible(profile.model)}}
    starts = [0]
    for node, level in walk(grow(profile)):
        del starts[level + 1 :]
        ops = node.subtree[0] or OpCount()
        start = starts[level]
        starts[level] += ops.total
        yield _event(_frame(node, profile), number, start, ops, unit, _about(node))
        for name, own in _costs(node):
            if name and own.total:
                yield _event(name, number, start, own, unit, {})
            start += own.total
        starts.append(start)


def _event(name: str, number: int, start: int, ops: OpCount, unit: int, about: dict[str, Any]) -> dict[str, Any]:
    """An event; where a unit is many operations its edges are rounded, its figures are not."""
    begin, end = start // unit, (start + ops.total) // unit
    figures = {"total": number_out(ops.total), **ops_out(ops)}
    return {
        "ph": "X", "cat": "operations", "name": name, "pid": number, "tid": 1, "ts": begin, "dur": end - begin,
        "args": {**about, **figures},
    }  # fmt: skip


def _about(node: Node) -> dict[str, Any]:
    part = node.parts[0]
    if part is None:
        return {}
    return {"path": visible(part.path), "type": visible(part.type), "calls": part.calls}


def _frame(node: Node, profile: Profile) -> str:
    part = node.parts[0]
    kind = f" ({visible(part.type)})" if part and part.type and node.name else ""
    return f"{visible(node.name) if node.name else visible(profile.model) or MODEL}{kind}"


def _costs(node: Node) -> Iterator[tuple[str, OpCount]]:
    """What a node costs itself, by the functions and operators that it called; ``""`` is the layer as such."""
    part = node.parts[0]
    if part is None:
        return
    named = _by_name(part.record) if part.record else {}
    yield from named.items()
    spent = sum(named.values(), OpCount())
    yield "", part.ops + spent.times(-1)


def _by_name(record: LayerRecord) -> dict[str, OpCount]:
    named: dict[str, OpCount] = {}
    for entry in record.entries:
        if entry.source != "layer":
            name = visible(entry.name)
            named[name] = named.get(name, OpCount()) + entry.ops
    return named
