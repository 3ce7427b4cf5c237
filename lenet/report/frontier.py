"""Accuracy against operations over widths: the table, the Pareto front, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lenet.models import KINDS
from lenet.report.costs import prices
from lenet.report.document import Block, Figure, Paragraph, Section, Table
from lenet.report.facts import Facts
from lenet.report.phrases import count, less, listed, percent, points, si, width_of
from lenet.report.results import figure_name
from lenet.report.run import Run
from lenet.report.series import Spread, course, spread, widths


@dataclass(frozen=True)
class Point:
    """One network of a frontier.

    Attributes:
        kind, width: which network.
        operations: total operations of its convolutions, without bias.
        macs, params: of the whole network.
        accuracy: final test accuracy over its seeds.
        on_front: whether no other network is as good in both and better in one.
    """

    kind: str
    width: float
    operations: int
    macs: int
    params: int
    accuracy: Spread
    on_front: bool

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.kind} of width {width_of(self.width)}"

    @property
    def spoken(self) -> str:
        """What a sentence calls it."""
        return f"the {self.kind} network of width {width_of(self.width)}"


@dataclass(frozen=True)
class Frontier:
    """The networks of a run over widths, after the same number of epochs.

    Attributes:
        points: those that came as far as any, cheapest first.
        epoch: how far that is.
        behind: the names of those that have begun, but not come as far.
    """

    points: Sequence[Point]
    epoch: int
    behind: Sequence[str]

    @property
    def front(self) -> list[Point]:
        """Those that none beats, cheapest first."""
        return [point for point in self.points if point.on_front]


def frontier(run: Run) -> Frontier | None:
    """The frontier of a run; None if it is of a single width."""
    found = [each for kind in KINDS for width in widths(run) if (each := course(run, kind, width)) is not None]
    if len({each.width for each in found}) < 2:
        return None
    epoch = max(each.horizon for each in found)
    far = [each for each in found if each.horizon == epoch]
    behind = [f"{each.kind} of width {width_of(each.width)}" for each in found if each.horizon < epoch]
    accuracies = [spread(each.figures(epoch, "test_accuracy")) for each in far]
    costs = prices(run, {(each.kind, each.width): mine.mean for each, mine in zip(far, accuracies, strict=True)})
    made = [
        Point(each.kind, each.width, cost.operations, cost.macs, cost.params, accuracy, cost.on_front)
        for each, cost, accuracy in zip(far, costs, accuracies, strict=True)
    ]
    return Frontier(sorted(made, key=lambda point: (point.operations, point.kind)), epoch, behind)


def section(facts: Facts, found: Frontier) -> Section:
    """The section: the plot, the words, the table."""
    blocks: list[Block] = [Paragraph(" ".join(_words(facts, found))), figure(facts, found), table(facts, found)]
    return Section("frontier", "Accuracy against operations", blocks)


def figure(facts: Facts, found: Frontier) -> Figure:
    """The Pareto plot."""
    said = [
        f"{point.name}: {si(point.operations)} operations, {percent(point.accuracy.mean)}" for point in found.points
    ]
    band = " Bars reach from the lowest seed to the highest." if any(p.accuracy.seeds > 1 for p in found.points) else ""
    return Figure(
        name=figure_name(facts, "pareto"),
        alt=(
            f"Scatter chart of test accuracy on {facts.data} against operations of the convolutions, with the Pareto "
            f"front. {'; '.join(said)}. On the front: {listed([point.name for point in found.front])}."
        ),
        caption=(
            f"{facts.data}: test accuracy after {count(found.epoch, 'epoch')} against operations of the convolutions, "
            "for both kinds over width multipliers. The line is the Pareto front: no network is both cheaper and "
            f"better.{band}"
        ),
    )


def table(facts: Facts, found: Frontier) -> Table:
    """The points."""
    rows = [
        (
            point.name,
            f"{point.operations:,}",
            f"{point.macs:,}",
            f"{point.params:,}",
            _accuracy(point.accuracy),
            "yes" if point.on_front else "no",
        )
        for point in found.points
    ]
    return Table(
        caption=f"{facts.data}: networks over widths, cheapest first, after {count(found.epoch, 'epoch')}",
        head=("network", "operations", "MACs of everything", "parameters", "test accuracy", "on the front"),
        rows=rows,
        words=frozenset({0, 5}),
        notes=("Operations are those of the convolutions alone, without bias.",),
    )


def _accuracy(accuracy: Spread) -> str:
    deviation = "" if accuracy.deviation is None else f" ± {100 * accuracy.deviation:.2f}"
    return f"{100 * accuracy.mean:.2f}{deviation} %"


def _words(facts: Facts, found: Frontier) -> Iterator[str]:
    front = found.front
    kinds = {kind: [point for point in front if point.kind == kind] for kind in KINDS}
    whole = f"Of {len(found.points)} networks {len(front)} {'is' if len(front) == 1 else 'are'} on the Pareto front"
    if all(kinds.values()):
        parts = [f"{len(some)} {kind}" for kind, some in kinds.items()]
        yield f"{whole}: {' and '.join(parts)}."
    else:
        (only,) = (kind for kind, some in kinds.items() if some)
        yield f"{whole}, {'all of them' if len(front) > 1 else 'and it is'} {only}."
    best = max(found.points, key=lambda point: point.accuracy.mean)
    yield f"The most accurate is {best.spoken}, at {percent(best.accuracy.mean)} for {best.operations:,} operations."
    yield from _at_equal_accuracy(facts, found)
    if found.behind:
        yield f"Not as far yet, and left out: {listed(list(found.behind))}."


def _at_equal_accuracy(facts: Facts, found: Frontier) -> Iterator[str]:
    """The cheapest depthwise network that is as accurate as the regular one the report is about."""
    regular = next((p for p in found.points if (p.kind, p.width) == ("regular", facts.width)), None)
    depthwise = [point for point in found.points if point.kind == "depthwise"]
    if regular is None or not depthwise:
        return
    goal = regular.accuracy.mean
    enough = [point for point in depthwise if point.accuracy.mean >= goal]
    if enough:
        cheapest = min(enough, key=lambda point: point.operations)
        yield (
            f"{cheapest.spoken.capitalize()} is the cheapest of its kind at least as accurate as {regular.spoken} "
            f"({percent(cheapest.accuracy.mean)} beside {percent(goal)}); it does {cheapest.operations:,} operations "
            f"instead of {regular.operations:,}, {less(regular.operations, cheapest.operations)}."
        )
    else:
        nearest = max(depthwise, key=lambda point: point.accuracy.mean)
        yield (
            f"No depthwise network tried is as accurate as {regular.spoken} ({percent(goal)}); {nearest.spoken} comes "
            f"nearest, {points(goal - nearest.accuracy.mean)} below, with {nearest.operations:,} operations instead "
            f"of {regular.operations:,}."
        )
