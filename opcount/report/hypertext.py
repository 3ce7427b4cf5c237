"""A sheet as an HTML table for a document or a notebook: no style sheet, no script, names escaped."""

from __future__ import annotations

from html import escape

from tabulate import tabulate

from opcount.report.grid import grid
from opcount.report.sheet import Sheet


def hypertext(sheet: Sheet) -> str:
    """The sheet in tabulate's ``"html"`` form, its headings above and its notes below."""
    cells = grid(sheet)
    table = tabulate(
        [*cells.rows, *([cells.total] if cells.total else [])],
        headers=cells.headers,
        tablefmt="html",  # which escapes what it is given
        disable_numparse=True,
        colalign=cells.alignments,
    )
    above = [f"<p>{_text(line)}</p>" for line in cells.above]
    below = [f"<p>{_text(line)}</p>" for line in cells.below]
    return "\n".join(['<div class="opcount">', *above, table, *below, "</div>"])


def _text(line: str) -> str:
    return escape(line, quote=False)
