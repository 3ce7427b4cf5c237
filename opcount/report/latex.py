"""A sheet as LaTeX: a ``tabular`` with booktabs rules, headings and notes as comments around it."""

from __future__ import annotations

import re

from tabulate import SEPARATING_LINE, tabulate

from opcount.report.grid import grid
from opcount.report.sheet import Sheet


def latex(sheet: Sheet) -> str:
    r"""The sheet in tabulate's ``"latex_booktabs"`` form, escaped; it needs ``\usepackage{booktabs}``."""
    cells = grid(sheet).escaped(lambda text: text.replace("–", "--"))
    table = tabulate(
        [*cells.rows, *([SEPARATING_LINE, cells.total] if cells.total else [])],
        headers=cells.headers,
        tablefmt="latex_booktabs",
        disable_numparse=True,
        colalign=cells.alignments,
    )
    # a bracket or star that begins a row would be read as an option of the line break or rule before it
    table = re.sub(r"^(\s*)([\[*])", r"\1{\2}", table, flags=re.MULTILINE)
    comments = [f"% {line}" for line in cells.above]
    return "\n".join([*comments, table, *(f"% {line}" for line in cells.below)])
