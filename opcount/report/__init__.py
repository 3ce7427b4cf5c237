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
    from opcount.report.sections import Section
    from opcount.report.sheet import Sheet
    from opcount.report.view import View
    from opcount.result import Profile

    Subject: TypeAlias = Profile | Comparison

Remarks: TypeAlias = Sequence[Sequence[str]]
"""For each model, words to add to its heading."""

FORMATS = ("rich", "plain", "markdown", "github", "latex", "html", "csv", "json", "speedscope", "chrome-trace")
"""The names of the forms; ``"rich"`` is the one for a terminal."""


def render(
    subject: Subject,
    form: str = "rich",
    remarks: Remarks = (),
    view: View | None = None,
    sections: Sequence[Section] = (),
) -> str:
    """A profile or a comparison as text in one of the ``FORMATS``.

    Nothing depends on a terminal, and every number is written out.

    Args:
        subject: what to write.
        form: its form.
        remarks: for each model, words to add to its heading.
        view: which rows a table has; not for the forms that are data.
        sections: what stands below it.

    Raises:
        InputError: there is no such form, or it has no such view or sections.

    >>> from opcount.result import Profile
    >>> print(render(Profile("Net", ((1, 8),), ()), "csv"))
    layer,type,output,calls,params,multiplications,additions,divisions,comparisons,transcendentals,macs,total,uncounted
    """
    from opcount.result import Profile

    if form not in FORMATS:
        raise InputError(f"there is no form {form!r}; there are {', '.join(FORMATS)}")
    if view is not None:
        view.check(form, several=not isinstance(subject, Profile))
    check_sections(form, [section.key for section in sections], several=not isinstance(subject, Profile))
    if form == "json":
        return _json(subject, sections)
    if form == "csv":
        return _csv(subject, view is not None and view.tree, sections)
    if form in ("speedscope", "chrome-trace"):
        from opcount.report import flame

        return flame.speedscope(subject) if form == "speedscope" else flame.chrome_trace(subject)
    report = render_table(form, _sheet(subject, remarks, view, terminal=form == "rich"))
    gap = "\n" if form == "html" else "\n\n"
    return gap.join([report, *(_section(form, section) for section in sections)])


def check_sections(form: str, keys: Sequence[str], several: bool) -> None:
    """Refuse sections that a form has no place for.

    Raises:
        InputError: it has none.
    """
    if keys and (form in ("speedscope", "chrome-trace") or (form == "csv" and several)):
        what = f"{form} of several models" if form == "csv" else form
        raise InputError(f"--{keys[0]} has no place in {what}: leave it out, or use rich, markdown or json")


def _section(form: str, section: Section) -> str:
    table = render_table(form, section.sheet)
    return f"{section.plot}\n\n{table}" if section.plot and form in ("rich", "plain") else table


def _json(subject: Subject, sections: Sequence[Section]) -> str:
    import json

    data = subject.to_dict() | {section.key: section.data for section in sections if section.data is not None}
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)


def render_sheet(sheet: Sheet) -> str:
    """A sheet as the text a terminal shows, as wide as it is; elsewhere nothing is left out."""
    from opcount.report.terminal import text

    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    return text(sheet, shutil.get_terminal_size().columns if on_terminal else None)


def render_table(form: str, sheet: Sheet) -> str:
    """A sheet in one of the forms that are tables."""
    if form == "html":
        from opcount.report.hypertext import hypertext

        return hypertext(sheet)
    from opcount.report.forms import table

    return table(sheet, form, None, "a table")


def render_text(
    subject: Subject,
    width: int | None = None,
    remarks: Remarks = (),
    view: View | None = None,
    sections: Sequence[Section] = (),
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
        sections: what stands below it.
        ascii_only: whether the output knows no more than ASCII.
    """
    from opcount.report.escape import to_ascii
    from opcount.report.terminal import text

    if width is None and sys.stdout is not None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    parts = [text(_sheet(subject, remarks, view), width, ascii_only)]
    for section in sections:
        parts += [to_ascii(section.plot) if ascii_only else section.plot] if section.plot else []
        parts.append(text(section.sheet, width, ascii_only))
    return "\n\n".join(parts)


def render_rich(
    subject: Subject, remarks: Remarks = (), view: View | None = None, sections: Sequence[Section] = ()
) -> Any:
    """The terminal's tables as something a rich console prints, as wide as that console."""
    import opcount.report.undisturbed  # noqa: F401 - before anything of rich

    # isort: split
    from rich.console import Group
    from rich.text import Text

    from opcount.report.terminal import Report

    report = Report(_sheet(subject, remarks, view))
    if not sections:
        return report
    plots = [Text(section.plot, no_wrap=True) if section.plot else None for section in sections]
    tables = [Report(section.sheet) for section in sections]
    return Group(report, *(each for pair in zip(plots, tables, strict=True) for each in pair if each is not None))


def render_html(subject: Subject) -> str:
    """The table as HTML for a notebook: what a terminal shows, without a width."""
    from opcount.report.hypertext import hypertext

    return hypertext(_sheet(subject, (), None, terminal=True))


def render_page(subject: Subject, sections: Sequence[Section] = ()) -> str:
    """The page that shows it, with sections below, as the text of one file.

    Raises:
        MissingExtraError: what draws it is not installed.
    """
    from opcount.report.page import page

    return page(subject, sections)


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


def _csv(subject: Subject, tree: bool, sections: Sequence[Section]) -> str:
    from opcount.report.spreadsheet import comparison_csv, difference_csv, profile_csv
    from opcount.result import Profile

    if isinstance(subject, Profile):
        return profile_csv(subject, {name: values for section in sections for name, values in section.columns.items()})
    return difference_csv(subject) if tree else comparison_csv(subject)
