"""A sheet as Markdown: pipe tables with or without alignment, names escaped."""

from __future__ import annotations

from tabulate import tabulate

from opcount.report.escape import markdown as escape
from opcount.report.grid import grid
from opcount.report.sheet import Sheet


def markdown(sheet: Sheet, form: str = "pipe") -> str:
    """The sheet in tabulate's ``"pipe"`` or ``"github"`` form, its headings above and its notes below."""
    cells = grid(sheet).escaped(escape)
    total = [tuple(f"**{text}**" if text else "" for text in cells.total)] if cells.total else []
    table = tabulate(
        [*cells.rows, *total],
        headers=cells.headers,
        tablefmt=form,
        disable_numparse=True,
        colalign=cells.alignments,
    )
    below = [f"- {line.strip()}" if line.startswith(" ") else line for line in cells.below]
    return "\n\n".join([*cells.above, table, *below])
