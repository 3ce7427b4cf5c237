"""Profiles as one tree: what is under what, what costs how much altogether, and which neighbours are the same.

A tree of one profile is what a report indents and folds. Of several, :func:`merge` puts the layers of one beside those
of another: first by path, then by position and type. Every walk here is a loop, because models nest deeply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from opcount.ops import OpCount
from opcount.result import LayerRecord, Profile

_NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """What one profile has at a place of the tree.

    Attributes:
        path: where that is.
        type: the layer's class; ``""`` where the profile holds no record of it, after :meth:`Profile.only`.
        ops: what it cost itself.
        params: the parameters it holds itself.
        record: what the profile says of it, if it does.
    """

    path: str
    type: str = ""
    ops: OpCount = OpCount()
    params: int = 0
    record: LayerRecord | None = None

    @property
    def calls(self) -> int:
        """How often it was called."""
        return self.record.calls if self.record else 0

    @property
    def incomplete(self) -> bool:
        """Whether something ran in it that was not counted."""
        return bool(self.record and self.record.uncounted)


@dataclass(eq=False, slots=True)
class Node:
    """A place in the tree: for each profile what it has there, or None.

    Attributes:
        name: the last part of its path; ``"fc → head"`` where the profiles call it differently.
        parts: a part for each profile.
        children: what is below, in the order of the models.
        subtree: for each profile the cost with everything below, or None where there is no part.
        params: likewise the parameters.
        incomplete: whether anything in or below was not counted.
        same: a number that two nodes share if they and all below them are alike in all but where they are.
    """

    name: str
    parts: tuple[Part | None, ...]
    children: list[Node] = field(default_factory=list)
    subtree: tuple[OpCount | None, ...] = ()
    params: tuple[int | None, ...] = ()
    incomplete: bool = False
    same: int = 0

    @property
    def everywhere(self) -> bool:
        """Whether every profile has it."""
        return all(part is not None for part in self.parts)

    @property
    def alike(self) -> bool:
        """Whether it is and costs the same in every profile that has it; what is below may still differ."""
        return len({(part.ops, part.params, part.type) for part in self.parts if part is not None}) == 1

    @property
    def renamed(self) -> bool:
        """Whether the profiles call it differently."""
        return len({_last(part.path) for part in self.parts if part is not None}) > 1


def grow(profile: Profile, prefix: str = "") -> Node:
    """The tree of a profile; what stands outside a prefix such as ``"module."`` belongs to its root.

    >>> from opcount.ops import OpCount
    >>> p = Profile("Net", (), tuple(LayerRecord(path, "T", ops=OpCount(additions=1)) for path in ("", "a", "a.b")))
    >>> [(node.name, level, node.subtree[0].additions) for node, level in walk(grow(p))]
    [('', 0, 3), ('a', 1, 2), ('b', 2, 1)]
    """
    root = Node("", (Part("", profile.model.rpartition(":")[2]),))
    nodes = {"": root}
    for record in profile.layers:
        inside = record.path.startswith(prefix) and len(record.path) > len(prefix)
        path = record.path[len(prefix) :] if inside else ""
        node = nodes.get(path) or _planted(path, nodes, prefix)
        before = node.parts[0]
        ops, params = (before.ops, before.params) if before else (OpCount(), 0)
        kept = before.record if before and before.record and not inside else record
        node.parts = (Part(record.path, record.type, ops + record.ops, params + record.params, kept),)
    _add_up(root)
    return root


def _planted(path: str, nodes: dict[str, Node], prefix: str) -> Node:
    """The node of a path, made with those above it."""
    node, start = nodes[""], 0
    while start <= len(path):
        end = path.find(".", start)
        end = len(path) if end < 0 else end
        above, node = node, nodes.get(path[:end]) or Node(path[start:end], (Part(prefix + path[:end]),))
        if path[:end] not in nodes:
            nodes[path[:end]] = node
            above.children.append(node)
        start = end + 1
    return node


def merge(trees: Sequence[Node]) -> Node:
    """Trees of one profile each as one tree of all: siblings by name, then by position and type.

    >>> def net(*layers):
    ...     return grow(Profile("Net", (), tuple(LayerRecord(path, kind) for path, kind in layers)))
    >>> both = merge([net(("a", "Conv2d"), ("fc", "Linear")), net(("a", "Conv2d"), ("n", "Norm"), ("head", "Linear"))])
    >>> [(child.name, child.parts[0] is None) for child in both.children]
    [('a', False), ('n', True), ('fc → head', False)]
    """
    merged = trees[0]
    for count, tree in enumerate(trees[1:], start=1):
        root = _joined(merged, tree, count)
        stack: list[tuple[Node, Node | None, Node | None]] = [(root, merged, tree)]
        while stack:
            node, left, right = stack.pop()
            for pair in _pairs(left.children if left else [], right.children if right else []):
                child = _joined(*pair, count)
                node.children.append(child)
                stack.append((child, *pair))
        merged = root
    _add_up(merged)
    return merged


def walk(root: Node) -> Iterator[tuple[Node, int]]:
    """Every node with its depth, parents before children, in the order of the models."""
    stack = [(root, 0)]
    while stack:
        node, level = stack.pop()
        yield node, level
        stack.extend((child, level + 1) for child in reversed(node.children))


def runs(children: Sequence[Node]) -> Iterator[tuple[str, list[Node]]]:
    """Neighbours that are alike and numbered one after the other, each run with its name: ``"0–11"``.

    >>> layers = [Node(name, ()) for name in ("conv", "block0", "block1", "block2")]
    >>> [name for name, _ in runs(layers)]
    ['conv', 'block0–2']
    """
    run: list[Node] = []
    for node in (*children, None):
        if run and (node is None or not _follows(run[-1], node)):
            last = _NUMBERED.fullmatch(run[-1].name)
            yield (f"{run[0].name}–{last[2]}" if last and len(run) > 1 else run[0].name), run
            run = []
        if node is not None:
            run.append(node)


def _follows(before: Node, node: Node) -> bool:
    if before.same != node.same or before.renamed or node.renamed:
        return False
    one, two = _NUMBERED.fullmatch(before.name), _NUMBERED.fullmatch(node.name)
    return bool(one and two and one[1] == two[1] and int(two[2]) == int(one[2]) + 1)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _joined(left: Node | None, right: Node | None, count: int) -> Node:
    """A node for two that belong together, the right of which may be missing, or the left."""
    parts = (*(left.parts if left else (None,) * count), *(right.parts if right else (None,)))
    names = left.name.split(" → ") if left else []
    if right and right.name not in names:
        names.append(right.name)
    return Node(" → ".join(names), parts)


def _pairs(left: list[Node], right: list[Node]) -> list[tuple[Node | None, Node | None]]:
    """Which of two lists of siblings belong together, in one order, as a diff has them."""
    partner = _partners(left, right)
    taken = set(partner.values())
    pairs: list[tuple[Node | None, Node | None]] = []
    next_new = 0
    for index, node in enumerate(left):
        match = partner.get(index)
        if match is not None:
            pairs += [(None, right[new]) for new in range(next_new, match) if new not in taken]
            next_new = max(next_new, match)
        pairs.append((node, None if match is None else right[match]))
    return pairs + [(None, right[new]) for new in range(next_new, len(right)) if new not in taken]


def _partners(left: list[Node], right: list[Node]) -> dict[int, int]:
    """Positions that belong together: by name; among the rest by position and type.

    A number is a position and no name: ``2`` and ``2`` belong together at once only if they are of a type, so that one
    layer put into a Sequential does not turn all behind it into something else.
    """
    by_name = {node.name: index for index, node in enumerate(right)}
    partner: dict[int, int] = {}

    def by_path(certain: bool) -> None:
        for index, node in enumerate(left):
            match = by_name.get(node.name)
            if index not in partner and match is not None and match not in taken:
                if certain and node.name.isdecimal() and _types(node) != _types(right[match]):
                    continue
                partner[index] = match
                taken.add(match)

    taken: set[int] = set()
    by_path(certain=True)
    free = [index for index in range(len(left)) if index not in partner]
    others = [index for index in range(len(right)) if index not in taken]
    matcher = SequenceMatcher(
        None, [_types(left[index]) for index in free], [_types(right[index]) for index in others], autojunk=False
    )
    for one, two, size in matcher.get_matching_blocks():
        for step in range(size):
            partner[free[one + step]] = others[two + step]
            taken.add(others[two + step])
    by_path(certain=False)
    return partner


def _types(node: Node) -> str:
    return next((part.type for part in node.parts if part is not None), "")


def _add_up(root: Node) -> None:
    """Fill in the sums and what is the same, from the bottom up."""
    known: dict[Any, int] = {}
    for node in reversed([node for node, _ in walk(root)]):
        sums: list[tuple[OpCount | None, int | None]] = []
        for index, part in enumerate(node.parts):
            if part is None:
                sums.append((None, None))
                continue
            below = [child for child in node.children if child.parts[index] is not None]
            ops = sum((child.subtree[index] or OpCount() for child in below), part.ops)
            sums.append((ops, part.params + sum(child.params[index] or 0 for child in below)))
        node.subtree, node.params = tuple(ops for ops, _ in sums), tuple(params for _, params in sums)
        node.incomplete = any(part and part.incomplete for part in node.parts)
        node.incomplete = node.incomplete or any(child.incomplete for child in node.children)
        own = tuple(_kind(part) for part in node.parts)
        node.same = known.setdefault((own, tuple((child.name, child.same) for child in node.children)), len(known))


def _kind(part: Part | None) -> Any:
    """What must be equal for two layers to be the same in a report."""
    if part is None or part.record is None:
        return part is None
    missing = tuple((item.name, item.kind, item.calls) for item in part.record.uncounted)
    return part.type, part.record.sites, part.ops, part.params, missing
