"""A reconciliation as a table: what opcount counts, the items, what the tool reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opcount.errors import InputError
from opcount.report.escape import visible
from opcount.report.layers import path_text, shape_text
from opcount.report.sheet import Column, Note, Row, Sheet

if TYPE_CHECKING:
    from opcount.reconciling.reconciliation import Item, Reconciliation

FORMS = ("rich", "plain", "markdown", "github", "latex", "json")

_COLUMNS = (
    Column("why", "why the figures differ", "why", "path"),
    Column("amount", "figure", "figure", "change"),
    Column("calls", "calls", "calls", "change"),
    Column("where", "where", "where", "text"),
)


def render(found: Reconciliation, form: str = "rich", width: int | None = None, ascii_only: bool = False) -> str:
    """The table in one of the ``FORMS``.

    Raises:
        InputError: it is not written in that form.
    """
    if form not in FORMS:
        raise InputError(f"--versus is not written as {form}: it has {', '.join(FORMS)}")
    if form == "json":
        return json.dumps(found.to_dict(), indent=1, ensure_ascii=False)
    sheet = _sheet(found)
    if form == "rich":
        from opcount.report.terminal import text

        return text(sheet, width, ascii_only)
    if form == "plain":
        from opcount.report.plain import plain

        return plain(sheet)
    if form == "latex":
        from opcount.report.latex import latex

        return latex(sheet)
    from opcount.report.markdown import markdown

    return markdown(sheet, "pipe" if form == "markdown" else form)


def _sheet(found: Reconciliation) -> Sheet:
    inputs = ", ".join(map(shape_text, found.inputs))
    ours = Row(("opcount: the multiplications of contractions", f"{found.macs:,}", "", None))
    return Sheet(
        headings=((visible(found.model), *([f"input {inputs}"] if inputs else []), f"versus {found.tool.title}"),),
        columns=_COLUMNS,
        rows=(ours, *map(_row, found.items)),
        total=Row((f"{found.tool.name} reports", f"{found.reported:,}", "", None)),
        whole=0,
        drops=(frozenset({"where"}), frozenset({"calls"})),
        notes=tuple(_notes(found)),
    )


def _row(item: Item) -> Row:
    return Row((item.reason, f"{item.amount:+,}", f"{item.calls:,}" if item.calls else "", _where(item)))


def _where(item: Item) -> str | None:
    """The first layer, and how many more."""
    if not item.paths:
        return None
    more = f" and {len(item.paths) - 1:,} more" if len(item.paths) > 1 else ""
    return path_text(item.paths[0]) + more


def _notes(found: Reconciliation) -> Iterator[Note]:
    tool = found.tool
    same = "the two agree" if not found.items else f"the items sum to the difference of {found.difference:+,}"
    yield Note((same,), good=True)
    yield Note((f"its figure: {tool.figure}",))
    yield Note((f"asked: {tool.asked}",))
    yield Note((f"read from {tool.source}",))
    for limit in tool.limits:
        yield Note((f"not reproduced: {limit}",))
