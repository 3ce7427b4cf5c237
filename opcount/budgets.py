"""Budgets: figures that a model may not exceed. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from opcount.errors import InputError
from opcount.parsing import did_you_mean, listed, parse_count, visible
from opcount.result import Profile

MOST_SHOWN = 3
"""How many of the heaviest layers a failure names."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """The most that a model may have of each figure; None where that is open.

    Args:
        max_macs: MACs of the whole.
        max_total: multiplications and additions of the whole.
        max_params: parameters.
        max_layer_macs: MACs of any one layer, its own.

    Each is a whole number, or a text as ``--max-macs`` takes it.

    Raises:
        InputError: it is neither.

    >>> Budgets(max_macs="300M")
    Budgets(max_macs=300000000, max_total=None, max_params=None, max_layer_macs=None)
    """

    max_macs: int | None = None
    max_total: int | None = None
    max_params: int | None = None
    max_layer_macs: int | None = None

    def __post_init__(self) -> None:
        for name in NAMES:
            given: Any = getattr(self, name)
            if isinstance(given, str):
                object.__setattr__(self, name, parse_count(given))
            elif given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 0):
                raise InputError(f"{name} is a whole number of 0 or more, or a text such as '300M', not {given!r}")

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in NAMES)

    def check(self, profile: Profile) -> tuple[Excess, ...]:
        """Every budget that a profile does not keep, or cannot be known to keep.

        >>> from opcount.ops import OpCount
        >>> from opcount.result import LayerRecord
        >>> layers = tuple(LayerRecord(path, "Linear", ops=OpCount(macs=macs)) for path, macs in (("a", 40), ("b", 70)))
        >>> print(*Budgets(max_macs=100, max_layer_macs=100).check(Profile("Net", (), layers)))
        Net has 110 MACs, 10 more than max_macs allows (100); heaviest: b 70, a 40
        """
        return tuple(self._excesses(profile))

    def _excesses(self, profile: Profile) -> Iterator[Excess]:
        for name in NAMES:
            most = getattr(self, name)
            if most is None:
                continue
            noun, figure = _FIGURES[name]
            ranked = sorted(((figure(record), record.path) for record in profile.layers), key=lambda each: -each[0])
            value = max((each for each, _ in ranked), default=0) if name == "max_layer_macs" else _whole(name, profile)
            heaviest = tuple((path, each) for each, path in ranked[:MOST_SHOWN] if each)
            if name == "max_layer_macs":
                heaviest = tuple((path, each) for path, each in heaviest if each > most) or heaviest
            uncounted = () if name == "max_params" else tuple(dict.fromkeys(item.name for item in profile.uncounted))
            if value > most or uncounted:
                yield Excess(profile.model, name, noun, value, most, heaviest, uncounted)


NAMES = tuple(field.name for field in fields(Budgets))
"""The budgets there are."""

_FIGURES: dict[str, tuple[str, Callable[[Any], int]]] = {
    "max_macs": ("MACs", lambda record: int(record.ops.macs)),
    "max_total": ("operations", lambda record: int(record.ops.total)),
    "max_params": ("parameters", lambda record: int(record.params)),
    "max_layer_macs": ("MACs in one layer", lambda record: int(record.ops.macs)),
}


def _whole(name: str, profile: Profile) -> int:
    return {"max_macs": profile.macs, "max_total": profile.total, "max_params": profile.params}[name]


@dataclass(frozen=True, slots=True)
class Excess:
    """A budget that a model does not keep.

    Attributes:
        model: its name.
        budget: the name of the budget.
        noun: what is counted.
        value, most: how much it has, and may have.
        heaviest: the layers with most of it, and how much.
        uncounted: what could not be counted, so that the value is a lower bound.
    """

    model: str
    budget: str
    noun: str
    value: int
    most: int
    heaviest: tuple[tuple[str, int], ...]
    uncounted: tuple[str, ...] = ()

    def said(self, option: str | None = None) -> tuple[str, str]:
        """What is wrong, and the heaviest layers; ``option`` is what the user calls the budget."""
        name = option or self.budget
        has = f"{visible(self.model)} has {'at least ' if self.uncounted else ''}{self.value:,} {self.noun}"
        if self.value > self.most:
            wrong = f"{has}, {self.value - self.most:,} more than {name} allows ({self.most:,})"
        else:
            names = listed(map(visible, self.uncounted))
            wrong = f"{has}; whether {name} ({self.most:,}) is kept is not known, for {names} could not be counted"
        layers = ", ".join(f"{visible(path) or '(model)'} {value:,}" for path, value in self.heaviest)
        return wrong, f"heaviest: {layers}" if layers else ""

    def __str__(self) -> str:
        return "; ".join(filter(None, self.said()))


def read(table: Mapping[str, Any], where: str) -> Budgets:
    """The budgets of a table of a pyproject, where ``max-macs`` stands for ``max_macs``.

    Raises:
        InputError: a name or a value is none; the message says where.

    >>> read({"max-macs": "2k"}, "pyproject.toml").max_macs
    2000
    """
    known = {name.replace("_", "-"): name for name in NAMES}
    for name in table:
        if name not in known:
            raise InputError(f"{where}: there is no budget {name!r}{did_you_mean(name, known)} ({', '.join(known)})")
    try:
        return Budgets(**{known[name]: value for name, value in table.items()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
