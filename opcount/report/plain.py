"""A sheet as plain text in columns, for a file or a mail: no bars, no colour, every number in full."""

from __future__ import annotations

from tabulate import tabulate

from opcount.report.grid import grid
from opcount.report.sheet import Sheet


def plain(sheet: Sheet) -> str:
    """The sheet in tabulate's ``"plain"`` form, its headings above and its notes below."""
    cells = grid(sheet)
    table = tabulate(
        [*cells.rows, *([cells.total] if cells.total else [])],
        headers=cells.headers,
        tablefmt="plain",
        disable_numparse=True,
        colalign=cells.alignments,
    )
    lines = [*cells.above, "", *table.splitlines(), "", *cells.below]
    return "\n".join(line.rstrip() for line in lines)
