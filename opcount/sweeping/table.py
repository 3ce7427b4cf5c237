"""The rows of a sweep as a table, in every form a report has, and as a DataFrame."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from opcount.errors import InputError, MissingExtraError
from opcount.parsing import did_you_mean, listed
from opcount.report import render_table
from opcount.report.digits import plural
from opcount.report.escape import spreadsheet, visible
from opcount.report.sheet import Cell, Column, Note, Row, Sheet
from opcount.sweeping.record import COLUMNS, PEAK, WHOLE

if TYPE_CHECKING:
    import pandas

    from opcount.sweeping.results import Results

FORMS = ("rich", "plain", "markdown", "github", "latex", "html", "csv", "json")
_SHOWN = {
    "multiplications": ("multiplications", "mults"),
    "additions": ("additions", "adds"),
    "macs": ("MACs", "MACs"),
    "params": ("params", "params"),
    PEAK: ("peak activation bytes", "peak bytes"),
}
"""The figures most asked for, with their headers, the second for where room is scarce."""

_DROPS = tuple(frozenset({name}) for name in (PEAK, "additions", "multiplications", "note", "params"))


def render(results: Results, form: str, *, top: int | None = None, title: str = "sweep") -> str:
    """The rows as text.

    Raises:
        InputError: there is no such form.
    """
    if form not in FORMS:
        raise InputError(f"a sweep has no form {form!r}{did_you_mean(form, FORMS)} (forms: {listed(FORMS, 9)})")
    if form == "csv":
        return _csv(results)
    if form == "json":
        return _json(results)
    return render_table(form, sheet(results, top, title))


def sheet(results: Results, top: int | None = None, title: str = "sweep") -> Sheet:
    """The rows, or the first of them, as a sheet: the points, the figures most asked for, and what went wrong."""
    each = iter(results)
    rows = list(each if top is None else islice(each, top))
    more = sum(1 for _ in each)
    names = list(dict.fromkeys(name for row in rows for name in row))
    own = [name for name in names if name not in COLUMNS]
    noted = any(_remark(row) for row in rows)
    columns = [Column(name, visible(name), visible(name), "path" if not at else "text") for at, name in enumerate(own)]
    shown = [name for name in _SHOWN if name != PEAK or any(row[PEAK] is not None for row in rows)]
    columns += [Column(name, *_SHOWN[name], "count") for name in shown]
    columns += [Column("note", "", "", "text")] if noted else []
    notes = [Note((f"and {plural(more, 'more row')}",))] if more else []
    return Sheet(
        headings=((visible(title), plural(len(rows) + more, "row")),),
        columns=tuple(columns) or (Column("point", "point", "point", "path"),),
        rows=tuple(Row(_cells(row, own, shown, noted), incomplete=bool(_remark(row))) for row in rows),
        total=None,
        whole=0,
        drops=_DROPS,
        notes=tuple(notes),
    )


def _cells(row: dict[str, Any], own: Sequence[str], shown: Sequence[str], noted: bool) -> tuple[Cell, ...]:
    figures: list[Cell] = [row[name] for name in shown]
    return (*(_word(row.get(name)) for name in own), *figures, *([_remark(row)] if noted else []))


def _word(value: Any) -> str:
    if value is None:
        return "–"
    return visible(f"{value:g}" if isinstance(value, float) else str(value))


def _remark(row: dict[str, Any]) -> str:
    if row["error"] is not None:
        return visible(row["error"] if len(row["error"]) <= 80 else f"{row['error'][:79]}…")
    return "" if row["complete"] else f"not counted: {visible(listed(row['uncounted']))}"


def _csv(results: Results) -> str:
    out = io.StringIO()
    columns = results.columns
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([spreadsheet(name) for name in columns])
    for row in results:
        writer.writerow([_field(row.get(name)) for name in columns])
    return out.getvalue().rstrip("\n")


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value):
        return spreadsheet(", ".join(value))
    return spreadsheet(value) if isinstance(value, str) else value


def _json(results: Results) -> str:
    rows = [{name: _number(name, value) for name, value in row.items()} for row in results]
    return json.dumps({"schema": "opcount-sweep/1", "rows": rows}, indent=1, ensure_ascii=False, default=str)


def _number(name: str, value: Any) -> Any:
    """As in the JSON of a profile: a whole number beyond 2**53 as a string, since many readers would round it."""
    return str(value) if name in WHOLE and value is not None and abs(value) > 2**53 else value


def dataframe(rows: list[dict[str, Any]], columns: Iterable[str]) -> pandas.DataFrame:
    """The rows as a DataFrame."""
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("to_dataframe() needs pandas, which is not installed: pip install pandas") from None
    return pandas.DataFrame({name: _series(pandas, name, rows) for name in columns})


def _series(pandas: Any, name: str, rows: list[dict[str, Any]]) -> Any:
    values = [row.get(name) for row in rows]
    whole = name in WHOLE or (values and all(type(value) is int for value in values))
    if whole and all(value is None or abs(value) < 2**63 for value in values):
        return pandas.Series(values, dtype="Int64" if None in values else "int64")
    if whole or not all(isinstance(value, float) for value in values):
        return pandas.Series(values, dtype="bool" if values and all(type(v) is bool for v in values) else object)
    return pandas.Series(values, dtype="float64")
