"""A profile or a comparison as comma-separated values: every figure a whole number.

There is no row of totals, so that the columns add up to them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from opcount.comparison import Comparison, Layer
from opcount.ops import FIGURES, OpCount
from opcount.report.escape import spreadsheet as safe, visible
from opcount.report.layers import output_text, path_text, shown
from opcount.report.models import model_labels
from opcount.report.phases import phase_figures
from opcount.result import Profile

_COSTS = (*FIGURES, "total")


def profile_csv(profile: Profile, more: Mapping[str, Mapping[str, str | int | float]] = {}) -> str:
    """The layers of a profile: what they are, the six figures and their total, and what was not counted.

    Args:
        profile: what to write.
        more: further columns, for each its values by path.
    """
    phases = [name for name, _, _ in phase_figures(profile.phases)]
    header = ("layer", "type", "output", "calls", "params", *_COSTS, *phases, "uncounted", *more)
    return _written([header, *_layers(profile, more)])


def comparison_csv(comparison: Comparison) -> str:
    """The parts of a comparison: for each model parameters, the six figures and their total, or nothing."""
    labels = model_labels(comparison)
    header = ["layer", *(safe(f"{label} {figure}") for label in labels for figure in ("params", *_COSTS))]
    header += [safe(f"{label} change %") for label in labels[1:]]
    return _written([header, *_parts(comparison)])


def difference_csv(comparison: Comparison) -> str:
    """The layers of a comparison: what became of each, where and what it is in each model, and its own costs there."""
    labels = model_labels(comparison)
    header = ["status"]
    for label in labels:
        header += [safe(f"{label} {name}") for name in ("layer", "type", "params", *_COSTS)]
    return _written([header, *map(_layer, comparison.layers)])


def _layer(layer: Layer) -> list[str | int]:
    cells: list[str | int] = [layer.status]
    for path, kind, ops, params in zip(layer.paths, layer.types, layer.ops, layer.params, strict=True):
        if path is None or ops is None or params is None:
            cells += [""] * (len(_COSTS) + 3)
        else:
            cells += [safe(path_text(path)), safe(visible(kind or "")), params, *_costs(ops)]
    return cells


def _layers(profile: Profile, more: Mapping[str, Mapping[str, str | int | float]]) -> Iterator[list[str | int | float]]:
    phases = phase_figures(profile.phases)
    further = {path for values in more.values() for path, value in values.items() if value}
    rows = {record.path for record in shown(profile)} | further
    for record in (record for record in profile.layers if record.path in rows):
        missing = "; ".join(visible(item.name) for item in record.uncounted)
        yield [
            safe(path_text(record.path)),
            safe(visible(record.type)),
            output_text(record) or "",
            record.calls,
            record.params,
            *_costs(record.ops),
            *(getattr(record.phase(phase), figure) for _, phase, figure in phases),
            safe(missing),
            *(values.get(record.path, "") for values in more.values()),
        ]


def _parts(comparison: Comparison) -> Iterator[list[str | int]]:
    for row in comparison.rows:
        cells: list[str | int] = [safe(path_text(row.path))]
        for ops, params in zip(row.ops, row.params, strict=True):
            cells += ["" if params is None else params, *([""] * len(_COSTS) if ops is None else _costs(ops))]
        cells += ["" if percent is None else f"{percent:.4f}" for percent in row.change()]
        yield cells


def _costs(ops: OpCount) -> list[int]:
    return [getattr(ops, figure) for figure in _COSTS]


def _written(rows: Iterable[Iterable[str | int | float]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().rstrip("\n")
