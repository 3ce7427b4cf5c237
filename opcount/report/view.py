"""What a table shows of a model: each layer or a tree, how deep, folded, sorted, and how many.

Nothing is hidden by any of it: what has no row of its own is part of another, so that rows sum to the total.
"""

from __future__ import annotations

from dataclasses import dataclass

from opcount.errors import InputError
from opcount.ops import FIGURES
from opcount.parsing import did_you_mean

_NAMES = {"mults": "multiplications", "adds": "additions", "flops": "total", "ops": "total", "share": "total"}
_TEXTS = ("layer", "type", "output")
SORTABLE = (*_TEXTS, "calls", "params", *FIGURES, "total", "share")
"""What rows can be sorted by."""

TABLES = ("rich", "plain", "markdown", "github", "latex", "html")
"""The forms that are tables, and so have a view."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a subject is shown.

    Args:
        tree: indent layers under what they are part of; a row then includes the rows below it.
        depth: how deep to go; what is deeper is summed into the row above it. The children of the model are 1 deep.
        fold: one row for neighbours that are the same; None does so on a terminal where it saves a third of a long
            table.
        sort: a column; numbers come largest first, and what is sorted within a tree is siblings.
        top: how many rows to list; one row more stands for the rest.

    Raises:
        InputError: a number or a column that cannot be.

    >>> View(sort="mults").figure
    'multiplications'
    """

    tree: bool = False
    depth: int | None = None
    fold: bool | None = None
    sort: str | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.sort is not None and self.figure not in SORTABLE:
            raise InputError(
                f"there is no column {self.sort!r}{did_you_mean(self.sort, (*SORTABLE, *_NAMES))} "
                f"(columns: {', '.join(SORTABLE)})"
            )
        for option, value, least in (("depth", self.depth, 0), ("top", self.top, 1)):
            if value is not None and value < least:
                raise InputError(f"--{option} {value} shows nothing: give {least} or more")
        if self.tree and self.top is not None:
            raise InputError("--top ranks rows, and those of a tree contain one another: leave out --top or --tree")

    @property
    def figure(self) -> str:
        """The column to sort by under its full name, or ``""``."""
        word = (self.sort or "").casefold()
        return _NAMES.get(word, word)

    @property
    def ascending(self) -> bool:
        """Whether the column is one of words."""
        return self.figure in _TEXTS

    def check(self, form: str, several: bool = False) -> None:
        """Refuse what a form cannot show, rather than ignore it. Of several models CSV has a tree: layer by layer.

        Raises:
            InputError: the form is data, which is always written in full.
        """
        if form not in TABLES and self != View() and not (several and form == "csv" and self == View(tree=True)):
            names = ("tree", "depth", "fold", "sort", "top")
            option = next((name for name in names if getattr(self, name) not in (None, False)), "no-fold")
            raise InputError(
                f"--{option} shapes a table, and {form} is written in full: leave it out, or use {', '.join(TABLES)}"
            )
