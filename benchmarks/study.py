"""What a run of the study came to, small enough to keep: python -m benchmarks.study runs/NAME [--write].

The run itself is made by the command that the result names. Of a run over widths (--frontier) the networks are kept,
with the plot of accuracy against operations.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.environment import environment, write
from lenet.models import build, fold
from lenet.report.facts import gather
from lenet.report.frontier import frontier, table as frontier_table
from lenet.report.plots import pareto
from lenet.report.run import read as report_run
from lenet.report.style import styled, svg
from opcount import Convention, profile

PUBLISHED = {"regular": 0.9887, "depthwise": 0.9679}
GOAL = 0.98


def read(folder: Path) -> tuple[dict[str, Any], dict[str, dict[int, list[dict[str, Any]]]]]:
    """What was asked for, and the epochs of each model and seed."""
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    epochs: dict[str, dict[int, list[dict[str, Any]]]] = {model: defaultdict(list) for model in described["models"]}
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        epoch = json.loads(line)
        epochs[epoch["model"]][epoch["seed"]].append(epoch)
    return described, epochs


def operations(described: dict[str, Any], model: str) -> int:
    """Of the convolutions, without bias, batch norm folded away: as the study counts."""
    options = {name: described[name] for name in ("activation", "pooling", "batch_norm")}
    folded = fold(build(model, **options))
    return profile(folded, (1, 1, 28, 28), convention=Convention(bias=False)).only("conv").total


def table(described: dict[str, Any], epochs: dict[str, dict[int, list[dict[str, Any]]]]) -> list[str]:
    """A row a model: operations, accuracy over the seeds, losses, and how soon 98 % was reached."""
    lines = [
        "| | operations | test accuracy | seeds | published | training loss | test loss | first epoch at 98 % |",
        "|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    for model, seeds in epochs.items():
        last = [seeds[seed][-1] for seed in sorted(seeds)]
        accuracy = [100 * epoch["test_accuracy"] for epoch in last]
        spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
        reached = [
            next((epoch["epoch"] for epoch in run if epoch["test_accuracy"] >= GOAL), None) for run in seeds.values()
        ]
        soon = "not by all" if None in reached else f"{statistics.median(map(int, reached)):g}"
        losses = [statistics.fmean(epoch[loss] for epoch in last) for loss in ("train_loss", "test_loss")]
        lines.append(
            f"| {model} | {operations(described, model):,} | {statistics.fmean(accuracy):.2f} % ± {spread:.2f} "
            f"| {', '.join(f'{figure:.2f}' for figure in accuracy)} | {100 * PUBLISHED[model]:.2f} % "
            f"| {losses[0]:.4f} | {losses[1]:.4f} | {soon} |"
        )
    return lines


def compact(described: dict[str, Any], epochs: dict[str, dict[int, list[dict[str, Any]]]]) -> str:
    """JSON of the run's description without when and where, and of each network's figures over epochs, on a line."""
    left_out = ("started", "settings", "data_dir")
    figures = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    lines = [f'"run": {json.dumps({name: value for name, value in described.items() if name not in left_out})}']
    for model, seeds in epochs.items():
        for seed, run in sorted(seeds.items()):
            curves = {figure: [round(epoch[figure], 5) for epoch in run] for figure in figures}
            lines.append(f'"{model}-seed{seed}": {json.dumps(curves)}')
    return "{" + ",\n ".join(lines) + "}\n"


def frontier_kept(folder: Path, described: dict[str, Any]) -> tuple[str, str]:
    """A run over widths as Markdown and as the plot of its report."""
    run = report_run(folder)
    facts, found = gather(run), frontier(run)
    if found is None:
        raise SystemExit(f"{folder} has networks of a single width yet")
    shown = frontier_table(facts, found)
    rows = [shown.head, ["---", *["---:"] * (len(shown.head) - 2), "---"], *shown.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    with styled():
        plot = svg(pareto(facts, found), "study-frontier")
    what = f"{found.epoch} epochs, {'one seed' if len(run.seeds) == 1 else f'{len(run.seeds)} seeds'}"
    return "\n".join([f"`{described['command']}`: {what}", "", *lines, "", *shown.notes]), plot


def main() -> None:
    """Print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run of lenet.train")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    described, epochs = read(options.run)
    title = f"# The study, {described['recipe']} recipe, on {described['dataset']} ({environment()})"
    if len(described["widths"]) > 1:
        kept, plot = frontier_kept(options.run, described)
        print(kept)
        if options.write:
            write("study-frontier.md", f"{title}\n\n{kept}\n\n![accuracy against operations](study-frontier.svg)\n")
            write("study-frontier.svg", plot)
        return
    body = "\n".join(table(described, epochs))
    print(body)
    if options.write:
        name = f"study-{described['recipe']}"
        about = f"`{described['command']}`: {described['epochs']} epochs, mean and standard deviation over seeds"
        write(f"{name}.md", f"{title}\n\n{about}\n\n{body}\n")
        write(f"{name}.json", compact(described, epochs))


if __name__ == "__main__":
    main()
