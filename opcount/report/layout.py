"""Which columns fit, and the text of every cell. Nothing is ever cut: what does not fit is dropped, or folds.

Without a width, and from 100 columns on, numbers are written out; below, or where they do not fit, in SI units. Then
columns are dropped in the sheet's order. A path longer than half the terminal folds at its dots onto lines below, and
anywhere when nothing else helps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.cells import cell_len

from opcount.report import digits
from opcount.report.sheet import Cell, Column, Fact, Note, Row, Sheet

WIDE = 100
"""From this many columns on numbers are exact."""

GAP, INDENT = 2, 2
BAR_LEAST, BAR_MOST, BAR_PIPED = 5, 24, 10
_PATH_LEAST = 12


@dataclass(frozen=True, slots=True)
class Laid:
    """A sheet as text: each cell a string, each column as wide as it must be.

    Attributes:
        sheet: the sheet, without the columns that were dropped.
        headers: a text for each column.
        groups: the titles above neighbouring columns, each with how many it spans.
        rows: the cells of each row; a folded path holds line breaks.
        total: the cells of the last row.
        widths: of each column.
        facts: the figures beside the table.
        longest: what a full bar stands for: the largest share there is.
        width: of the whole, or None if it is not bounded.
    """

    sheet: Sheet
    headers: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None
    widths: tuple[int, ...]
    facts: tuple[str, ...]
    longest: int
    width: int | None


def lay_out(sheet: Sheet, width: int | None = None) -> Laid:
    """The sheet for a terminal of that many columns, or with everything if there is no width."""
    if width is None:
        return _laid(_Draft(_Texts(sheet, digits.exact), frozenset(), short=False), None)
    for draft in _drafts(sheet, width):
        if draft.needed() <= width:
            return _laid(draft, width)
    return _laid(draft, width) if sheet.instead is None else lay_out(sheet.instead, width)


def _drafts(sheet: Sheet, width: int) -> Iterator[_Draft]:
    """The ways to show a sheet, the best first."""
    for write in (digits.exact, digits.si) if width >= WIDE else (digits.si,):
        texts = _Texts(sheet, write, max(width // 2, _PATH_LEAST))
        dropped: frozenset[str] = frozenset()
        for step in (frozenset[str](), *sheet.drops):
            dropped |= step
            yield _Draft(texts, dropped, short=False)
            yield _Draft(texts, dropped, short=True)
    yield _Draft(texts, dropped, short=True).folded(width)


class _Texts:
    """Every cell of a sheet as text, measured once for all the ways to show it."""

    def __init__(self, sheet: Sheet, write: Callable[[int], str], longest_path: int | None = None) -> None:
        self.sheet, self.write = sheet, write
        self.lines = [self._texts(row) for row in (*sheet.rows, *([sheet.total] if sheet.total else []))]
        self.widths = [
            max((cell_len(line[index]) for line in self.lines), default=0) for index in range(len(sheet.columns))
        ]
        self.longest_path = longest_path
        if longest_path is not None and self.widths and self.widths[0] > longest_path:
            self.widths[0] = max(_widest(fold_path(line[0], longest_path, at_dots=True)) for line in self.lines)

    def _texts(self, row: Row) -> list[str]:
        pairs = zip(self.sheet.columns, row.cells, strict=True)
        return [cell_text(column, cell, self.sheet.whole, self.write) for column, cell in pairs]


class _Draft:
    """One way to show a sheet: some of its columns under long or short headers, the bars not drawn yet."""

    def __init__(self, texts: _Texts, dropped: frozenset[str], short: bool) -> None:
        columns = texts.sheet.columns
        self.texts, self.dropped = texts, dropped
        self.kept = [index for index, column in enumerate(columns) if column.key not in dropped]
        self.columns = [columns[index] for index in self.kept]
        self.headers = [column.short if short else column.title for column in self.columns]
        self.widths = [
            max(texts.widths[index], cell_len(header)) for index, header in zip(self.kept, self.headers, strict=True)
        ]
        self.groups = _groups([column.short_group if short else column.group for column in self.columns])
        end = 0
        for title, span in self.groups:  # a title wider than its columns widens the last of them
            end += span
            spare = sum(self.widths[end - span : end]) + GAP * (span - 1) - cell_len(title)
            self.widths[end - 1] += max(-spare, 0)
        self.longest_path, self.at_dots = texts.longest_path, True

    def needed(self) -> int:
        """The width it takes, with the smallest bars."""
        bars = sum(column.kind == "bar" for column in self.columns)
        return INDENT + sum(self.widths) + GAP * (len(self.widths) - 1) + BAR_LEAST * bars

    def folded(self, width: int) -> _Draft:
        """With paths folded to what the other columns leave."""
        self.at_dots = False
        self.longest_path = max(width - (self.needed() - self.widths[0]), _PATH_LEAST)
        self.widths[0] = max(map(_widest, (self.headers[0], *(line[0] for line in self.lines()))))
        return self

    def lines(self) -> list[tuple[str, ...]]:
        """The rows and, last, the total."""
        picked = [[line[index] for index in self.kept] for line in self.texts.lines]
        if self.longest_path is not None:
            for line in picked:
                line[0] = fold_path(line[0], self.longest_path, self.at_dots)
        return list(map(tuple, picked))


def cell_text(column: Column, cell: Cell, whole: int, write: Callable[[int], str] = digits.exact) -> str:
    """The text of a cell; bars are drawn later, when the width they have is known."""
    if column.kind == "bar":
        return ""
    if column.kind == "change":
        return digits.change(cell) if cell is None or isinstance(cell, (int, float)) else cell
    if cell is None:
        return "–" if column.kind == "count" else ""
    if isinstance(cell, int):
        return digits.share(cell, whole) if column.kind == "share" else write(cell)
    return str(cell)


def fold_path(path: str, width: int, at_dots: bool = False) -> str:
    """A path on as many lines as it takes: broken behind dots and spaces, within a name only if it must be.

    With ``at_dots`` a name is never broken, however long.

    >>> print(fold_path("encoder.layers.0.attention", 16))
    encoder.layers.
      0.attention
    """
    lines = [""]

    def begun() -> bool:
        return len(lines[-1]) > len("  " if len(lines) > 1 else "")

    for part in re.split(r"(?<=[. ])", path):
        if begun() and cell_len(lines[-1] + part) > width:
            lines.append("  ")
        for char in [part] if at_dots else part:
            if not at_dots and begun() and cell_len(lines[-1] + char) > width:
                lines.append("  ")
            lines[-1] += char
    return "\n".join(line.rstrip() for line in lines)


def fold(parts: tuple[str, ...], separator: str, width: int | None) -> list[str]:
    """Parts joined on as few lines as fit; a part that alone is too long breaks between its words."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}{separator}{part}" if lines else part
        if not lines or width is None or cell_len(joined) <= width:
            lines[-1:] = [joined]
        else:
            lines.append(part)
    return lines if width is None else [piece for line in lines for piece in _broken(line, width)]


