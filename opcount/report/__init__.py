"""A profile or a comparison in a form: on the terminal or in a file.

rich and tabulate are imported when a form needs them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from opcount.errors import InputError

if TYPE_CHECKING:
    from opcount.comparison import Comparison
    from opcount.report.sheet import Sheet
    from opcount.result import Profile

    Subject: TypeAlias = Profile | Comparison

Remarks: TypeAlias = Sequence[Sequence[str]]
"""For each model, words to add to its heading."""

FORMATS = ("rich", "plain", "markdown", "github", "latex", "csv", "json")
"""The names of the forms; ``"rich"`` is the one for a terminal."""


def render(subject: Subject, form: str = "rich", remarks: Remarks = ()) -> str:
    """A profile or a comparison as text in one of the ``FORMATS``.

    Nothing depends on a terminal, and every number is written out.

    Args:
        subject: what to write.
        form: its form.
        remarks: for each model, words to add to its heading.

    Raises:
        InputError: there is no such form.

    >>> from opcount.result import Profile
    >>> print(render(Profile("Net", ((1, 8),), ()), "csv"))
    layer,type,output,calls,params,multiplications,additions,divisions,comparisons,transcendentals,macs,total,uncounted
    """
    if form == "json":
        return subject.to_json()
    if form == "csv":
        return _csv(subject)
    sheet = _sheet(subject, remarks)
    if form == "plain":
        from opcount.report.plain import plain

        return plain(sheet)
    if form in ("markdown", "github"):
        from opcount.report.markdown import markdown

        return markdown(sheet, "pipe" if form == "markdown" else form)
    if form == "latex":
        from opcount.report.latex import latex

        return latex(sheet)
    if form == "rich":
        from opcount.report.terminal import text

        return text(sheet)
    raise InputError(f"there is no form {form!r}; there are {', '.join(FORMATS)}")


def render_text(subject: Subject, width: int | None = None, remarks: Remarks = (), *, ascii_only: bool = False) -> str:
    """The terminal's table as text without colour.

    Args:
        subject: what to show.
        width: how wide it may be. None is the terminal's own width where stdout is one; elsewhere nothing is left out
            and every number is exact.
        remarks: for each model, words to add to its heading.
        ascii_only: whether the output knows no more than ASCII.
    """
    from opcount.report.terminal import text

    if width is None and sys.stdout is not None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return text(_sheet(subject, remarks), width, ascii_only)


def render_rich(subject: Subject, remarks: Remarks = ()) -> Any:
    """The terminal's table as something a rich console prints, as wide as that console."""
    from opcount.report.terminal import Report

    return Report(_sheet(subject, remarks))


def _sheet(subject: Subject, remarks: Remarks) -> Sheet:
    from opcount.report.layers import layers_sheet
    from opcount.result import Profile

    if isinstance(subject, Profile):
        return layers_sheet(subject, remarks[0] if remarks else ())
    from opcount.report.models import comparison_sheet

    return comparison_sheet(subject, remarks)


def _csv(subject: Subject) -> str:
    from opcount.report.spreadsheet import comparison_csv, profile_csv
    from opcount.result import Profile

    return profile_csv(subject) if isinstance(subject, Profile) else comparison_csv(subject)
