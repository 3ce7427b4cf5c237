"""A sheet as the cells of a file's table: every column but the bars, every number in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opcount.report.layout import cell_text, fact_text
from opcount.report.sheet import Column, Row, Sheet


@dataclass(frozen=True, slots=True)
class Grid:
    """Headers, rows and alignments as tabulate takes them, and the lines that stand above and below."""

    above: tuple[str, ...]
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None
    alignments: tuple[str, ...]
    below: tuple[str, ...]

    def escaped(self, escape: Callable[[str], str]) -> Grid:
        """The same with every text made safe for its form."""

        def each(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(map(escape, texts))

        total = each(self.total) if self.total else None
        return Grid(
            each(self.above), each(self.headers), tuple(map(each, self.rows)), total, self.alignments, each(self.below)
        )


def grid(sheet: Sheet) -> Grid:
    """The cells of a sheet as text."""
    sheet = sheet.without(column.key for column in sheet.columns if column.kind == "bar")

    def texts(row: Row) -> tuple[str, ...]:
        pairs = zip(sheet.columns, row.cells, strict=True)
        return tuple(cell_text(column, cell, sheet.whole) for column, cell in pairs)

    facts = " · ".join(fact_text(fact) for fact in sheet.facts if not fact.column)
    return Grid(
        above=tuple(" · ".join(parts) for parts in sheet.headings),
        headers=tuple(_header(column) for column in sheet.columns),
        rows=tuple(map(texts, sheet.rows)),
        total=texts(sheet.total) if sheet.total else None,
        alignments=tuple("left" if column.kind in ("path", "text") else "right" for column in sheet.columns),
        below=(*([facts] if facts else []), *(note.separator.join(note.parts) for note in sheet.notes)),
    )


def _header(column: Column) -> str:
    """A header that stands alone: with the group it belongs to, where there are groups."""
    return f"{column.short_group} {column.title}" if column.group else column.title
