"""A comparison as a sheet: a row for each part, the models side by side under each figure, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opcount.comparison import Comparison, Row as Part
from opcount.errors import InputError
from opcount.ops import FIGURES, OpCount
from opcount.report.digits import plural
from opcount.report.escape import visible
from opcount.report.layers import heading, notes, path_text
from opcount.report.sheet import Cell, Column, Fact, Note, Row, Sheet
from opcount.report.view import View

SHOWN = (
    ("multiplications", "mults", "multiplication"),
    ("additions", "adds", "addition"),
    ("total", "total", "operation"),
)
"""The figures of the table: each with its short header and the noun it counts."""

DROPS = ("the change of multiplications and additions", "the total", "additions")
"""What a narrow terminal gives up, first to last. Path, multiplications and the change of the total stay; what is
dropped leaves its totals below the table. Narrower still, there is a row for each model instead."""

_LONGEST_LABEL = 12
_HOW_TO_READ = Note(("+ added", "− removed", "± changed", "a row includes the rows indented under it"))


def comparison_sheet(
    comparison: Comparison,
    remarks: Sequence[Sequence[str]] = (),
    view: View | None = None,
    *,
    terminal: bool = True,
) -> Sheet:
    """The sheet of a comparison; ``remarks`` are, for each model, added to its heading."""
    view = view or View()
    labels = model_labels(comparison)
    columns = _columns(labels)
    rows = _ranked([part for part in comparison.rows if _worth_a_row(part)], view)
    table = tuple(_row(part, None if part in comparison.rows else part.path) for part in rows)
    as_tree = view.tree or view.depth is not None
    if as_tree:
        from opcount.report.difference import TYPE, difference_rows

        columns = (columns[0], TYPE, *columns[1:])
        table = tuple(difference_rows(comparison, view, [figure for figure, _, _ in SHOWN], indented=terminal))
    return Sheet(
        headings=_headings(comparison, labels, remarks),
        columns=columns,
        rows=table,
        total=_total(comparison, as_tree, terminal),
        whole=0,
        drops=_drops(columns),
        facts=_facts(comparison),
        notes=(*_notes(comparison, labels), *([_HOW_TO_READ] if as_tree else [])),
        instead=_by_model(comparison, labels, remarks),
    )


def model_labels(comparison: Comparison) -> list[str]:
    """What to call each model in a header: the last part of its name if that is short and its alone, else a letter.

    >>> from opcount.result import Profile
    >>> from opcount.comparison import compare
    >>> model_labels(compare(Profile("lenet.models:Regular", (), ()), Profile("lenet.models:Depthwise", (), ())))
    ['Regular', 'Depthwise']
    >>> model_labels(compare(Profile("Net", (), ()), Profile("Net", (), ())))
    ['A', 'B']
    """
    names = [visible(profile.model.rpartition(":")[2].rpartition(".")[2]) for profile in comparison.profiles]
    if len(set(names)) == len(names) and all(0 < len(name) <= _LONGEST_LABEL for name in names):
        return names
    return [_letters(index) for index in range(len(names))]


def _letters(index: int) -> str:
    return (_letters(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def _headings(
    comparison: Comparison, labels: list[str], remarks: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], ...]:
    headings = []
    for index, (label, profile) in enumerate(zip(labels, comparison.profiles, strict=True)):
        name, *rest = heading(profile, remarks[index] if index < len(remarks) else ())
        headings.append((name if name.endswith(label) else f"{label} = {name}", *rest))
    return tuple(headings)


def _columns(labels: list[str]) -> tuple[Column, ...]:
    columns = [Column("layer", "layer", "layer", "path")]
    for figure, short, _ in SHOWN:
        groups = ("total operations" if figure == "total" else figure, short)
        for index, label in enumerate(labels):
            columns.append(Column(f"{figure}:{index}", label, label, "count", *groups))
        for index, label in enumerate(labels[1:], start=1):
            title = "change" if len(labels) == 2 else f"± {label}"
            columns.append(Column(f"{figure}:change:{index}", title, title, "change", *groups))
    return tuple(columns)


def _drops(columns: tuple[Column, ...]) -> tuple[frozenset[str], ...]:
    keys = [column.key for column in columns]
    changes = frozenset(key for key in keys if ":change:" in key and not key.startswith("total"))
    totals = frozenset(key for key in keys if key.startswith("total:") and ":change:" not in key)
    kinds = (frozenset({"type"}),) if "type" in keys else ()
    return *kinds, changes, totals, frozenset(key for key in keys if key.startswith("additions:"))


def _row(part: Part, label: str | None = None, incomplete: bool = False) -> Row:
    figures = [cell for figure, _, _ in SHOWN for cell in (*part.values(figure), *change_cells(part, figure))]
    return Row((label or path_text(part.path), *figures), incomplete)


def _total(comparison: Comparison, as_tree: bool, indented: bool) -> Row:
    label = "total" if comparison.complete else "total counted"
    row = _row(comparison.total, label, not comparison.complete)
    if not as_tree:
        return row
    return Row((f"{'  ' if indented else ''}{row.cells[0]}", None, *row.cells[1:]), row.incomplete)


def _ranked(parts: list[Part], view: View) -> list[Part]:
    """The parts in the order asked for, the rest of them as one."""
    figure = view.figure or ("total" if view.top is not None else "")
    if figure in ("type", "output", "calls"):
        raise InputError(f"a comparison cannot be sorted by {figure}: layer, params, total and the figures can")
    if figure == "layer":
        parts = sorted(parts, key=lambda part: part.path)
    elif figure:
        parts = sorted(parts, key=lambda part: max(value or 0 for value in part.values(figure)), reverse=True)
    if view.top is None or len(parts) <= view.top:
        return parts
    rest = parts[view.top :]
    ops = tuple(sum((each for each in column if each), OpCount()) for column in zip(*(part.ops for part in rest)))
    params = tuple(sum(each or 0 for each in column) for column in zip(*(part.params for part in rest)))
    return [*parts[: view.top], Part(plural(len(rest), "more row"), ops, params)]


def change_cells(part: Part, figure: str) -> Iterator[Cell]:
    """What a change column says: a percentage; in a word where there is none."""
    first, *others = part.values(figure)
    for value, percent in zip(others, part.change(figure), strict=True):
        if first is None or value is None:
            yield None if first is value else "new" if first is None else "gone"
        else:
            yield "=" if first == value else percent


def _worth_a_row(part: Part) -> bool:
    return any(value for figure, _, _ in SHOWN for value in part.values(figure))


def _facts(comparison: Comparison) -> tuple[Fact, ...]:
    total = comparison.total
    nouns = {**{noun: figure for figure, _, noun in SHOWN}, "MAC": "macs", "parameter": "params"}
    nouns |= {figure[:-1]: figure for figure in FIGURES if figure[:-1] not in nouns and figure != "macs"}
    facts = []
    for noun, figure in nouns.items():
        counts = tuple(value or 0 for value in total.values(figure))
        change = total.change(figure)[0] if len(counts) == 2 and counts[0] != counts[1] else None
        column = f"{figure}:0" if noun in {shown for _, _, shown in SHOWN} else ""
        if any(counts):
            facts.append(Fact(noun, counts, column, change))
    return tuple(facts)


def _notes(comparison: Comparison, labels: list[str]) -> Iterator[Note]:
    """One note where the models agree, else what is to be said of each."""
    said = [tuple(notes(profile)) for profile in comparison.profiles]
    if all(lines == said[0] for lines in said) and comparison.complete:
        yield from said[0]
        return
    for label, profile in zip(labels, comparison.profiles, strict=True):
        yield from notes(profile, f"{label}: ")


def _by_model(comparison: Comparison, labels: list[str], remarks: Sequence[Sequence[str]]) -> Sheet:
    """A row for each model: what is left to show when the models do not fit beside one another."""
    total = comparison.total
    figures = [total.values(figure) for figure, _, _ in SHOWN]
    changes = (None, *change_cells(total, "total"))
    return Sheet(
        headings=_headings(comparison, labels, remarks),
        columns=(
            Column("layer", "model", "model", "path"),
            *(Column(figure, figure, short, "count") for figure, short, _ in SHOWN),
            Column("change", "change", "change", "change"),
        ),
        rows=tuple(
            Row((label, *(values[index] for values in figures), changes[index]), not profile.complete)
            for index, (label, profile) in enumerate(zip(labels, comparison.profiles, strict=True))
        ),
        total=None,
        whole=0,
        drops=(frozenset({"multiplications", "additions"}),),
        facts=tuple(fact for fact in _facts(comparison) if not fact.column),
        notes=tuple(_notes(comparison, labels)),
    )
