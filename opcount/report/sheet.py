"""What a report says, before it has a form: headings, columns, rows, a total and notes.

A profile and a comparison become a :class:`Sheet`; the terminal, Markdown, LaTeX, CSV and plain text are made of it.
Names in a sheet are already safe to print.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from opcount.report.escape import to_ascii

Kind: TypeAlias = Literal["path", "text", "count", "share", "bar", "change"]

Cell: TypeAlias = "str | int | float | None"
"""A text; a count; a change in percent; None where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: its name, by which it is dropped.
        title: its header.
        short: its header where room is scarce.
        kind: what its cells hold and how they are written.
        group: a header above the title, where several columns belong together.
    """

    key: str
    title: str
    short: str
    kind: Kind
    group: str = ""
    short_group: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a cell for each column of its sheet.

    Attributes:
        cells: the cells.
        incomplete: whether something in it could not be counted.
        status: in a tree of changes ``"added"``, ``"removed"``, ``"changed"`` or ``"same"``, which colours it.
    """

    cells: tuple[Cell, ...]
    incomplete: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure that stands beside the table: for each model a count, and the noun that follows it.

    It is said when its column was dropped or shows it rounded, or always if it has none (``column=""``).
    """

    noun: str
    counts: tuple[int, ...]
    column: str = ""
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A line under the table; ``good`` colours it: True fine, False a warning, None neither."""

    parts: tuple[str, ...]
    good: bool | None = None
    separator: str = " · "


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report without a form.

    Attributes:
        headings: lines above the table, each in parts that may be folded.
        columns, rows, total: the table.
        whole: what a share is a share of.
        drops: the columns a narrow terminal gives up, in this order, each step a set of keys.
        facts: figures beside the table.
        notes: lines below it.
        instead: what a terminal shows that is too narrow for the last of these steps.
    """

    headings: tuple[tuple[str, ...], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row | None
    whole: int
    drops: tuple[frozenset[str], ...]
    facts: tuple[Fact, ...] = ()
    notes: tuple[Note, ...] = ()
    instead: Sheet | None = field(default=None, repr=False)

    def without(self, dropped: Iterable[str]) -> Sheet:
        """This sheet without some columns."""
        gone = set(dropped)
        kept = [index for index, column in enumerate(self.columns) if column.key not in gone]

        def pick(row: Row) -> Row:
            return Row(tuple(row.cells[index] for index in kept), row.incomplete, row.status)

        return Sheet(
            headings=self.headings,
            columns=tuple(self.columns[index] for index in kept),
            rows=tuple(map(pick, self.rows)),
            total=pick(self.total) if self.total else None,
            whole=self.whole,
            drops=self.drops,
            facts=self.facts,
            notes=self.notes,
        )

    def in_ascii(self) -> Sheet:
        """This sheet for an output that knows no more than ASCII: spelt out before it is measured, as → takes two."""

        def spelt(row: Row) -> Row:
            cells = tuple(to_ascii(cell) if isinstance(cell, str) else cell for cell in row.cells)
            return replace(row, cells=cells)

        return replace(
            self,
            headings=tuple(tuple(map(to_ascii, parts)) for parts in self.headings),
            columns=tuple(
                replace(
                    column,
                    title=to_ascii(column.title),
                    short=to_ascii(column.short),
                    group=to_ascii(column.group),
                    short_group=to_ascii(column.short_group),
                )
                for column in self.columns
            ),
            rows=tuple(map(spelt, self.rows)),
            total=spelt(self.total) if self.total else None,
            instead=self.instead.in_ascii() if self.instead else None,
        )
