"""Energy per inference: what each kind of operation costs at each width, by a published table.

Multiplications and additions are priced by the element type of their arithmetic. What a table has no figure for is
listed, with how many there are: it is not priced, which is not the same as free.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from opcount.errors import InputError
from opcount.ops import FIGURES, OpCount
from opcount.parsing import listed
from opcount.published import amount, packaged, read_file
from opcount.result import LayerRecord, Profile

KINDS = tuple(figure for figure in FIGURES if figure != "macs")
"""The kinds of operations that can have a price; MACs are multiplications already."""

TABLES = ("horowitz-2014",)
"""The tables that come with the package; the first is the default."""

_SCHEMA = "opcount-energy-table/1"


@dataclass(frozen=True)
class EnergyTable:
    """What one operation costs, by element type and kind.

    Attributes:
        name: how it is called.
        technology: what hardware the figures are of.
        source: where they were published.
        prices: picojoules by element type and kind.

    >>> EnergyTable.named("horowitz-2014").prices["float32"]["multiplications"]
    Fraction(37, 10)
    """

    name: str
    technology: str
    source: str
    prices: Mapping[str, Mapping[str, Fraction]]

    @staticmethod
    def of(table: str | Mapping[str, Any] | EnergyTable) -> EnergyTable:
        """A table that is one already, or by its name, or of a mapping.

        Raises:
            InputError: there is no such table, or it holds something that is no price.
        """
        if isinstance(table, EnergyTable):
            return table
        return EnergyTable.named(table) if isinstance(table, str) else EnergyTable.read(table)

    @staticmethod
    def named(name: str) -> EnergyTable:
        """A table of the package, or one in a file of JSON.

        Raises:
            InputError: there is none of that name, or the file is damaged.
        """
        if name in TABLES:
            return EnergyTable.read(packaged(f"{name}.json"), name)
        if name.endswith(".json") or os.sep in name or os.path.exists(name):
            return EnergyTable.read(read_file(name, "energies in picojoules"), name)
        near = difflib.get_close_matches(name, TABLES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"there is no energy table {name!r}{hint} (tables: {listed(TABLES)}; or a .json file)")

    @staticmethod
    def read(data: Mapping[str, Any], name: str = "your own") -> EnergyTable:
        """A table from a mapping: that of a file, or prices alone as in ``{"float32": {"additions": 0.9}}``.

        Raises:
            InputError: something in it is no price.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"an energy table is a name, a file or a mapping, not {type(data).__name__} {data!r}")
        if "picojoules" not in data and "schema" not in data:
            return EnergyTable(name, "", "", _prices(data, name))
        if data.get("schema") != _SCHEMA:
            raise InputError(f"{name} has the schema {data.get('schema')!r}; this release reads {_SCHEMA}")
        texts = [data.get(key, "") for key in ("name", "technology", "source")]
        if not all(isinstance(text, str) for text in texts):
            raise InputError(f"{name} is damaged: name, technology and source are texts")
        return EnergyTable(texts[0] or name, texts[1], texts[2], _prices(data.get("picojoules"), name))


def _prices(data: Any, name: str) -> dict[str, dict[str, Fraction]]:
    if not isinstance(data, Mapping) or not data:
        raise InputError(
            f"{name} holds no prices: write picojoules by element type and kind, as in "
            '{"float32": {"multiplications": 3.7, "additions": 0.9}}'
        )
    prices: dict[str, dict[str, Fraction]] = {}
    for dtype, kinds in data.items():
        if not isinstance(dtype, str) or not isinstance(kinds, Mapping):
            raise InputError(f"{name}: the prices of {dtype!r} are {kinds!r}, not a mapping from kinds to picojoules")
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise InputError(f"{name}: {dtype} has a price for {unknown[0]!r}; the kinds are {listed(KINDS)}")
        prices[dtype] = {kind: amount(kinds[kind], f"{name}: {kind} of {dtype}", zero=True) for kind in kinds}
    return prices


@dataclass(frozen=True, slots=True)
class Priced:
    """Operations of one kind and element type.

    Attributes:
        kind: which of ``KINDS``.
        dtype: the element type of the arithmetic.
        count: how many there are.
        picojoules: what they cost altogether, exactly; None if the table has no figure.
    """

    kind: str
    dtype: str
    count: int
    picojoules: Fraction | None


