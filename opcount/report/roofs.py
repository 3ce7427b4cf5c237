"""A roofline as a sheet: a row for each layer with its intensity and what limits it, or for each model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opcount.intensity import Point, Roofline
from opcount.report import digits
from opcount.report.digits import plural
from opcount.report.escape import visible
from opcount.report.layers import path_text
from opcount.report.sheet import Cell, Column, Note, Row, Sheet
from opcount.report.units import si, size

_COLUMNS = (
    Column("layer", "layer", "layer", "path"),
    Column("operations", "operations", "ops", "count"),
    Column("bytes", "moved", "moved", "count"),
    Column("intensity", "op/byte", "op/B", "count"),
    Column("bound", "bound by", "bound", "text"),
    Column("attainable", "at best", "at best", "count"),
    Column("seconds", "least time", "time", "count"),
)
_DROPS = tuple(frozenset({key}) for key in ("attainable", "bytes", "operations", "seconds"))


def roofline_sheet(roofline: Roofline, top: int | None = None) -> Sheet:
    """The layers of one model under a roofline, or those that take longest."""
    points = list(roofline.points)
    if top is not None:
        points.sort(key=lambda point: -(point.seconds or point.memory_seconds))
    rows = [Row((path_text(point.path), *_cells(point))) for point in points[:top]]
    rest = [] if top is None else points[top:]
    if rest:
        seconds = sum(point.seconds or point.memory_seconds for point in rest)
        operations, moved = sum(point.operations for point in rest), sum(point.bytes for point in rest)
        label = plural(len(rest), "more row")
        rows.append(Row((label, digits.si(operations), size(moved), None, None, None, si(seconds, "s"))))
    total = Row(("total", *_cells(roofline.whole)[:-1], si(roofline.seconds, "s")))
    return Sheet(
        headings=(("roofline", visible(roofline.model), *_device(roofline)),),
        columns=_COLUMNS,
        rows=tuple(rows),
        total=total,
        whole=0,
        drops=_DROPS,
        notes=tuple(_notes(roofline)),
    )


def rooflines_sheet(rooflines: Sequence[Roofline], labels: Sequence[str]) -> Sheet:
    """Several models under one roofline."""
    rows = [
        Row((visible(label), *_cells(each.whole)[:-1], si(each.seconds, "s")))
        for label, each in zip(labels, rooflines, strict=True)
    ]
    return Sheet(
        headings=(("roofline", *_device(rooflines[0])),),
        columns=(Column("model", "model", "model", "path"), *_COLUMNS[1:]),
        rows=tuple(rows),
        total=None,
        whole=0,
        drops=_DROPS,
        notes=tuple(_notes(rooflines[0])),
    )


def intensity_text(value: float) -> str:
    """Operations a byte.

    >>> intensity_text(0.0), intensity_text(3.75), intensity_text(1234.5), intensity_text(float("inf"))
    ('0', '3.750', '1,234', '–')
    """
    if value == float("inf"):
        return "–"
    if not value:
        return "0"
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.4g}"


def _cells(point: Point) -> tuple[Cell, ...]:
    attainable = "–" if point.attainable is None else si(point.attainable, "op/s")
    return (
        digits.si(point.operations),
        size(point.bytes),
        intensity_text(point.intensity),
        point.bound,
        attainable,
        "–" if point.seconds is None else si(point.seconds, "s"),
    )


def _device(roofline: Roofline) -> tuple[str, ...]:
    device = roofline.device
    peaks = [f"{si(device.peak[dtype], 'op/s')} {visible(dtype)}" for dtype in used(roofline)]
    return (visible(device.title), *peaks, si(device.bandwidth, "B/s"))


def used(roofline: Roofline) -> list[str]:
    """The element types of the model's operations that the device has a peak for; its first if there is none."""
    found = dict.fromkeys(point.dtype for point in roofline.points if point.dtype in roofline.device.peak)
    return list(found) or list(roofline.device.peak)[:1]


def _notes(roofline: Roofline) -> Iterator[Note]:
    if roofline.peak_missing:
        missing = ", ".join(visible(dtype) for dtype in roofline.peak_missing)
        yield Note((f"no peak is stated for {missing}: those layers' times are by bandwidth alone",), good=False)
    yield Note(("operations are multiplications and additions, each one", "bytes are read and written once"))
    if roofline.device.source:
        yield Note((visible(roofline.device.source),))
