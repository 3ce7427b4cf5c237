"""Both networks drawn, one above the other: feature maps in perspective, aligned layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lenet.models import KINDS
from lenet.report.experiment import drawn
from lenet.report.facts import Facts
from lenet.report.phrases import percent
from lenet.report.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEETS = 6
"""A stack shows no more maps than this; how many there are is written below it."""
COLUMN, ROW, LARGEST, SCALE = 1.55, 3.5, 1.2, 0.66
"""The pitch of columns and rows, the side of the largest map, and how many inches one of these is."""
SHIFT, GAP = 0.07, 0.06
"""How far one sheet stands behind another, and an arrow from what it joins."""


@dataclass(frozen=True)
class Stage:
    """One stack of maps.

    Attributes:
        column: where it stands.
        colour: which of the palette's maps.
        above: what makes it, line by line.
        shape: channels, and height and width if it has them.
        cost: its multiplications, if it is a layer that contracts.
    """

    column: float
    colour: str
    above: Sequence[str]
    shape: Sequence[int]
    cost: int


def architectures(facts: Facts) -> Figure:
    """The figure."""
    from matplotlib.figure import Figure

    rows = {kind: list(_stages(facts, kind)) for kind in KINDS}
    columns = max(stage.column for stages in rows.values() for stage in stages) + 1
    width, height = columns * COLUMN, 2 * ROW
    figure = Figure(figsize=(SCALE * width, SCALE * height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    size = max(stage.shape[1] for stages in rows.values() for stage in stages if len(stage.shape) > 1)
    for kind, base in zip(KINDS, (ROW, 0.0), strict=True):
        _row(axes, facts, kind, rows[kind], base, size)
    return figure


def _stages(facts: Facts, kind: str) -> Iterator[Stage]:
    """The image and each layer drawn; a regular convolution takes the room of the two steps it is replaced by."""
    records = drawn(facts, kind)
    yield Stage(0, "map-image", (facts.data, "image"), records[0].input_shapes[0][1:], 0)
    column = 1.0
    for record in records:
        step = record.path.rpartition(".")[2]
        if record.type == "Conv2d" and step in ("depthwise", "pointwise"):
            yield Stage(column, f"map-{step}", (*record.path.split("."),), record.output_shapes[0][1:], record.ops.macs)
            column += 1
        elif record.type == "Conv2d":
            yield Stage(column + 0.5, "map-regular", (record.path,), record.output_shapes[0][1:], record.ops.macs)
            column += 2
        else:
            colour = "map-linear" if record.type == "Linear" else "map-pool"
            yield Stage(column, colour, (record.path,), record.output_shapes[0][1:], record.ops.macs)
            column += 1


def _row(axes: Any, facts: Facts, kind: str, stages: Sequence[Stage], base: float, size: int) -> None:
    cost = facts.costs.of(kind).convolutions
    axes.text(0.15, base + 3.25, kind, fontsize=13, fontweight="bold", color=PALETTE[kind], va="center")
    beside = "" if kind == "regular" else f", {_fewer(facts)}"
    axes.text(
        2.05, base + 3.25, f"{cost.total:,} operations in the convolutions{beside}",
        fontsize=11, color=PALETTE["quiet"], va="center",
    )  # fmt: skip
    middle = base + 1.55
    for before, after in pairwise(stages):
        start, end = _centre(before) + _half(before, size) + GAP, _centre(after) - _half(after, size) - GAP
        if end - start > GAP:
            axes.annotate(
                "", (end, middle), (start, middle),
                arrowprops={"arrowstyle": "->", "color": PALETTE["quiet"], "linewidth": 1, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
    for stage in stages:
        _stack(axes, stage, middle, size)
        lines = [*stage.above, *([f"{stage.cost:,}"] if stage.cost else [])]
        axes.text(
            _centre(stage), base + 2.32, "\n".join(lines), fontsize=9, ha="center", va="bottom", linespacing=1.25,
            color=PALETTE["text"],
        )  # fmt: skip
        axes.text(
            _centre(stage), base + 0.72, "×".join(map(str, stage.shape)), fontsize=9, ha="center", va="top",
            color=PALETTE["quiet"],
        )  # fmt: skip


def _fewer(facts: Facts) -> str:
    before, after = (facts.costs.of(kind).convolutions.total for kind in KINDS)
    return f"{percent(abs(before - after) / before)} {'fewer' if after <= before else 'more'}"


def _centre(stage: Stage) -> float:
    return (stage.column + 0.5) * COLUMN


def _extent(stage: Stage, size: int) -> tuple[float, float, int]:
    """How wide and how high a sheet is, and how many there are."""
    if len(stage.shape) == 1:
        return 0.16, min(LARGEST, 0.25 + stage.shape[0] / 130), 1
    side = max(0.12, LARGEST * stage.shape[1] / size * 0.82)
    return side, side, min(SHEETS, stage.shape[0])


def _half(stage: Stage, size: int) -> float:
    """From the middle of a stage to its edge."""
    across, _, sheets = _extent(stage, size)
    return (across + (sheets - 1) * SHIFT) / 2


def _stack(axes: Any, stage: Stage, middle: float, size: int) -> None:
    """Maps behind one another, as large as their pixels; a vector is a bar that grows with its length, to a point."""
    from matplotlib.patches import Rectangle

    across, up, sheets = _extent(stage, size)
    spread = (sheets - 1) * SHIFT
    for index in range(sheets):
        back = (sheets - 1 - index) * SHIFT
        axes.add_patch(
            Rectangle(
                (_centre(stage) - across / 2 - spread / 2 + back, middle - up / 2 - spread / 2 + back), across, up,
                facecolor=PALETTE[stage.colour], edgecolor=PALETTE["quiet"], linewidth=0.7, zorder=3 + index,
            )
        )  # fmt: skip
