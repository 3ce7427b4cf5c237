"""What the sections of a report share: the run, its two networks compared, what they cost, and how to call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from lenet.report import published
from lenet.report.costs import Costs, costs
from lenet.report.phrases import count, listed, width_of
from lenet.report.run import Run
from lenet.report.series import Course, Pair, main_width, pair

NAMES = {"mnist": "MNIST"}
"""Data sets that are written differently from how they are called."""
ORIGINS = {"digits": "scikit-learn's handwritten digits, brought to 28×28"}
EVEN = 0.00005
"""Accuracies closer than this are the same in the two decimals shown."""
TALL = 0.95
"""Where the lowest accuracy is below this, the axis widens towards 1."""


@dataclass(frozen=True)
class Facts:
    """Everything the words and figures are made from.

    Attributes:
        run: the run.
        width: the width the report is about.
        pair: the two networks of that width.
        costs: what they cost.
    """

    run: Run
    width: float
    pair: Pair
    costs: Costs

    @property
    def data(self) -> str:
        """The data set's name in a sentence."""
        name = NAMES.get(self.data_set, self.data_set)
        return f"{name} (held out)" if self.held_out else name

    @property
    def data_set(self) -> str:
        """The data set, whatever part of it was tested on."""
        return self.run.dataset.partition(" (")[0]

    @property
    def held_out(self) -> str:
        """Which images were tested on instead of the test set; empty for the test set."""
        return self.run.dataset.partition(" (")[2].removesuffix(")")

    @property
    def comparable(self) -> bool:
        """Whether the study trained networks of this width on this data set."""
        return self.run.dataset == published.DATASET and self.width == published.WIDTH

    @property
    def seeds(self) -> int:
        """How many seeds of a network are compared, at most."""
        return max(len(self.pair.seeds(each)) for each in self.pair.courses)

    @property
    def of_seeds(self) -> str:
        """How many, in words, for a caption."""
        return f"mean of {self.seeds} seeds" if self.seeds > 1 else "a single seed"

    @property
    def wide(self) -> str:
        """The width in words, where it is not the study's; begins with a space."""
        return "" if self.width == published.WIDTH else f" of width {width_of(self.width)}"

    @property
    def epochs(self) -> str:
        """How many epochs the figures are after."""
        return count(self.pair.epoch, "epoch")

    @property
    def lost(self) -> float | None:
        """By how much depthwise is less accurate than regular, a part of 1; None without both."""
        differences = self.pair.differences("test_accuracy")
        return -fmean(differences) if differences else None

    @property
    def lost_by_seed(self) -> Sequence[float]:
        """The same for each seed, where they are paired."""
        return [-each for each in self.pair.differences("test_accuracy")]

    @property
    def lowest(self) -> float:
        """The lowest accuracy of any seed after any epoch, on test or training images."""
        names = ("test_accuracy", "train_accuracy")
        return min(point.low for each in self.pair.courses for name in names for point in each.over_epochs(name))

    @property
    def tall(self) -> bool:
        """Whether accuracies are so far apart that an even axis would leave no room for the good ones."""
        return self.lowest < TALL

    def seed_list(self, each: Course) -> str:
        """The seeds of a network that are compared, in words."""
        seeds = self.pair.seeds(each)
        return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed([str(seed) for seed in seeds])}"

    def accuracy(self, kind: str) -> float:
        """Mean test accuracy of a network that has begun."""
        return next(self.pair.ends(each, "test_accuracy").mean for each in self.pair.courses if each.kind == kind)


def gather(run: Run) -> Facts:
    """The facts of a run."""
    width = main_width(run)
    return Facts(run, width, pair(run, width), costs(run, width))


def progress(run: Run) -> str:
    """How far the networks of each kind have come, in words: one for each seed and width."""
    parts = []
    for kind in run.models:
        epochs = [each for each in run.done if each.model == kind]
        finished, networks = sum(each.epoch == run.epochs for each in epochs), len(run.seeds) * len(run.widths)
        parts.append(
            f"{kind} has done {len(epochs):,} of {networks * run.epochs:,} epochs "
            f"({finished} of {count(networks, 'network')} finished)"
        )
    return listed(parts)
