"""The plots of a run: accuracy and loss against epoch, and accuracy against operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenet.models import KINDS
from lenet.report.facts import Facts
from lenet.report.frontier import Frontier
from lenet.report.phrases import si, width_of
from lenet.report.published import STUDY
from lenet.report.series import Course
from lenet.report.style import PALETTE, alone

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (6.4, 4.2)
MARKERS = {"regular": "o", "depthwise": "s"}
BEYOND, TICKS = 100.3, (0, 20, 50, 80, 90, 95, 97, 98, 99, 99.5, 100)
"""Of an axis that widens towards 100 %: where its logarithm has its end, and its ticks."""
CLEAR = {"facecolor": PALETTE["ground"], "edgecolor": "none", "pad": 0.5}
"""Behind a label, so that it can be read upon a line."""
LINES = 0.11
"""How high two lines of a label are, as a part of the axis."""


def accuracy(facts: Facts) -> Figure:
    """Accuracy against epoch: test solid with its band, training dashed; a tall axis widens towards 100 %."""
    figure, axes = _axes(facts, "accuracy", "accuracy (%)")
    for each in facts.pair.courses:
        _curve(axes, each, "test_accuracy", 100)
        _curve(axes, each, "train_accuracy", 100)
    if facts.tall:
        _widen_towards_the_top(axes, max(0.0, 100 * facts.lowest - 2))
    else:
        axes.margins(y=0.08)
    if facts.comparable:
        _references(axes, {kind: 100 * STUDY[kind].accuracy for kind in KINDS}, "{:.2f} %")
    axes.legend(loc="lower right")
    return figure


def loss(facts: Facts) -> Figure:
    """Loss against epoch, on a logarithmic scale if no loss is zero."""
    figure, axes = _axes(facts, "loss", "loss (cross-entropy)")
    lowest = []
    for each in facts.pair.courses:
        for name in ("test_loss", "train_loss"):
            _curve(axes, each, name, 1)
            lowest += [point.low for point in each.over_epochs(name)]
    if min(lowest) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda *_: "")
    if facts.comparable:
        _references(axes, {kind: STUDY[kind].loss for kind in KINDS}, "{:.4f}")
    axes.legend(loc="best")
    return figure


def pareto(facts: Facts, found: Frontier) -> Figure:
    """Test accuracy against operations, a point for each network, and the front."""
    figure, axes = _figure()
    for kind in KINDS:
        points = [point for point in found.points if point.kind == kind]
        if not points:
            continue
        xs, ys = [point.operations for point in points], [100 * point.accuracy.mean for point in points]
        below = [100 * (point.accuracy.mean - point.accuracy.low) for point in points]
        above = [100 * (point.accuracy.high - point.accuracy.mean) for point in points]
        bars: dict[str, Any] = {"yerr": (below, above)} if any(p.accuracy.seeds > 1 for p in points) else {}
        axes.errorbar(
            xs, ys, **bars, fmt=MARKERS[kind], color=PALETTE[kind], markersize=7, elinewidth=1.2, capsize=0, label=kind,
            zorder=3,
        )  # fmt: skip
        for point, x, y in zip(points, xs, ys, strict=True):
            where = (0, 8) if kind == "regular" else (0, -17)
            axes.annotate(
                f"{width_of(point.width)}×", (x, y), xytext=where, textcoords="offset points", fontsize=9,
                color=PALETTE[kind], ha="center", bbox=CLEAR,
            )  # fmt: skip
    front = found.front
    axes.plot(
        [point.operations for point in front], [100 * point.accuracy.mean for point in front],
        drawstyle="steps-post", color=PALETTE["front"], linewidth=1.4, label="Pareto front", zorder=2,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: si(value))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.margins(x=0.1, y=0.12)
    axes.grid(axis="x")
    axes.set_xlabel("operations of the convolutions, an image")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(f"{facts.data}: accuracy against operations")
    axes.legend(loc="lower right")
    return figure


def _figure() -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    alone(axes)
    return figure, axes


def _axes(facts: Facts, what: str, label: str) -> tuple[Figure, Any]:
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure()
    last = max(each.horizon for each in facts.pair.courses)
    axes.set_xlim(0.5 if last < 4 else 1 - 0.02 * last, last + (0.5 if last < 4 else 0.02 * last))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    seeds = max(len(each.seeds) for each in facts.pair.courses)
    axes.set_title(f"{facts.data}: {what} against epoch ({'one seed' if seeds == 1 else f'{seeds} seeds'})")
    return figure, axes


def _curve(axes: Any, each: Course, name: str, scale: float) -> None:
    points = each.over_epochs(name)
    epochs = range(1, len(points) + 1)
    colour, testing = PALETTE[each.kind], name.startswith("test")
    marker = MARKERS[each.kind] if testing and len(points) <= 20 else ("." if len(points) == 1 else None)
    axes.plot(
        epochs, [scale * point.mean for point in points], color=colour, linestyle="-" if testing else "--",
        linewidth=2 if testing else 1.2, marker=marker, markersize=4.5, zorder=3 if testing else 2.5,
        label=f"{each.kind}, {'test' if testing else 'training'}",
    )  # fmt: skip
    if testing and points[0].seeds > 1:
        low, high = [scale * point.low for point in points], [scale * point.high for point in points]
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0, zorder=1.5)


def _widen_towards_the_top(axes: Any, lowest: float) -> None:
    """Percentages by how far they are from 100, logarithmically: what sets good networks apart is there."""
    import numpy as np

    def up(value: Any) -> Any:
        return -np.log10(np.maximum(BEYOND - np.asarray(value), 1e-6))

    def down(value: Any) -> Any:
        return BEYOND - 10.0 ** -np.asarray(value)

    axes.set_yscale("function", functions=(up, down))
    ticks = [tick for tick in TICKS if tick >= lowest]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(lowest, 100)


def _references(axes: Any, values: dict[str, float], form: str) -> None:
    """The study's final figures as dotted lines, their values at the right, outside, and never upon each other."""
    for kind, value in values.items():
        axes.axhline(value, color=PALETTE[kind], linestyle=":", linewidth=1.2, zorder=1)
    axes.set_ylim(axes.get_ylim())
    across = axes.transData + axes.transAxes.inverted()
    places = {kind: float(across.transform((1, value))[1]) for kind, value in values.items()}
    low, high = sorted(places, key=lambda kind: places[kind])
    close = max(0.0, LINES - (places[high] - places[low])) / 2
    places[low], places[high] = places[low] - close, places[high] + close
    for kind, value in values.items():
        axes.annotate(
            f"study\n{form.format(value)}", (1.01, places[kind]), xycoords="axes fraction", fontsize=9,
            color=PALETTE[kind], va="center", annotation_clip=False,
        )  # fmt: skip
