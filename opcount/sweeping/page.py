"""A sweep as one HTML page: any two columns against each other, their Pareto front, and a table to search and sort."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opcount.errors import InputError
from opcount.report.digits import plural
from opcount.report.escape import visible
from opcount.report.page import assembled
from opcount.sweeping.record import COLUMNS, WHOLE

if TYPE_CHECKING:
    from opcount.sweeping.results import Results

MOST = 20_000
"""Rows that a page holds; beyond, it has the front and every so many-th of the others, and says so."""

_LEFT_OUT = ("build", "inputs", "convention", "version", "execution")


def page(results: Results, x: str, y: str, maximize: str | Iterable[str], title: str) -> str:
    """The page, as ``Results.to_page`` has it."""
    most = (maximize,) if isinstance(maximize, str) else tuple(maximize)
    best = list(results.pareto(x, y, maximize=most))  # which also sees that there are such columns
    total = len(results)
    rows = list(results) if total <= MOST else _some(results, best, total)
    columns = [name for name in results.columns if name not in _LEFT_OUT]
    if not rows:
        raise InputError("there is no row to show: the condition leaves none")
    failures = sum(row["error"] is not None for row in rows)
    about = [
        plural(total, "point"),
        *([f"{plural(len(rows), 'point')} shown: the front and a sample"] * (total > MOST)),
    ]
    about += [f"{failures:,} could not be counted"] * bool(failures)
    return assembled(
        "points",
        visible(title),
        {
            "columns": [visible(name) for name in columns],
            "points": [visible(name) for name in columns if name not in COLUMNS],
            "figures": list(WHOLE),
            "rows": [[_cell(name, row.get(name)) for name in columns] for row in rows],
            "x": x,
            "y": y,
            "most": list(most),
            "about": " · ".join(about),
        },
    )


def _some(results: Results, best: list[dict[str, Any]], total: int) -> list[dict[str, Any]]:
    step = -(-total // MOST)
    sample = [row for at, row in enumerate(results) if at % step == 0]
    return [*best[:MOST], *(row for row in sample if row not in best)] if len(best) < MOST else best[:MOST]


def _cell(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in WHOLE:
        return str(value)  # digits: no reader rounds them
    if name == "uncounted":
        return visible(", ".join(value))
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)) and abs(value) < 2**53:
        return value
    return visible(str(value))
