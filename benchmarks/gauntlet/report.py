"""The scoreboard as a terminal table, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from benchmarks.gauntlet.case import Case
from benchmarks.gauntlet.tools import TOOLS


@dataclass(frozen=True)
class Scoreboard:
    """What every tool said of every case. A tool that is not installed has no results."""

    date: str
    python: str
    torch: str
    versions: Mapping[str, str | None]
    cases: Sequence[Case]
    results: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def score(self, tool: str, cases: Sequence[Case] | None = None) -> str:
        """How many of the cases the tool got right."""
        if not self.results.get(tool):
            return "-"
        chosen = self.cases if cases is None else cases
        right = sum(self.results[tool][case.name]["status"] == "right" for case in chosen)
        return f"{right}/{len(chosen)}"

    def cell(self, tool: str, case: Case) -> str:
        """The mark of one tool on one case: a tick, the wrong number, or how it failed."""
        if not self.results.get(tool):
            return ""
        result = self.results[tool][case.name]
        if result["status"] == "right":
            return "✓"
        return str(result["said"]) if result["status"] == "wrong" else str(result["status"])

    def families(self) -> dict[str, list[Case]]:
        """The cases by family."""
        grouped: dict[str, list[Case]] = {}
        for case in self.cases:
            grouped.setdefault(case.family, []).append(case)
        return grouped


def show(board: Scoreboard, console: Console) -> None:
    """Print the table; where the terminal is too narrow for the wrong numbers, a cross stands for each."""
    narrow = console.width < 36 + 15 * len(board.versions)
    table = Table(title="The gauntlet: MACs by tool", title_justify="left")
    table.add_column("case", no_wrap=True)
    table.add_column("truth", justify="right", no_wrap=True)
    for name, version in board.versions.items():
        heading = name if version is not None else f"{name}\nnot installed"
        table.add_column(heading, justify="right", overflow="fold")
    for family, cases in board.families().items():
        table.add_section()
        for case in cases:
            cells = [board.cell(name, case) for name in board.versions]
            table.add_row(case.name, f"{case.truth['macs']:,}", *(styled(cell, narrow) for cell in cells))
        scores = [board.score(name, cases) for name in board.versions]
        table.add_row(f"{family}, right", "", *scores, style="bold")
    table.add_section()
    table.add_row("all, right", "", *(board.score(name) for name in board.versions), style="bold")
    console.print(table)
    for tool in TOOLS:
        if tool.name in board.versions and board.versions[tool.name] is None:
            console.print(f"{tool.name} is not installed: {tool.install}", highlight=False)


def styled(cell: str, narrow: bool) -> Text:
    """A cell in colour."""
    right = cell == "✓"
    return Text("✗" if narrow and cell and not right else cell, style="green" if right else "red")


PREFACE = """# The gauntlet

{count} small models on which operation counters go wrong, each with MACs derived by hand from the textbook
definition of its layers. A tool is right when its number is exactly the truth. A crash, or no answer in time, is wrong.
The model is on the CPU, in the mode the case states (some tools switch to eval by themselves), one case to a process;
opcount decides by itself whether to run it or to work on shapes. The other tools are judged on MACs alone; opcount is
right only if all six of its figures are: MACs, multiplications, additions, divisions, comparisons, transcendentals.

The cases are chosen to be hard, so the scores rank no tool on everyday models; the family `plain` holds those.
What is counted as a MAC is a convention: here the multiplications of contractions, without biases, norms, activations
and pooling, and four for a product of complex numbers. A tool that draws the line elsewhere on purpose is wrong here
by its choice, not by mistake.

Made by `python -m benchmarks.gauntlet --write` on {date} with Python {python} and torch {torch}.
"""


def markdown(board: Scoreboard) -> str:
    """The committed page."""
    names = list(board.versions)
    tools = [
        (t.name, board.versions[t.name] or f"not installed: `{t.install}`", t.note, board.score(t.name))
        for t in TOOLS
        if t.name in board.versions
    ]
    by_family = [(family, *(board.score(name, cases) for name in names)) for family, cases in board.families().items()]
    by_family.append(("all", *(board.score(name) for name in names)))
    parts = [
        PREFACE.format(count=len(board.cases), date=board.date, python=board.python, torch=board.torch),
        tabulate(tools, headers=("tool", "version", "what is read", "right"), tablefmt="github", disable_numparse=True),
        "\n## Right answers by family\n",
        tabulate(by_family, headers=("family", *names), tablefmt="github", disable_numparse=True),
        "\n## Case by case\n",
        tabulate(
            [(c.name, f"{c.truth['macs']:,}", *(board.cell(name, c) for name in names)) for c in board.cases],
            headers=("case", "MACs", *names),
            tablefmt="github",
            disable_numparse=True,
        ),
        "\n## Why each case is there\n",
        tabulate(
            [(c.family, c.name, c.why) for c in board.cases],
            headers=("family", "case", "what is hard about it"),
            tablefmt="github",
        ),
    ]
    return "\n".join(parts) + "\n"


def to_json(board: Scoreboard) -> str:
    """Everything, for machines."""
    described = {tool.name: tool for tool in TOOLS}
    document = {
        "schema": "opcount-gauntlet/1",
        "date": board.date,
        "python": board.python,
        "torch": board.torch,
        "tools": {
            name: {"version": version, "read": described[name].note, "right": board.score(name)}
            for name, version in board.versions.items()
        },
        "cases": [
            {
                **{key: value for key, value in asdict(case).items() if key != "builder"},
                "results": {name: board.results[name][case.name] for name in board.results if board.results[name]},
            }
            for case in board.cases
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def write(board: Scoreboard, folder: Path) -> None:
    """Write gauntlet.md and gauntlet.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gauntlet.md").write_text(markdown(board), encoding="utf-8")
    (folder / "gauntlet.json").write_text(to_json(board), encoding="utf-8")
