"""What the split of multiplications and additions buys: both LeNets in energy, in memory and under a roofline.

python -m benchmarks.energy [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks.environment import environment, write
from benchmarks.lenet import change
from lenet.models import Depthwise, Regular
from opcount import Convention, Energy, EnergyTable, Memory, energy, memory, profile, roofline
from opcount.report.energies import joules
from opcount.report.units import si, size

STUDIED = Convention(bias=False)
DEVICE = "a100-80gb"
TABLE = "horowitz-2014"


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


def tables() -> list[list[str]]:
    """Every table of the result."""
    studied = [energy(profile(model, convention=STUDIED).only("conv"), TABLE) for model in (Regular(), Depthwise())]
    whole = [energy(profile(model), TABLE) for model in (Regular(), Depthwise())]
    return [
        energies("convolutions, no bias", *studied),
        energies("whole network", *whole),
        memories(*(memory(model) for model in (Regular(), Depthwise()))),
        rooflines(),
    ]


def main() -> None:
    """Count and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    table = EnergyTable.named(TABLE)
    title = f"# Energy and memory of LeNet-5 ({environment()})"
    source = f"Energy by {table.source} ({table.technology})."
    text = "\n\n".join([title, source, *("\n".join(lines) for lines in tables())])
    print(text)
    if options.write:
        write("energy.md", text + "\n")


if __name__ == "__main__":
    main()