def note_lines(note: Note, width: int | None) -> list[str]:
    """A note folded to the width that the indent leaves."""
    return fold(note.parts, note.separator, None if width is None else width - INDENT)


def _broken(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    pieces = [line[: len(indent) - 2]]
    for word in re.split(r" +(?!%|m?s\b)", line.strip()):  # a number stays with its unit
        glue = " " if pieces[-1].strip() else ""
        if glue and cell_len(f"{pieces[-1]} {word}") > width:
            pieces.append(indent + word)
        else:
            pieces[-1] += glue + word
    return pieces


def _groups(titles: list[str]) -> list[tuple[str, int]]:
    """Equal neighbours as one, with their number."""
    return [(title, len(list(run))) for title, run in itertools.groupby(titles)]


def _laid(draft: _Draft, width: int | None) -> Laid:
    """The draft with its bars given the room there is."""
    sheet = draft.texts.sheet
    for index, column in enumerate(draft.columns):
        if column.kind == "bar":
            room = BAR_PIPED if width is None else min(width - draft.needed() + BAR_LEAST, BAR_MOST)
            draft.widths[index] = max(room, BAR_LEAST)
    lines = draft.lines()
    said = [fact for fact in sheet.facts if _worth_saying(fact, draft)]
    return Laid(
        sheet=sheet.without(draft.dropped),
        headers=tuple(draft.headers),
        groups=tuple(draft.groups) if any(title for title, _ in draft.groups) else (),
        rows=tuple(lines[: len(sheet.rows)]),
        total=lines[-1] if sheet.total else None,
        widths=tuple(draft.widths),
        facts=tuple(map(fact_text, said)),
        longest=_longest(sheet),
        width=width,
    )


def _longest(sheet: Sheet) -> int:
    shares = (
        cell
        for row in sheet.rows
        for column, cell in zip(sheet.columns, row.cells, strict=True)
        if column.kind == "bar" and isinstance(cell, int)
    )
    return max(shares, default=0)


def _worth_saying(fact: Fact, draft: _Draft) -> bool:
    """Whether the table does not say it already, to the last digit."""
    rounded = draft.texts.write is digits.si and max(fact.counts, default=0) >= digits.EXACT_BELOW
    return not fact.column or fact.column in draft.dropped or rounded


def fact_text(fact: Fact) -> str:
    """A figure beside the table, in words and in full.

    >>> fact_text(Fact("MAC", (405_600,))), fact_text(Fact("MAC", (405_600, 51_224), change=-87.37))
    ('405,600 MACs', 'MACs 405,600 → 51,224 (-87.37 %)')
    """
    if len(fact.counts) == 1:
        return f"{digits.exact(fact.counts[0])} {fact.noun}{'' if fact.counts[0] == 1 else 's'}"
    change = f" ({digits.change(fact.change)})" if fact.change is not None else ""
    return f"{fact.noun}s {' → '.join(map(digits.exact, fact.counts))}{change}"


def _widest(text: str) -> int:
    return max(map(cell_len, text.split("\n")))
