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
    import pandas

    from opcount.comparison import Comparison
    from opcount.report.sheet import Sheet
    from opcount.report.view import View
    from opcount.result import Profile

    Subject: TypeAlias = Profile | Comparison

Remarks: TypeAlias = Sequence[Sequence[str]]
"""For each model, words to add to its heading."""

FORMATS = ("rich", "plain", "markdown", "github", "latex", "html", "csv", "json", "speedscope", "chrome-trace")
"""The names of the forms; ``"rich"`` is the one for a terminal."""


def render(subject: Subject, form: str = "rich", remarks: Remarks = (), view: View | None = None) -> str:
    """A profile or a comparison as text in one of the ``FORMATS``.

    Nothing depends on a terminal, and every number is written out.

    Args:
        subject: what to write.
        form: its form.
        remarks: for each model, words to add to its heading.
        view: which rows a table has; not for the forms that are data.

    Raises:
        InputError: there is no such form, or it has no such view.

    >>> from opcount.result import Profile
    >>> print(render(Profile("Net", ((1, 8),), ()), "csv"))
    layer,type,output,calls,params,multiplications,additions,divisions,comparisons,transcendentals,macs,total,uncounted
    """
    from opcount.result import Profile

    if form not in FORMATS:
        raise InputError(f"there is no form {form!r}; there are {', '.join(FORMATS)}")
    if view is not None:
        view.check(form, several=not isinstance(subject, Profile))
    if form == "json":
        return subject.to_json()
    if form == "csv":
        return _csv(subject, tree=view is not None and view.tree)
    if form in ("speedscope", "chrome-trace"):
        from opcount.report import flame

        return flame.speedscope(subject) if form == "speedscope" else flame.chrome_trace(subject)
    return _table(form, _sheet(subject, remarks, view, terminal=form == "rich"))


def _table(form: str, sheet: Sheet) -> str:
    """A sheet in one of the forms that are tables."""
    if form == "plain":
        from opcount.report.plain import plain

        return plain(sheet)
    if form in ("markdown", "github"):
        from opcount.report.markdown import markdown

        return markdown(sheet, "pipe" if form == "markdown" else form)
    if form == "latex":
        from opcount.report.latex import latex

        return latex(sheet)
    if form == "html":
        from opcount.report.hypertext import hypertext

        return hypertext(sheet)
    from opcount.report.terminal import text

    return text(sheet)


def render_text(
    subject: Subject,
    width: int | None = None,
    remarks: Remarks = (),
    view: View | None = None,
    *,
    ascii_only: bool = False,
) -> str:
    """The terminal's table as text without colour.

    Args:
        subject: what to show.
        width: how wide it may be. None is the terminal's own width where stdout is one; elsewhere nothing is left out
            and every number is exact.
        remarks: for each model, words to add to its heading.
        view: which rows it has.
        ascii_only: whether the output knows no more than ASCII.
    """
    from opcount.report.terminal import text

    if width is None and sys.stdout is not None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return text(_sheet(subject, remarks, view), width, ascii_only)


def render_rich(subject: Subject, remarks: Remarks = (), view: View | None = None) -> Any:
    """The terminal's table as something a rich console prints, as wide as that console."""
    from opcount.report.terminal import Report

    return Report(_sheet(subject, remarks, view))


def render_html(subject: Subject) -> str:
    """The table as HTML for a notebook: what a terminal shows, without a width."""
    from opcount.report.hypertext import hypertext

    return hypertext(_sheet(subject, (), None, terminal=True))


def render_page(subject: Subject) -> str:
    """The page that shows it, as the text of one file.

    Raises:
        MissingExtraError: what draws it is not installed.
    """
    from opcount.report.page import page

    return page(subject)


def render_frame(profile: Profile) -> pandas.DataFrame:
    """The layers as a pandas DataFrame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    from opcount.report.frame import dataframe

    return dataframe(profile)


def _sheet(subject: Subject, remarks: Remarks, view: View | None, *, terminal: bool = True) -> Sheet:
    from opcount.report.layers import layers_sheet
    from opcount.result import Profile

    if isinstance(subject, Profile):
        return layers_sheet(subject, remarks[0] if remarks else (), view, terminal=terminal)
    from opcount.report.models import comparison_sheet

    return comparison_sheet(subject, remarks, view, terminal=terminal)


def _csv(subject: Subject, tree: bool) -> str:
    from opcount.report.spreadsheet import comparison_csv, difference_csv, profile_csv
    from opcount.result import Profile

    if isinstance(subject, Profile):
        return profile_csv(subject)
    return difference_csv(subject) if tree else comparison_csv(subject)
