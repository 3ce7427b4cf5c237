"""What a whole run comes to, from the profile of one step: operations and energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from opcount.errors import InputError
from opcount.figures import Figures
from opcount.ops import OpCount, Phase
from opcount.pricing import TABLES, Energy, EnergyTable, energy
from opcount.result import Profile


@dataclass(frozen=True)
class WholeRun(Figures):
    """So many steps, each as the profile has it.

    Attributes:
        step: the profile of one.
        steps: how many there are.
        table: what operations cost in energy.
        told: how long the run is, in words.
    """

    step: Profile
    steps: int
    table: EnergyTable
    told: str

    @property
    def ops(self) -> OpCount:
        """The six figures of the whole run."""
        return self.step.ops * self.steps

    @cached_property
    def energy(self) -> Energy:
        """What its arithmetic costs in energy; what has no price is listed there."""
        return energy(self.step, self.table).times(self.steps)

    def phase(self, phase: Phase) -> tuple[OpCount, Energy]:
        """One phase of it: ``"forward"``, ``"backward"`` or ``"optimizer"``."""
        own = replace(self.step, layers=tuple(
            replace(record, entries=tuple(entry for entry in record.entries if entry.term.phase == phase))
            for record in self.step.layers
        ))  # fmt: skip
        return getattr(self.step, phase) * self.steps, energy(own, self.table).times(self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain data."""
        priced = self.energy.to_dict()
        priced.pop("layers")
        phases = {phase: (getattr(self.step, phase) * self.steps).to_dict() for phase in self.step.phases}
        return {"steps": self.steps, "length": self.told, "ops": self.ops.to_dict(), "phases": phases, "energy": priced}

    def __str__(self) -> str:
        from opcount.report import render_sheet  # the renderer hook
        from opcount.report.wholes import run_sheet

        return render_sheet(run_sheet(self))


def whole_run(
    profile: Profile,
    *,
    samples: int | None = None,
    epochs: int | None = None,
    tokens: int | None = None,
    table: str | Mapping[str, Any] | EnergyTable = TABLES[0],
) -> WholeRun:
    """What a whole run costs, from the profile of one step: so many epochs of so many samples, or so many tokens.

    A run is as many steps as it takes, the last one whole. What a step has of samples is the first size of the
    profile's first input; of tokens, its first two sizes, if it has two or three.

    Args:
        profile: of one step, as ``profile(..., backward=True, optimizer=...)`` has it.
        samples, epochs: how many samples an epoch has, and how many epochs there are.
        tokens: how many tokens there are altogether.
        table: what operations cost in energy, as for :func:`opcount.energy`.

    Raises:
        InputError: neither is given or both are, or the profile has no such sizes, or there is no such table.

    >>> from torch import nn
    >>> import opcount
    >>> step = opcount.profile(nn.Linear(10, 5), (32, 10), backward=True, optimizer="sgd")
    >>> run = whole_run(step, samples=100, epochs=3)
    >>> run.steps, run.macs == 4 * 3 * step.macs
    (12, True)
    >>> run.energy.joules == 12 * opcount.energy(step).joules
    True
    """
    by_samples = samples is not None and epochs is not None and tokens is None
    if not by_samples and not (tokens is not None and samples is None and epochs is None):
        raise InputError(
            "a whole run is of samples and epochs, both, or of tokens: give samples= and epochs=, or tokens="
        )
    prices = EnergyTable.of(table)
    sizes = profile.inputs[0] if profile.inputs else ()
    if by_samples:
        steps = _steps(samples, sizes[:1], "samples", sizes) * _whole(epochs, "epochs")
        return WholeRun(profile, steps, prices, f"{epochs:,} epochs of {samples:,} samples")
    of_tokens = sizes[:2] if 1 < len(sizes) < 4 else ()  # more axes are an image's
    steps = _steps(tokens, of_tokens, "tokens", sizes)
    return WholeRun(profile, steps, prices, f"{tokens:,} tokens")


def _steps(number: int | None, sizes: tuple[int, ...], what: str, given: tuple[int, ...]) -> int:
    each = 1
    for size in sizes:
        each *= size
    if not sizes or not each:
        raise InputError(f"the profile's first input does not say how many {what} a step has: {given!r}")
    return -(-_whole(number, what) // each)


def _whole(number: int | None, what: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise InputError(f"{what} is a whole number of 0 or more, not {number!r}")
    return number
