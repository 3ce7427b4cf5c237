"""A scatter plot of two columns of a sweep, with the Pareto front as a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opcount.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from opcount.sweeping.results import Results

WIDE = 20.0
"""From this ratio of largest to smallest on, an axis is logarithmic."""


def scatter(results: Results, path: str | None, x: str, y: str, maximize: str | Iterable[str]) -> Any:
    """The plot, as ``Results.plot`` has it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a plot needs matplotlib: pip install 'opcount[study]'") from None
    most = (maximize,) if isinstance(maximize, str) else tuple(maximize)
    best = list(results.pareto(x, y, maximize=most))
    places = [(row[x], row[y]) for row in results if _number(row.get(x)) and _number(row.get(y))]
    if not places:
        raise InputError(f"no row has a number under both {x!r} and {y!r}, so there is nothing to draw")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    number = "1 point" if len(places) == 1 else f"{len(places):,} points"
    axes.scatter([p[0] for p in places], [p[1] for p in places], s=14, alpha=0.5, linewidths=0, label=number)
    front = [(row[x], row[y]) for row in best]
    axes.plot(*zip(*front), marker="o", markersize=4, color="tab:red", label=f"Pareto front, {len(set(front)):,}")
    for name, axis, values in ((x, "x", [p[0] for p in places]), (y, "y", [p[1] for p in places])):
        getattr(axes, f"set_{axis}label")(f"{name}{' (more is better)' if name in most else ''}")
        if min(values) > 0 and max(values) / min(values) >= WIDE:
            getattr(axes, f"set_{axis}scale")("log")
    axes.grid(alpha=0.25)
    axes.legend()
    if path is not None:
        from opcount.report.files import write_picture

        write_picture(path, figure, dpi=144)
    return figure


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