@dataclass(frozen=True)
class Energy:
    """What one call of a model costs in energy, arithmetic alone: no memory, no control, no leakage.

    Attributes:
        model: the name of the model.
        table: what the prices are from.
        priced: every kind and element type that occurs and has a price.
        unpriced: those that have none.
        layers: for each module, by its path, its own operations.
        uncounted: names of what the profile could not count, which therefore has no energy here either.
    """

    model: str
    table: EnergyTable
    priced: tuple[Priced, ...]
    unpriced: tuple[Priced, ...]
    layers: Mapping[str, tuple[Priced, ...]] = field(repr=False)
    uncounted: tuple[str, ...] = ()

    @cached_property
    def exact_picojoules(self) -> Fraction:
        """All that has a price, without rounding."""
        return total(self.priced)

    @property
    def picojoules(self) -> float:
        """All that has a price."""
        return float(self.exact_picojoules)

    @property
    def joules(self) -> float:
        """All that has a price."""
        return float(self.exact_picojoules / 10**12)

    @property
    def complete(self) -> bool:
        """Whether everything that ran was counted and has a price."""
        return not self.unpriced and not self.uncounted

    def of(self, path: str) -> float:
        """What the module at a path costs itself, without its children, in joules.

        Raises:
            InputError: there is no such module.
        """
        if path not in self.layers:
            near = difflib.get_close_matches(path, self.layers, n=3)
            raise InputError(f"{self.model} has no layer {path!r}{'; near it: ' + ', '.join(near) if near else ''}")
        return float(total(self.layers[path]) / 10**12)

    def by_kind(self, kind: str) -> Fraction:
        """What all operations of one kind cost, in picojoules."""
        return total(line for line in self.priced if line.kind == kind)

    def times(self, count: int) -> Energy:
        """What so many calls cost.

        >>> from torch import nn
        >>> from opcount import profile
        >>> energy(profile(nn.Linear(10, 4, bias=False), (1, 10))).times(1000).picojoules
        180400.0
        """

        def often(lines: tuple[Priced, ...]) -> tuple[Priced, ...]:
            costs = (None if line.picojoules is None else line.picojoules * count for line in lines)
            return tuple(Priced(line.kind, line.dtype, line.count * count, cost) for line, cost in zip(lines, costs))

        layers = {path: often(lines) for path, lines in self.layers.items()}
        return replace(self, priced=often(self.priced), unpriced=often(self.unpriced), layers=layers)

    def to_dict(self) -> dict[str, Any]:
        """The energies as plain data, in picojoules."""
        return {
            "table": {"name": self.table.name, "technology": self.table.technology, "source": self.table.source},
            "picojoules": self.picojoules,
            "complete": self.complete,
            "priced": [_out(line) for line in self.priced],
            "unpriced": [_out(line) for line in self.unpriced],
            "layers": {path: float(total(lines)) for path, lines in self.layers.items()},
        }

    def __str__(self) -> str:
        from opcount.report import render_sheet  # the renderer hook
        from opcount.report.energies import energy_sheet

        return render_sheet(energy_sheet(self))


def energy(profile: Profile, table: str | Mapping[str, Any] | EnergyTable = TABLES[0]) -> Energy:
    """What one call of a model costs in energy, by operation kind and element type.

    Every multiplication costs what the table says of a multiplication of its width, every addition likewise; since a
    multiplication costs several additions, two models with the same total may differ. The figures are of arithmetic
    alone, and as rough as the table.

    Args:
        profile: what was counted.
        table: a name of the package's tables, the path of a file of JSON, a mapping from element types to kinds to
            picojoules, or an :class:`EnergyTable`.

    Returns:
        The energy of the whole and of each module, and what has no price.

    Raises:
        InputError: there is no such table, or it holds something that is no price.

    >>> from torch import nn
    >>> from opcount import profile
    >>> linear = profile(nn.Linear(10, 4, bias=False), (1, 10))
    >>> energy(linear).picojoules  # 40 multiplications of 3.7 pJ and 36 additions of 0.9 pJ
    180.4
    >>> [(line.kind, line.dtype, line.count) for line in energy(profile(nn.Sigmoid(), (5,))).unpriced]
    [('divisions', 'float32', 5), ('transcendentals', 'float32', 5)]
    """
    table = EnergyTable.of(table)
    lines = _lines(profile.by_dtype, table)
    return Energy(
        model=profile.model,
        table=table,
        priced=tuple(line for line in lines if line.picojoules is not None),
        unpriced=tuple(line for line in lines if line.picojoules is None),
        layers={record.path: _lines(_by_dtype(record), table) for record in profile.layers},
        uncounted=tuple(dict.fromkeys(item.name for item in profile.uncounted)),
    )


def total(lines: Any) -> Fraction:
    """What priced operations cost altogether, in picojoules."""
    return sum((line.picojoules for line in lines if line.picojoules is not None), Fraction())


def _by_dtype(record: LayerRecord) -> dict[str, OpCount]:
    groups: dict[str, OpCount] = {}
    for entry in record.entries:
        groups[entry.term.dtype] = groups.get(entry.term.dtype, OpCount()) + entry.ops
    return groups


def _lines(groups: Mapping[str, OpCount], table: EnergyTable) -> tuple[Priced, ...]:
    lines = []
    for dtype, ops in groups.items():
        for kind in KINDS:
            count = getattr(ops, kind)
            if count:
                price = table.prices.get(dtype, {}).get(kind)
                lines.append(Priced(kind, dtype, count, None if price is None else price * count))
    return tuple(lines)


def _out(line: Priced) -> dict[str, Any]:
    cost = {} if line.picojoules is None else {"picojoules": float(line.picojoules)}
    return {"kind": line.kind, "dtype": line.dtype, "count": line.count, **cost}
