"""Two or more profiles side by side: what each part costs in each of them, and what changed against the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

from opcount.errors import InputError, UnknownLayerError
from opcount.ops import FIGURES, OpCount
from opcount.result import LayerRecord, Profile
from opcount.schema import number_out, ops_out
from opcount.tree import Node, grow, merge, walk


@dataclass(frozen=True, slots=True)
class Row:
    """One part of the models, matched by its path.

    Attributes:
        path: its path in every model that has it; ``""`` is what the models do themselves, outside any part.
        ops: for each profile what it costs with everything in it, or None where there is no such part.
        params: likewise its parameters.
    """

    path: str
    ops: tuple[OpCount | None, ...]
    params: tuple[int | None, ...]

    def change(self, figure: str = "total") -> tuple[float | None, ...]:
        """What each profile after the first differs by, in percent of the first.

        Args:
            figure: one of the six figures, ``"total"`` or ``"params"``.

        Returns:
            A negative number where less is left; None where the first has nothing to take a percentage of.

        >>> Row("conv1", (OpCount(macs=117_600), OpCount(macs=24_304)), (156, 38)).change("macs")
        (-79.33333333333333,)
        """
        values = self.values(figure)
        return tuple(_percent(values[0] or 0, value or 0) for value in values[1:])

    def values(self, figure: str = "total") -> tuple[int | None, ...]:
        """One figure, for each profile.

        >>> Row("conv1", (OpCount(additions=2), None), (0, None)).values()
        (2, None)
        """
        if figure == "params":
            return self.params
        if figure not in (*FIGURES, "total"):
            raise InputError(f"there is no figure {figure!r}; there are {', '.join(FIGURES)}, total and params")
        return tuple(None if ops is None else getattr(ops, figure) for ops in self.ops)


@dataclass(frozen=True, slots=True)
class Layer(Row):
    """One layer of the models, matched by its path, else by position and type; its costs are its own.

    Attributes:
        path: its path; ``"fc → head"`` where the models call it differently.
        paths: for each profile its whole path there, or None where there is no such layer.
        types: likewise its class.
    """

    paths: tuple[str | None, ...] = ()
    types: tuple[str | None, ...] = ()

    @property
    def status(self) -> str:
        """``"added"``, ``"removed"``, ``"changed"`` or ``"same"``, against the first profile.

        >>> Layer("fc", (OpCount(macs=8), OpCount(macs=4)), (9, 5), ("fc", "fc"), ("Linear", "Linear")).status
        'changed'
        """
        first, *others = self.ops
        if first is None:
            return "added"
        if all(ops is None for ops in others):
            return "removed"
        alike = (len(set(values)) == 1 for values in (self.ops, self.params, self.types))
        return "same" if all(alike) else "changed"


@dataclass(frozen=True, repr=False)
class Comparison:
    """Profiles side by side; made by :func:`compare`.

    Attributes:
        profiles: what is compared; the first is what the others are measured against.
        rows: a row for each part, in the order of the models. They add up to ``total``.

    ``layers`` is what ``git diff`` is for text: every layer that one of the profiles has, what it is in each, and
    whether it was added, removed or changed.
    """

    profiles: tuple[Profile, ...]
    rows: tuple[Row, ...]

    @cached_property
    def total(self) -> Row:
        """The whole of each profile as a row."""
        return Row(
            "total",
            tuple(profile.ops for profile in self.profiles),
            tuple(profile.params for profile in self.profiles),
        )

    @cached_property
    def tree(self) -> Node:
        """The layers of all profiles as one tree."""
        prefixes = _prefixes(self.profiles)
        return merge([grow(profile, prefix) for profile, prefix in zip(self.profiles, prefixes, strict=True)])

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer that a profile has, with what it costs itself in each; they add up to ``total``.

        >>> from torch import nn
        >>> from opcount import profile
        >>> before = profile(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), (1, 8))
        >>> after = profile(nn.Sequential(nn.Linear(8, 2), nn.LayerNorm(2), nn.ReLU(), nn.Linear(2, 2)), (1, 8))
        >>> for layer in compare(before, after).layers:
        ...     print(layer.status, layer.path, layer.types, layer.values("macs"))
        changed 0 ('Linear', 'Linear') (32, 16)
        added 1 (None, 'LayerNorm') (None, 0)
        changed 1 → 2 ('ReLU', 'ReLU') (0, 0)
        changed 2 → 3 ('Linear', 'Linear') (8, 4)
        """
        return tuple(_layers(self.tree))

    @property
    def complete(self) -> bool:
        """Whether nothing is left uncounted in any of the profiles."""
        return all(profile.complete for profile in self.profiles)

    def __getitem__(self, path: str) -> Row:
        """The row of a part.

        Raises:
            UnknownLayerError: no row has that path; the message lists those there are.
        """
        for row in self.rows:
            if row.path == path:
                return row
        raise UnknownLayerError(
            f"no row {path!r}; the rows are {', '.join(row.path or '(model)' for row in self.rows)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain lists, dicts and numbers, of the schema ``opcount-comparison/1``."""
        return {
            "schema": "opcount-comparison/1",
            "profiles": [profile.to_dict() for profile in self.profiles],
            "rows": [_row_out(row) for row in self.rows],
            "layers": [
                {"status": layer.status, "paths": list(layer.paths), "types": list(layer.types), **_row_out(layer)}
                for layer in self.layers
            ],
            "total": _row_out(self.total),
        }

    def to_json(self, indent: int | None = 1) -> str:
        """The comparison as JSON."""
        import json

        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def __repr__(self) -> str:
        return f"<Comparison of {' and '.join(profile.model for profile in self.profiles)}: {len(self.rows)} rows>"

    def __str__(self) -> str:
        from opcount.report import render_text  # the renderer hook

        return render_text(self)

    def __rich__(self) -> Any:
        from opcount.report import render_rich  # the renderer hook

        return render_rich(self)

    def _repr_html_(self) -> str:
        from opcount.report import render_html  # the renderer hook

        return render_html(self)

    def to_page(self) -> str:
        """One self-contained HTML page that shows the models and what changed; needs ``pip install 'opcount[page]'``.

        Raises:
            MissingExtraError: what draws the page is not installed.
        """
        from opcount.report import render_page  # the renderer hook

        return render_page(self)


def compare(first: Profile, *others: Profile) -> Comparison:
    """Set profiles side by side, part by part.

    Parts are the children of the models, matched by name: ``conv1`` of one against ``conv1`` of the other, whatever is
    in it. Where every model is wrapped in a single module, the children of that are compared. What was filtered out by
    :meth:`Profile.only` stays out, so that the rows always add up to the totals.

    Args:
        first: what the others are measured against.
        others: one profile or more.

    Raises:
        InputError: there is nothing to compare it with, or something is no profile.

    >>> from torch import nn
    >>> from opcount import profile
    >>> narrow = profile(nn.Sequential(nn.Linear(10, 5), nn.Linear(5, 2)), (1, 10))
    >>> wide = profile(nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 2)), (1, 10))
    >>> comparison = compare(wide, narrow)
    >>> [(row.path, row.values("macs"), row.change("macs")) for row in comparison.rows]
    [('0', (200, 50), (-75.0,)), ('1', (40, 10), (-75.0,))]
    >>> comparison.total.change("macs")
    (-75.0,)
    """
    profiles = (first, *others)
    for profile in profiles:
        if not isinstance(profile, Profile):
            raise InputError(
                f"compare() takes profiles, not {type(profile).__name__}; make one with profile(model, inputs)"
            )
    if not others:
        raise InputError("compare() takes two profiles or more: compare(profile(a), profile(b))")
    groups = [_parts(profile.layers, prefix) for profile, prefix in zip(profiles, _prefixes(profiles), strict=True)]
    rows = (_row(path, groups) for path in _merged([list(group) for group in groups]))
    return Comparison(profiles, tuple(row for row in rows if row.path or any(row.ops) or any(row.params)))


def _layers(root: Node) -> Iterator[Layer]:
    """The nodes of a tree that say something, under the path that leads to them."""
    above: list[str] = []
    for node, level in walk(root):
        del above[max(level - 1, 0) :]
        above += [node.name] if level else []
        parts = node.parts
        if any(part and (part.ops or part.params or part.incomplete or part.calls) for part in parts):
            layer = Layer(
                ".".join(above),
                tuple(part.ops if part else None for part in parts),
                tuple(part.params if part else None for part in parts),
                tuple(part.path if part else None for part in parts),
                tuple(part.type if part else None for part in parts),
            )
            if not _passes_on(node):
                yield layer


def _passes_on(node: Node) -> bool:
    """Whether a node is a mere container in every profile: what it costs is all below it."""
    return bool(node.children) and not any(part and (part.ops or part.params or part.incomplete) for part in node.parts)


def _prefixes(profiles: Sequence[Profile]) -> list[str]:
    """What to leave off the paths of each profile: the wrappers, where every one of them has one."""
    prefixes = [""] * len(profiles)
    while True:
        inner = [_only_child(profile.layers, prefix) for profile, prefix in zip(profiles, prefixes, strict=True)]
        wrappers = [prefix for prefix in inner if prefix is not None]
        if len(wrappers) < len(profiles):
            return prefixes
        prefixes = wrappers


def _only_child(records: Sequence[LayerRecord], prefix: str) -> str | None:
    """The path, with its dot, of the one part that everything below a prefix is in, if that has parts itself."""
    below = [record.path[len(prefix) :] for record in records if record.path.startswith(prefix) and record.path]
    names = {path.partition(".")[0] for path in below}
    if len(names) != 1 or not any("." in path for path in below):
        return None
    return f"{prefix}{names.pop()}."


def _parts(records: Sequence[LayerRecord], prefix: str) -> dict[str, tuple[OpCount, int]]:
    """Costs and parameters by the first name of the path behind the prefix."""
    parts: dict[str, tuple[OpCount, int]] = {}
    for record in records:
        inside = record.path.startswith(prefix) and len(record.path) > len(prefix)
        name = record.path[len(prefix) :].partition(".")[0] if inside else ""
        ops, params = parts.get(name, (OpCount(), 0))
        parts[name] = ops + record.ops, params + record.params
    return parts


def _row(path: str, groups: Sequence[dict[str, tuple[OpCount, int]]]) -> Row:
    found = [group.get(path, (None, None)) for group in groups]
    return Row(path, tuple(ops for ops, _ in found), tuple(params for _, params in found))


def _merged(orders: Sequence[list[str]]) -> list[str]:
    """All names in one order, as a diff has them: what only the first has before what the next has in its place."""
    merged = orders[0]
    for names in orders[1:]:
        both: dict[str, None] = {}
        for _, start, end, other_start, other_end in SequenceMatcher(None, merged, names, autojunk=False).get_opcodes():
            both.update(dict.fromkeys((*merged[start:end], *names[other_start:other_end])))
        merged = list(both)
    return merged


def _percent(before: int, after: int) -> float | None:
    if before == 0:
        return 0.0 if after == 0 else None
    return 100 * (after - before) / before


def _row_out(row: Row) -> dict[str, Any]:
    return {
        "path": row.path,
        "ops": [None if ops is None else ops_out(ops) for ops in row.ops],
        "params": [None if params is None else number_out(params) for params in row.params],
        "change": {figure: list(row.change(figure)) for figure in (*FIGURES, "total", "params")},
    }
