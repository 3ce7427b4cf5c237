"""A sheet in one of the forms that a table has."""

from __future__ import annotations

from opcount.errors import InputError
from opcount.report.sheet import Sheet


def table(sheet: Sheet, form: str, width: int | None, asked_by: str, ascii_only: bool = False) -> str:
    """The sheet as text.

    Args:
        asked_by: the option that it answers, for the error.

    Raises:
        InputError: it cannot be written in that form.
    """
    if form == "rich":
        from opcount.report.terminal import text

        return text(sheet, width, ascii_only)
    if form == "plain":
        from opcount.report.plain import plain

        return plain(sheet)
    if form in ("markdown", "github"):
        from opcount.report.markdown import markdown

        return markdown(sheet, "pipe" if form == "markdown" else form)
    if form == "latex":
        from opcount.report.latex import latex

        return latex(sheet)
    raise InputError(f"{asked_by} has no form {form!r}; it has rich, plain, markdown, github, latex, csv and json")
