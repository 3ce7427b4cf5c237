"""What a training step adds to a table: columns for its phases, and a line of all figures for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from opcount.ops import FIGURES, OpCount, Phase
from opcount.report.digits import plural
from opcount.report.lines import Line
from opcount.report.sheet import Column, Note
from opcount.result import Profile
from opcount.tree import Node, walk

_NOUNS = {
    "multiplications": "multiplication",
    "additions": "addition",
    "divisions": "division",
    "comparisons": "comparison",
    "transcendentals": "transcendental",
    "macs": "MAC",
}


def phase_columns(profile: Profile) -> tuple[Column, ...]:
    """A column for each phase, of multiplications and additions together."""
    return tuple(Column(phase, phase, phase[:4], "count") for phase in profile.phases)


def phase_cells(lines: Sequence[Line], root: Node, phases: Sequence[Phase]) -> list[tuple[int, ...]]:
    """For each line the total of each phase; the line for the rest of a table has what the others leave."""
    own = {id(node): tuple(_own(node, phase) for phase in phases) for node, _ in walk(root)}
    below = dict(own)
    for each in reversed([each for each, _ in walk(root)]):
        for child in each.children:
            below[id(each)] = tuple(map(sum, zip(below[id(each)], below[id(child)])))
    whole = below[id(root)]
    cells: list[tuple[int, ...]] = []
    for line in lines:
        cost = line.ops[0] or OpCount()
        node: Any = line.node
        if node is None:
            shown = [sum(column) for column in zip(*cells)] if cells else [0] * len(phases)
            cells.append(tuple(total - some for total, some in zip(whole, shown)))
            continue
        inclusive = not line.own and (node.subtree[0] or OpCount()) * line.times == cost
        of_one = (below if inclusive else own)[id(node)]
        cells.append(tuple(total * line.times for total in of_one))
    return cells


def _own(node: Node, phase: Phase) -> int:
    part = node.parts[0]
    return part.record.phase(phase).total if part is not None and part.record is not None else 0


def phase_totals(profile: Profile) -> tuple[int, ...]:
    """The total of each phase."""
    return tuple(getattr(profile, phase).total for phase in profile.phases)


def phase_notes(profile: Profile) -> Iterator[Note]:
    """All figures of each phase that are not zero."""
    for phase in profile.phases:
        ops: OpCount = getattr(profile, phase)
        figures = [plural(getattr(ops, figure), _NOUNS[figure]) for figure in FIGURES if getattr(ops, figure)]
        yield Note((f"{phase}: {figures[0] if figures else 'nothing'}", *figures[1:]))


def phase_figures(phases: Sequence[Phase]) -> tuple[tuple[str, Phase, str], ...]:
    """For a table of data a name, a phase and a figure for each column; none unless there is more than the forward."""
    if len(phases) == 1:
        return ()
    return tuple((f"{phase}_{figure}", phase, figure) for phase in phases for figure in FIGURES)
