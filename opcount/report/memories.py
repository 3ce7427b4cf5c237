"""Memory as a sheet: a row for each layer that holds, makes or moves something, or for each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from opcount.occupancy import LayerMemory, Memory
from opcount.report.digits import duration, plural
from opcount.report.escape import visible
from opcount.report.layers import path_text, shape_text
from opcount.report.sheet import Column, Note, Row, Sheet
from opcount.report.units import size

_LAYERS = (
    Column("layer", "layer", "layer", "path"),
    Column("type", "type", "type", "text"),
    Column("weights", "weights", "weights", "count"),
    Column("allocated", "allocated", "alloc.", "count"),
    Column("live", "live at most", "live", "count"),
    Column("moved", "moved", "moved", "count"),
)
_MODELS = (
    Column("model", "model", "model", "path"),
    Column("weights", "weights", "weights", "count"),
    Column("inputs", "inputs", "inputs", "count"),
    Column("activations", "peak activations", "peak act.", "count"),
    Column("peak", "peak", "peak", "count"),
    Column("moved", "moved", "moved", "count"),
)
_DROPS = tuple(frozenset({key}) for key in ("type", "weights", "moved", "allocated"))
_MOST = 5


def memory_sheet(memory: Memory, top: int | None = None) -> Sheet:
    """The memory of one model, layer by layer, or of the layers that move most."""
    layers = [layer for layer in memory.layers if layer.weights or layer.allocated or layer.moved]
    if top is not None:
        layers.sort(key=lambda layer: -layer.moved)
    rows = [_row(path_text(layer.path), layer.type, [layer]) for layer in layers[:top]]
    if top is not None and layers[top:]:
        rows.append(_row(plural(len(layers) - top, "more row"), None, layers[top:]))
    return Sheet(
        headings=(_heading(memory),),
        columns=_LAYERS,
        rows=tuple(rows),
        total=_row("total", None, memory.layers),
        whole=0,
        drops=_DROPS,
        notes=tuple(_notes(memory)),
    )


def memories_sheet(memories: Sequence[Memory], labels: Sequence[str]) -> Sheet:
    """The memory of several models, side by side."""
    rows = []
    for label, each in zip(labels, memories, strict=True):
        weights = sum(each.weights.values()) + sum(each.buffers.values())
        figures = (weights, each.inputs, each.peak_activations, each.peak, each.moved)
        rows.append(Row((visible(label), *map(size, figures))))
    return Sheet(
        headings=(("memory of one call", "inference"),),
        columns=_MODELS,
        rows=tuple(rows),
        total=None,
        whole=0,
        drops=tuple(frozenset({key}) for key in ("inputs", "moved", "weights")),
        notes=(_OUTSIDE,),
    )


_OUTSIDE = Note(("kernels' workspaces and what an allocator rounds up are outside",))


def _row(label: str, kind: str | None, layers: Sequence[LayerMemory]) -> Row:
    weights, allocated = sum(layer.weights for layer in layers), sum(layer.allocated for layer in layers)
    live, moved = max((layer.live for layer in layers), default=0), sum(layer.moved for layer in layers)
    return Row((label, None if kind is None else visible(kind), *map(size, (weights, allocated, live, moved))))


def _heading(memory: Memory) -> tuple[str, ...]:
    execution = memory.execution
    how = {"real": "run for real", "shapes": "by shapes"}.get(execution.mode, visible(execution.mode))
    reason = f" ({visible(execution.reason)})" if execution.reason else ""
    return ("memory of one call", visible(memory.model), "inference", f"{how}{reason}, {duration(execution.seconds)}")


def _notes(memory: Memory) -> Iterator[Note]:
    parts = [f"weights {_by_dtype(memory.weights)}"]
    if any(memory.buffers.values()):
        parts.append(f"buffers {_by_dtype(memory.buffers)}")
    parts += [f"inputs {size(memory.inputs)}", f"activations {size(memory.peak_activations)}"]
    yield Note((f"peak {size(memory.peak)}: {' + '.join(parts)}",), good=True)
    if memory.held:
        yield Note((f"most activations live in {path_text(memory.peak_path)}: {plural(len(memory.held), 'tensor')}",))
        for each in memory.held[:_MOST]:
            what = f"{shape_text(each.shape)} {each.dtype} of {path_text(each.path)} ({visible(each.operator)})"
            yield Note((f"  {size(each.bytes)}  {what}",))
        if len(memory.held) > _MOST:
            rest = sum(each.bytes for each in memory.held[_MOST:])
            yield Note((f"  {size(rest)}  in {len(memory.held) - _MOST} more",))
    yield _OUTSIDE


def _by_dtype(groups: Mapping[str, int]) -> str:
    """One size, or one for each element type.

    >>> _by_dtype({"float32": 2048}), _by_dtype({"float32": 2048, "int8": 100}), _by_dtype({})
    ('2.000 KiB', '2.000 KiB float32 and 100 B int8', '0 B')
    """
    shown = {dtype: count for dtype, count in groups.items() if count}
    if len(shown) < 2:
        return size(sum(shown.values()))
    return " and ".join(f"{size(count)} {visible(dtype)}" for dtype, count in shown.items())
