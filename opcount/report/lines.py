"""A tree as the lines of a table: folded, cut at a depth, sorted and counted out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from opcount.ops import OpCount
from opcount.report.digits import apportioned
from opcount.report.view import View
from opcount.tree import Node, Part, runs

FOLD_FROM, FOLD_SAVES = 25, 3
"""A table of that many rows is folded by itself if that saves one row in so many."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table.

    Attributes:
        path: the whole path, with what is folded as in ``"layers.0–11.norm"``; ``""`` is the model itself.
        label: the part of it that an indented line shows.
        level: how deep it is in the tree as shown, the first at 0.
        node: what it is about; None for the rest that ``top`` leaves.
        times: how many nodes like it the line stands for.
        ops, params: for each profile, what the line costs altogether, or None.
        own: whether the line is about the node alone, though there are others below it.
        shares: the cost of the first profile in tenths of a percent, so rounded that they sum up.
        count: how many lines the rest of a table had.
    """

    path: str
    label: str
    level: int
    node: Node | None
    times: int
    ops: tuple[OpCount | None, ...]
    params: tuple[int | None, ...]
    own: bool = False
    shares: int = 0
    count: int = 1

    @property
    def part(self) -> Part | None:
        """What the first profile that has it has there."""
        return next((part for part in self.node.parts if part is not None), None) if self.node else None


Opens = Callable[[Node], bool]
"""Whether the children of a node get lines of their own."""


def flat_lines(root: Node, view: View, wide: bool = False) -> list[Line]:
    """A line for each layer that has something to say: each its own cost, at most ``view.depth`` deep.

    ``wide`` stands for a form whose tables fold by themselves.
    """
    full = list(_flat(root, view.depth, fold=bool(view.fold)))
    lines = full
    if view.fold is None and wide and len(full) >= FOLD_FROM:
        folded = list(_flat(root, view.depth, fold=True))
        lines = folded if FOLD_SAVES * (len(full) - len(folded)) >= len(full) else full
    lines = top_of(_sorted(lines, view), view.top)
    whole = _total(root.subtree[0])
    tenths = apportioned([_total(line.ops[0]) for line in lines], 1000, whole)
    return [replace(line, shares=share) for line, share in zip(lines, tenths, strict=True)]


def tree_lines(root: Node, view: View, opens: Opens | None = None) -> list[Line]:
    """A line for each place of the tree, indented, each including those below it.

    What a container costs itself is a line ``(own)`` among its children, so that the lines under each add up to it.
    """
    lines: list[Line] = []
    first = Line("", "", -1, root, 1, root.subtree, root.params, shares=1000)
    stack = [first]
    while stack:
        line = stack.pop()
        if line.level >= 0:
            lines.append(line)
        node = line.node
        deep = view.depth is not None and line.level + 1 >= view.depth
        if node is None or line.own or deep or not node.children or (opens and not opens(node)):
            if line is first and (node is None or any(node.subtree) or any(node.params) or _called(node)):
                lines.append(replace(line, level=0))
            continue
        below = [_line(name, nodes, line) for name, nodes in _grouped(node, fold=view.fold is not False)]
        own = _own(line)
        below = [*([own] if own else []), *_sorted([each for each in below if _shown(each)], view)]
        tenths = apportioned([_total(each.ops[0]) for each in below], line.shares)
        stack += [replace(each, shares=share) for each, share in zip(below, tenths, strict=True)][::-1]
    return lines


def top_of(lines: list[Line], top: int | None) -> list[Line]:
    """The first lines, and one that stands for the rest."""
    if top is None or len(lines) <= top:
        return lines
    kept, rest = lines[:top], lines[top:]
    ops = tuple(_sum(column) for column in zip(*(line.ops for line in rest), strict=True))
    params = tuple(sum(value or 0 for value in column) for column in zip(*(line.params for line in rest), strict=True))
    return [*kept, Line("", "", 0, None, 1, ops, params, count=sum(line.count for line in rest))]


def ranked(lines: list[Line], view: View, value: Callable[[Line], Any]) -> list[Line]:
    """Lines in the order of a column."""
    return sorted(lines, key=value, reverse=not view.ascending)


def _flat(root: Node, depth: int | None, fold: bool) -> Iterator[Line]:
    """Lines of their own costs, parents before children; at the last depth, with everything below."""
    stack = [Line("", "", 0, root, 1, _costs(root), _held(root))]
    while stack:
        line = stack.pop()
        node = line.node
        if node is None:
            continue
        cut = depth is not None and line.level >= depth
        if cut and node.children:
            ops, params = _times(node.subtree, line.times), _scaled(node.params, line.times)
            line = replace(line, ops=ops, params=params)
        incomplete = any(part and part.incomplete for part in node.parts) or (cut and node.incomplete)
        called = (cut or not node.children) and _called(node)
        if any(line.ops) or any(line.params) or incomplete or called:
            yield line
        if not cut:
            below = [_line(name, nodes, line) for name, nodes in _grouped(node, fold)]
            stack += [_alone(each) for each in reversed(below)]


def _grouped(node: Node, fold: bool) -> Iterable[tuple[str, list[Node]]]:
    return runs(node.children) if fold else ((child.name, [child]) for child in node.children)


def _line(name: str, nodes: list[Node], above: Line) -> Line:
    """A line for a run of nodes that are the same, with all that is below them."""
    node, times = nodes[0], above.times * len(nodes)
    path = f"{above.path}.{name}" if above.path else name
    return Line(path, name, above.level + 1, node, times, _times(node.subtree, times), _scaled(node.params, times))


def _alone(line: Line) -> Line:
    """The line with what its node costs without those below."""
    if line.node is None:
        return line
    return replace(line, ops=_times(_costs(line.node), line.times), params=_scaled(_held(line.node), line.times))


def _own(line: Line) -> Line | None:
    """What a container costs itself as a line among those below it, if it costs anything."""
    alone = replace(_alone(line), level=line.level + 1, own=True)
    part_missing = line.node is not None and any(part and part.incomplete for part in line.node.parts)
    return alone if any(alone.ops) or any(alone.params) or part_missing else None


def _shown(line: Line) -> bool:
    node = line.node
    return node is not None and bool(any(line.ops) or any(line.params) or node.incomplete or _called(node))


def _called(node: Node) -> bool:
    return any(part is not None and part.calls for part in node.parts)


def _costs(node: Node) -> tuple[OpCount | None, ...]:
    return tuple(part.ops if part else None for part in node.parts)


def _held(node: Node) -> tuple[int | None, ...]:
    return tuple(part.params if part else None for part in node.parts)


def _times(costs: tuple[OpCount | None, ...], times: int) -> tuple[OpCount | None, ...]:
    return costs if times == 1 else tuple(None if ops is None else ops * times for ops in costs)


def _scaled(counts: tuple[int | None, ...], times: int) -> tuple[int | None, ...]:
    return tuple(None if count is None else count * times for count in counts)


def _sum(costs: Iterable[OpCount | None]) -> OpCount:
    return sum((ops for ops in costs if ops is not None), OpCount())


def _total(ops: OpCount | None) -> int:
    return ops.total if ops else 0


def _sorted(lines: list[Line], view: View) -> list[Line]:
    """By the column asked for; without one, ``top`` means the costliest, and everything else stays in its order."""
    figure = view.figure or ("total" if view.top is not None else "")
    return ranked(lines, view, lambda line: _value(line, figure)) if figure else lines


def _value(line: Line, figure: str) -> Any:
    part = line.part
    if figure == "layer":
        return [(piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in _pieces(line.path)]
    if figure == "type":
        return part.type.casefold() if part else ""
    if figure == "output":
        return [list(shape) for shape in part.record.output_shapes] if part and part.record else []
    if figure == "calls":
        return max((part.calls for part in line.node.parts if part), default=0) * line.times if line.node else 0
    if figure == "params":
        return max((count or 0 for count in line.params), default=0)
    return max((getattr(ops, figure) if ops else 0 for ops in line.ops), default=0)


def _pieces(path: str) -> list[str]:
    """A path in words and numbers, so that 10 comes after 9."""
    return [piece for piece in re.split(r"([0-9]+)", path) if piece]
