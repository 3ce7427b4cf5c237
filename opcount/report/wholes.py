"""A whole run as a sheet: a row for each phase of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opcount.ops import OpCount
from opcount.pricing import Energy
from opcount.report.digits import plural
from opcount.report.energies import energy_notes, joules
from opcount.report.escape import visible
from opcount.report.sheet import Column, Row, Sheet

if TYPE_CHECKING:
    from opcount.runs import WholeRun

_COLUMNS = (
    Column("phase", "phase", "phase", "path"),
    Column("multiplications", "multiplications", "mults", "count"),
    Column("additions", "additions", "adds", "count"),
    Column("macs", "MACs", "MACs", "count"),
    Column("energy", "energy", "energy", "count"),
)


def run_sheet(run: WholeRun) -> Sheet:
    """What a whole run costs, phase by phase."""
    return Sheet(
        headings=(("whole run", visible(run.step.model), run.told, plural(run.steps, "step")),),
        columns=_COLUMNS,
        rows=tuple(_row(phase, *run.phase(phase)) for phase in run.step.phases),
        total=_row("total", run.ops, run.energy),
        whole=run.total,
        drops=(frozenset({"macs"}), frozenset({"additions"})),
        notes=tuple(energy_notes(run.energy)),
    )


def _row(name: str, ops: OpCount, energy: Energy) -> Row:
    return Row((name, ops.multiplications, ops.additions, ops.macs, joules(energy.exact_picojoules)))
