"""A comparison as a tree: what was added, removed and changed; what is the same in every model is one row."""

from __future__ import annotations

from collections.abc import Sequence

from opcount.comparison import Comparison, Row as Part
from opcount.report.escape import visible
from opcount.report.layers import line_text
from opcount.report.lines import Line, tree_lines
from opcount.report.models import change_cells
from opcount.report.sheet import Cell, Column, Row
from opcount.report.view import View
from opcount.tree import Node, walk

TYPE = Column("type", "type", "type", "text")
MARKS = {"added": "+", "removed": "−", "changed": "±", "same": " "}
"""What stands before a row, as in a diff."""


def difference_rows(comparison: Comparison, view: View, figures: Sequence[str], indented: bool) -> list[Row]:
    """The rows of the tree, in the columns of a comparison with ``TYPE`` behind the first."""
    lines, same = folded_lines(comparison, view)
    return [_row(line, line.node in same, figures, indented) for line in lines]


def folded_lines(comparison: Comparison, view: View) -> tuple[list[Line], set[Node]]:
    """The lines of the tree, and the nodes that are the same in every model with everything below.

    Not opened is what is the same in every model that has it, so also what was added or removed as a whole.
    """
    uniform = _uniform(comparison.tree)
    lines = tree_lines(comparison.tree, view, opens=lambda node: node not in uniform)
    return lines, {node for node in uniform if node.everywhere}


def status(line: Line, same: bool) -> str:
    """What became of a line: ``"added"``, ``"removed"``, ``"changed"`` or ``"same"``."""
    first, *others = line.ops
    if first is None:
        return "added"
    if all(ops is None for ops in others):
        return "removed"
    if line.own:
        return "same" if line.node is not None and line.node.alike and line.node.everywhere else "changed"
    return "same" if same else "changed"


def _uniform(root: Node) -> set[Node]:
    """The nodes that are the same, with everything below, in every profile that has them."""
    uniform: set[Node] = set()
    for node in reversed([node for node, _ in walk(root)]):
        if node.alike and all(child in uniform and _where(child) == _where(node) for child in node.children):
            uniform.add(node)
    return uniform


def _where(node: Node) -> list[bool]:
    return [part is not None for part in node.parts]


def _row(line: Line, same: bool, figures: Sequence[str], indented: bool) -> Row:
    part = Part(line.path, line.ops, line.params)
    became = status(line, same)
    mark = MARKS[became]
    text = line_text(line, indented)
    label = f"{mark} {text}" if indented or mark.strip() else text
    cells: list[Cell] = [label, None if line.own else type_text(line)]
    for figure in figures:
        cells += [*part.values(figure), *change_cells(part, figure)]
    return Row(tuple(cells), line.node is not None and line.node.incomplete, became)


def type_text(line: Line) -> str:
    """The class of the layer; what it was and what it became where that differs."""
    parts = line.node.parts if line.node else ()
    return " → ".join(visible(kind) for kind in dict.fromkeys(part.type for part in parts if part is not None))
