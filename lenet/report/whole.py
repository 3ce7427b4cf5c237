"""All files of a report, made before any is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.report import drawing, plots
from lenet.report.facts import Facts, gather
from lenet.report.frontier import Frontier, frontier
from lenet.report.paper import paper
from lenet.report.rendering import markdown, page
from lenet.report.results import figure_name
from lenet.report.run import read
from lenet.report.style import inline, png, styled, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def files(folder: Path) -> dict[str, bytes]:
    """The files of the report on the run in a folder, by name."""
    facts = gather(run := read(folder))
    found = frontier(run)
    made = paper(facts, found)
    text = markdown(made)
    images: dict[str, bytes] = {}
    inlined: dict[str, str] = {}
    with styled():
        for name, figure in _figures(facts, found):
            drawn = svg(figure, name)
            images[f"{name}.png"], images[f"{name}.svg"] = png(figure), drawn.encode()
            inlined[name] = inline(drawn, name)
    return {"report.md": text.encode(), "report.html": page(made, inlined).encode(), **images}


def _figures(facts: Facts, found: Frontier | None) -> Iterator[tuple[str, Figure]]:
    yield figure_name(facts, "architectures"), drawing.architectures(facts)
    yield figure_name(facts, "accuracy"), plots.accuracy(facts)
    yield figure_name(facts, "loss"), plots.loss(facts)
    if found is not None:
        yield figure_name(facts, "pareto"), plots.pareto(facts, found)
