"""What the epochs of a run come to: the course of each network, spreads over seeds, two networks compared."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lenet.metrics import Epoch
from lenet.models import KINDS
from lenet.report.run import Run

THRESHOLDS = (0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995)
SHOWN_THRESHOLDS = 5


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the seeds.

    Attributes:
        mean, low, high: over the seeds.
        deviation: the sample standard deviation; None of a single seed.
        seeds: how many.
    """

    mean: float
    low: float
    high: float
    deviation: float | None
    seeds: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of some values, one a seed.

    >>> spread([1.0, 2.0, 3.0])
    Spread(mean=2.0, low=1.0, high=3.0, deviation=1.0, seeds=3)
    """
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), min(values), max(values), deviation, len(values))


@dataclass(frozen=True)
class Course:
    """How one network learnt.

    Attributes:
        kind, width: which network.
        seeds: its epochs for each seed that came as far as any did.
        stragglers: how many seeds have begun but not come as far.
    """

    kind: str
    width: float
    seeds: Mapping[int, Sequence[Epoch]]
    stragglers: int

    @property
    def horizon(self) -> int:
        """The last epoch, the same for each of its seeds."""
        return len(next(iter(self.seeds.values())))

    def figures(self, epoch: int, name: str, seeds: Iterable[int] | None = None) -> list[float]:
        """One figure after an epoch, for each seed."""
        return [getattr(self.seeds[seed][epoch - 1], name) for seed in (self.seeds if seeds is None else seeds)]

    def over_epochs(self, name: str) -> list[Spread]:
        """The spread of one figure after each epoch."""
        return [spread(self.figures(epoch, name)) for epoch in range(1, self.horizon + 1)]


def course(run: Run, kind: str, width: float) -> Course | None:
    """The course of one network; None if it has not finished an epoch."""
    seeds: dict[int, list[Epoch]] = {}
    for each in run.done:
        if (each.model, each.width) == (kind, width):
            seeds.setdefault(each.seed, []).append(each)
    if not seeds:
        return None
    horizon = max(map(len, seeds.values()))
    far = {seed: epochs for seed, epochs in seeds.items() if len(epochs) == horizon}
    return Course(kind, width, far, len(seeds) - len(far))


def widths(run: Run) -> list[float]:
    """The widths of which something was trained."""
    return sorted({each.width for each in run.done})


def main_width(run: Run) -> float:
    """The width the report is about: the run's own, or the nearest that has both networks, or that has one."""
    kinds = {width: {each.model for each in run.done if each.width == width} for width in widths(run)}
    return min(kinds, key=lambda width: (width != run.width, -len(kinds[width]), abs(width - run.width)))


@dataclass(frozen=True)
class Pair:
    """The two networks of one width, after the same number of epochs and, where they can be, with the same seeds.

    Attributes:
        regular, depthwise: their courses; None of what has not begun.
        epoch: the last one that both have reached.
        paired: the seeds both have; empty if they share none.
    """

    regular: Course | None
    depthwise: Course | None
    epoch: int
    paired: tuple[int, ...]

    @property
    def both(self) -> bool:
        """Whether there is something to compare."""
        return self.regular is not None and self.depthwise is not None

    @property
    def courses(self) -> list[Course]:
        """What has begun, the regular network first."""
        return [each for each in (self.regular, self.depthwise) if each is not None]

    def of(self, kind: str) -> Course | None:
        """The course of one kind."""
        return self.regular if kind == "regular" else self.depthwise

    def seeds(self, each: Course) -> list[int]:
        """The seeds of a course that are compared."""
        return list(self.paired or each.seeds)

    def values(self, kind: str, name: str) -> list[float] | None:
        """One figure of a network after the epoch compared, for each seed compared."""
        each = self.of(kind)
        return None if each is None else each.figures(self.epoch, name, self.seeds(each))

    def final(self, kind: str, name: str) -> Spread | None:
        """The spread of those."""
        each = self.of(kind)
        return None if each is None else self.ends(each, name)

    def ends(self, each: Course, name: str) -> Spread:
        """The same of one of the two courses."""
        return spread(each.figures(self.epoch, name, self.seeds(each)))

    def differences(self, name: str) -> list[float]:
        """Depthwise less regular: seed by seed where they share seeds, else of the means; empty without both."""
        first, second = self.values("regular", name), self.values("depthwise", name)
        if first is None or second is None:
            return []
        if self.paired:
            return [after - before for before, after in zip(first, second, strict=True)]
        return [statistics.fmean(second) - statistics.fmean(first)]

    def seconds(self, kind: str) -> float | None:
        """How long the epochs up to the one compared took for one seed, on average."""
        each = self.of(kind)
        if each is None:
            return None
        return statistics.fmean(
            sum(epoch.seconds for epoch in each.seeds[seed][: self.epoch]) for seed in self.seeds(each)
        )


def pair(run: Run, width: float) -> Pair:
    """The two networks of one width, as far as both have come."""
    regular, depthwise = (course(run, kind, width) for kind in KINDS)
    begun = [each for each in (regular, depthwise) if each is not None]
    paired = [seed for seed in run.seeds if all(seed in each.seeds for each in begun)]
    return Pair(regular, depthwise, min(each.horizon for each in begun), tuple(paired))


def first_reached(each: Course, threshold: float, until: int, seeds: Iterable[int]) -> list[int | None]:
    """For each seed, the first epoch after which test accuracy was at least the threshold; None if none was."""

    def first(epochs: Sequence[Epoch]) -> int | None:
        return next((epoch.epoch for epoch in epochs[:until] if epoch.test_accuracy >= threshold), None)

    return [first(each.seeds[seed]) for seed in seeds]


def thresholds(both: Pair) -> list[float]:
    """The highest round accuracies that some seed of either network has reached."""

    def reached(threshold: float) -> bool:
        return any(any(first_reached(c, threshold, both.epoch, both.seeds(c))) for c in both.courses)

    return [threshold for threshold in THRESHOLDS if reached(threshold)][-SHOWN_THRESHOLDS:]


def slope(each: Course, until: int, seeds: Iterable[int], name: str = "test_accuracy") -> tuple[int, float] | None:
    """Over how many last epochs, and how steeply the mean changes an epoch there: a third of all, but at least three.

    The slope is that of the least-squares line; None if there are fewer than three epochs.
    """
    span = max(3, -(-until // 3))
    if until < span:
        return None
    numbers, chosen = range(until - span + 1, until + 1), list(seeds)
    means = [statistics.fmean(each.figures(epoch, name, chosen)) for epoch in numbers]
    return span, statistics.linear_regression(list(numbers), means).slope
