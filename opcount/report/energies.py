"""Energy as a sheet: a row for each layer that costs some, or for each model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from opcount.pricing import Energy, Priced, total
from opcount.report import digits
from opcount.report.digits import plural
from opcount.report.escape import visible
from opcount.report.layers import path_text
from opcount.report.sheet import Cell, Column, Note, Row, Sheet
from opcount.report.units import si

_LAYERS = (
    Column("layer", "layer", "layer", "path"),
    Column("multiplications", "multiplications", "mults", "count"),
    Column("additions", "additions", "adds", "count"),
    Column("others", "others", "others", "count"),
    Column("energy", "energy", "energy", "count"),
    Column("bar", "", "", "bar"),
    Column("share", "share", "share", "share"),
)
_DROPS = (frozenset({"bar"}), frozenset({"others"}), frozenset({"share"}))
_MOST = 6


def energy_sheet(energy: Energy, top: int | None = None) -> Sheet:
    """The energy of one model, layer by layer, or its costliest layers."""
    found = [(path_text(path), lines) for path, lines in energy.layers.items() if total(lines)]
    if top is not None:
        found.sort(key=lambda pair: -total(pair[1]))
        rest = [line for _, lines in found[top:] for line in lines]
        found[top:] = [(plural(len(found) - top, "more row"), tuple(rest))] if rest else []
    costs = [_whole(total(lines)) for _, lines in found]
    shares = digits.apportioned(costs, 1000)
    others = any(_of(lines, None) for _, lines in found)
    rows = tuple(_row(label, lines, share, sum(costs)) for (label, lines), share in zip(found, shares, strict=True))
    sheet = Sheet(
        headings=(_heading(energy),),
        columns=_LAYERS,
        rows=rows,
        total=_row("total", energy.priced, 1000, sum(costs)),
        whole=sum(costs),
        drops=_DROPS,
        notes=tuple(energy_notes(energy)),
    )
    return sheet if others else sheet.without({"others"})


def energies_sheet(energies: Sequence[Energy], labels: Sequence[str]) -> Sheet:
    """The energy of several models, side by side, against the first."""
    columns = (
        Column("model", "model", "model", "path"),
        *_LAYERS[1:5],
        Column("change", "change", "change", "change"),
    )
    first = energies[0].exact_picojoules
    rows = []
    for number, (label, each) in enumerate(zip(labels, energies, strict=True)):
        change = float(100 * (each.exact_picojoules - first) / first) if first and number else None
        rows.append(Row((visible(label), *_figures(each.priced), change), incomplete=not each.complete))
    notes: list[Note] = []
    for label, each in zip(labels, energies, strict=True):
        notes += _missing(each, f"{visible(label)}: ")
    sheet = Sheet(
        headings=(("energy of arithmetic", *_about(energies[0])),),
        columns=columns,
        rows=tuple(rows),
        total=None,
        whole=0,
        drops=(frozenset({"others"}),),
        notes=(*notes, *_source(energies[0])),
    )
    return sheet if any(_of(each.priced, None) for each in energies) else sheet.without({"others"})


def _row(label: str, lines: Sequence[Priced], share: int, whole: int) -> Row:
    cost = _whole(total(lines))
    return Row((label, *_figures(lines), cost, digits.tenths(cost, share, whole)))


def _figures(lines: Sequence[Priced]) -> tuple[Cell, ...]:
    kinds = (_of(lines, "multiplications"), _of(lines, "additions"), _of(lines, None), total(lines))
    return tuple(joules(cost) for cost in kinds)


def joules(picojoules: Fraction) -> str:
    """An energy as text.

    >>> joules(Fraction(37, 10)), joules(Fraction(2_000_000))
    ('3.700 pJ', '2.000 µJ')
    """
    return si(picojoules / 10**12, "J")


def _of(lines: Sequence[Priced], kind: str | None) -> Fraction:
    """What one kind costs; None is all kinds but multiplications and additions."""
    if kind is None:
        return total(line for line in lines if line.kind not in ("multiplications", "additions"))
    return total(line for line in lines if line.kind == kind)


def _whole(picojoules: Fraction) -> int:
    """In attojoules, for bars and shares."""
    return round(picojoules * 10**6)


def _heading(energy: Energy) -> tuple[str, ...]:
    return ("energy of arithmetic", visible(energy.model), *_about(energy))


def _about(energy: Energy) -> tuple[str, ...]:
    table = energy.table
    return tuple(visible(text) for text in (f"table {table.name}", table.technology) if text)


def energy_notes(energy: Energy) -> Iterator[Note]:
    """What the prices are of, and what has none."""
    if energy.complete:
        yield Note(("every operation has a price", "arithmetic alone: no memory, no control, no leakage"), good=True)
    else:
        yield from _missing(energy, "")
        yield Note(("arithmetic alone: no memory, no control, no leakage",))
    yield from _source(energy)


def _missing(energy: Energy, subject: str) -> Iterator[Note]:
    if energy.unpriced:
        items = [f"{line.count:,} {line.kind} of {visible(line.dtype) or 'no type'}" for line in energy.unpriced]
        more = [f"and {len(items) - _MOST} more kinds"] if len(items) > _MOST else []
        yield Note((f"{subject}not priced: {items[0]}", *items[1:_MOST], *more), good=False)
    if energy.uncounted:
        names = [visible(name) for name in energy.uncounted[:_MOST]]
        yield Note((f"{subject}not counted, so not priced: {', '.join(names)}",), good=False)


def _source(energy: Energy) -> Iterator[Note]:
    if energy.table.source:
        yield Note((visible(energy.table.source),))
