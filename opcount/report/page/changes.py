"""What changed between models, as the page's table of changes has it."""

from __future__ import annotations

from typing import Any

from opcount.comparison import Comparison, Row
from opcount.ops import FIGURES, OpCount
from opcount.report.difference import folded_lines, status, type_text
from opcount.report.digits import change
from opcount.report.escape import visible
from opcount.report.view import View

COMPARED = ("total", *FIGURES, "params")


def changes(comparison: Comparison) -> dict[str, Any]:
    """For every line of the tree of changes: how deep it is, what it is, its status, and each figure in each model."""
    lines, same = folded_lines(comparison, View())
    return {
        "figures": list(COMPARED),
        "total": _cells(comparison.total),
        "rows": [
            {
                "level": line.level,
                "name": "(own)" if line.own and line.level else visible(line.label) or "(model)",
                "path": visible(line.path),
                "type": "" if line.own else type_text(line),
                "status": status(line, line.node in same),
                "cells": _cells(Row(line.path, line.ops, line.params)),
            }
            for line in lines
        ],
    }


def _cells(row: Row) -> dict[str, list[list[str | None]]]:
    """By figure: the counts as digits, and the changes in percent as text."""
    cells: dict[str, list[list[str | None]]] = {}
    for figure in COMPARED:
        counts: list[str | None] = [None if count is None else str(count) for count in row.values(figure)]
        cells[figure] = [counts, [_change(row.ops[0], percent) for percent in row.change(figure)]]
    return cells


def _change(first: OpCount | None, percent: float | None) -> str:
    return "new" if first is None else change(percent)
