"""A sheet on a terminal, by rich: colours and bars there, the same text without them where the output is piped."""

from __future__ import annotations

import io

import opcount.report.undisturbed  # noqa: F401 - before anything of rich

# isort: split
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from opcount.report import digits
from opcount.report.escape import to_ascii
from opcount.report.layout import GAP, INDENT, Laid, fold, lay_out, note_lines
from opcount.report.sheet import Row, Sheet

_ALIGNED_LEFT = ("path", "text", "bar")
_CHANGED = {"added": "green", "removed": "red", "same": "dim"}
_GOOD = {True: "green", False: "yellow", None: "dim"}


class Report:
    """A sheet that rich can print; it takes the width of the console it is printed on."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        laid = lay_out(self.sheet.in_ascii() if options.ascii_only else self.sheet, options.max_width)
        table = _table(laid, options.ascii_only)
        needed = max(options.max_width, INDENT + sum(laid.widths) + GAP * len(laid.widths))
        yield Text()
        for line in _headings(laid):
            yield _safe(line, options.ascii_only)
        yield Text()
        if laid.groups:
            yield _safe(_group_line(laid), options.ascii_only)
        yield from console.render(table, options.update(width=needed))
        for line in _below(laid):
            yield _safe(line, options.ascii_only)
        yield Text()


def text(sheet: Sheet, width: int | None = None, ascii_only: bool = False) -> str:
    """The same without colour, for a pipe or a file; without a width nothing is dropped and numbers are exact."""
    laid = lay_out(sheet.in_ascii() if ascii_only else sheet, width)
    room = INDENT + sum(laid.widths) + GAP * len(laid.widths)
    out = io.StringIO()
    console = Console(
        file=out, width=room, color_system=None, force_terminal=False, legacy_windows=False, _environ={},
        force_jupyter=False,  # or in a notebook it shows what it prints there, and nothing reaches the file
    )  # fmt: skip
    console.print(_table(laid, ascii_only), crop=False)
    lines = [
        *(line.plain for line in _headings(laid)),
        "",
        *([_group_line(laid).plain] if laid.groups else []),
        *out.getvalue().splitlines(),
    ]
    lines += [line.plain for line in _below(laid)]
    kept = "\n".join(line.rstrip() for line in lines)
    return to_ascii(kept) if ascii_only else kept


def _table(laid: Laid, ascii_only: bool) -> Table:
    table = Table(box=None, padding=(0, 0, 0, GAP), pad_edge=True, show_edge=False, header_style="bold dim")
    for column, header, width in zip(laid.sheet.columns, laid.headers, laid.widths, strict=True):
        left = column.kind in _ALIGNED_LEFT
        table.add_column(
            _safe(Text(header), ascii_only), justify="left" if left else "right", width=width, no_wrap=True
        )
    for row, cells in zip(laid.sheet.rows, laid.rows, strict=True):
        table.add_row(*_cells(laid, row, cells, ascii_only))
    if laid.total is not None and laid.sheet.total is not None:
        table.add_section()
        table.add_row(*_cells(laid, laid.sheet.total, laid.total, ascii_only, total=True), style="bold")
    return table


def _group_line(laid: Laid) -> Text:
    """The titles above the headers, each in the middle of the columns it spans."""
    line, start, widths = "", INDENT, list(laid.widths)
    for title, span in laid.groups:
        room = sum(widths[:span]) + GAP * (span - 1)
        del widths[:span]
        line = line.ljust(start) + " " * max((room - cell_len(title)) // 2, 0) + title
        start += room + GAP
    return Text(line, style="bold dim")


def _cells(laid: Laid, row: Row, cells: tuple[str, ...], ascii_only: bool, total: bool = False) -> list[Text]:
    texts = []
    for column, cell, value, width in zip(laid.sheet.columns, cells, row.cells, laid.widths, strict=True):
        style = ""
        if column.kind == "bar" and not total and isinstance(value, int):
            cell, style = digits.bar(value, laid.longest, width, ascii_only), "cyan"
        elif column.kind == "path" and row.incomplete:
            style = "yellow"
        elif column.kind == "path":
            style = _CHANGED.get(row.status, "")
        elif not total and (column.kind == "text" or cell in ("0", "–", "0.0 %", "=")):
            style = "dim"
        elif column.kind == "change" and isinstance(value, float):
            style = "green" if value < 0 else "red" if value > 0 else "dim"
        texts.append(_safe(Text(cell, style=style), ascii_only))
    return texts


def _headings(laid: Laid) -> list[Text]:
    lines = []
    for parts in laid.sheet.headings:
        folded = fold(parts, " · ", None if laid.width is None else laid.width - INDENT)
        for index, line in enumerate(folded):
            shown = Text(" " * INDENT + line)
            if index == 0:
                shown.stylize("bold", INDENT, INDENT + len(parts[0]))
            lines.append(shown)
    return lines


def _below(laid: Laid) -> list[Text]:
    lines = []
    if laid.facts:
        folded = fold(laid.facts, " · ", None if laid.width is None else laid.width - INDENT)
        lines += [Text(" " * INDENT + line, style="dim") for line in ("", *folded)]
    for index, note in enumerate(laid.sheet.notes):
        if index == 0:
            lines.append(Text())
        for number, line in enumerate(note_lines(note, laid.width)):
            shown = Text(" " * INDENT + line, style="dim" if note.good is not False else _GOOD[False])
            if note.good and number == 0:
                shown.stylize("not dim green", INDENT, INDENT + len(note.parts[0]))
            lines.append(shown)
    return lines


def _safe(text: Text, ascii_only: bool) -> Text:
    return Text(to_ascii(text.plain), style=text.style) if ascii_only else text
