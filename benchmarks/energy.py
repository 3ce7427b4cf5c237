"""What the split of multiplications and additions buys: both LeNets in energy, in memory and under a roofline.

python -m benchmarks.energy [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks.environment import environment, write
from benchmarks.lenet import change
from lenet.models import Depthwise, Regular
from opcount import Convention, Energy, Memory, energy, memory, profile, roofline
from opcount.report.energies import joules
from opcount.report.units import si, size

STUDIED = Convention(bias=False)
DEVICE = "a100-80gb"


def energies(title: str, regular: Energy, depthwise: Energy) -> list[str]:
    """One table of energy by kind."""
    lines = [f"| {title} | regular | depthwise | difference |", "|---|---:|---:|---:|"]
    for kind in ("multiplications", "additions"):
        before, after = regular.by_kind(kind), depthwise.by_kind(kind)
        lines.append(f"| {kind} | {joules(before)} | {joules(after)} | {change(float(before), float(after))} |")
    before, after = regular.exact_picojoules, depthwise.exact_picojoules
    lines.append(f"| energy | {joules(before)} | {joules(after)} | {change(float(before), float(after))} |")
    missing = [" and ".join(f"{each.count:,} {each.kind}" for each in model.unpriced) for model in (regular, depthwise)]
    if any(missing):
        lines.append(f"| not priced | {missing[0]} | {missing[1]} | |")
    return lines


def memories(regular: Memory, depthwise: Memory) -> list[str]:
    """The table of memory."""
    lines = ["| memory of one call, batch 1 | regular | depthwise | difference |", "|---|---:|---:|---:|"]
    figures: dict[str, Callable[[Memory], int]] = {
        "weights": lambda each: sum(each.weights.values()),
        "peak activations": lambda each: each.peak_activations,
        "peak, with weights and input": lambda each: each.peak,
        "bytes moved": lambda each: each.moved,
    }
    for label, figure in figures.items():
        before, after = figure(regular), figure(depthwise)
        lines.append(f"| {label} | {size(before)} | {size(after)} | {change(before, after)} |")
    return lines


def rooflines() -> list[str]:
    """The table of intensity and least time."""
    found = [roofline(profile(model, memory=True), DEVICE) for model in (Regular(), Depthwise())]
    title = found[0].device.title
    return [
        f"| {title} | regular | depthwise |",
        "|---|---:|---:|",
        "| operations a byte | " + " | ".join(f"{each.whole.intensity:.2f}" for each in found) + " |",
        "| bound by | " + " | ".join(each.whole.bound for each in found) + " |",
        "| least time | " + " | ".join(si(each.seconds, "s") for each in found) + " |",
    ]


def main() -> None:
    """Count and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    studied = [energy(profile(model, convention=STUDIED).only("conv")) for model in (Regular(), Depthwise())]
    whole = [energy(profile(model)) for model in (Regular(), Depthwise())]
    tables = [
        energies("convolutions, no bias", *studied),
        energies("whole network", *whole),
        memories(*(memory(model) for model in (Regular(), Depthwise()))),
        rooflines(),
    ]
    source = f"Energy by {whole[0].table.source} ({whole[0].table.technology})."
    text = "\n".join([f"# Energy and memory of LeNet-5 ({environment()})", "", source, "", *_joined(tables)])
    print(text)
    if options.write:
        write("energy.md", text + "\n")


def _joined(tables: list[list[str]]) -> list[str]:
    return [line for number, table in enumerate(tables) for line in ([""] if number else []) + table]


if __name__ == "__main__":
    main()
