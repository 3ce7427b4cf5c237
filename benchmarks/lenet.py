"""The study's operation tables, counted: LeNet-5 against its depthwise separable twin, convolutions alone, no bias.

python -m benchmarks.lenet [--write]
"""

from __future__ import annotations

import argparse

from benchmarks.environment import environment, write
from lenet.models import Depthwise, Regular
from opcount import Convention, Profile, profile

STUDIED = Convention(bias=False)


def change(before: int, after: int) -> str:
    """How much less, in percent with the study's two decimals."""
    return f"{100 * (after - before) / before:.2f} %"


def totals(regular: Profile, depthwise: Profile) -> list[str]:
    """The table of totals."""
    lines = ["| convolutions, no bias | regular | depthwise | difference |", "|---|---:|---:|---:|"]
    for label, figure in (
        ("total operations", "total"),
        ("multiplications = MACs", "multiplications"),
        ("additions", "additions"),
    ):
        before, after = getattr(regular, figure), getattr(depthwise, figure)
        lines.append(f"| {label} | {before:,} | {after:,} | {change(before, after)} |")
    return lines


def layers(regular: Profile, depthwise: Profile) -> list[str]:
    """The table of layers, in multiplications."""
    lines = ["| multiplications | regular | depthwise | difference |", "|---|---:|---:|---:|"]
    for name in ("conv1", "conv2", "conv3"):
        before, after = (model[name].subtree.multiplications for model in (regular, depthwise))
        lines.append(f"| {name} | {before:,} | {after:,} | {change(before, after)} |")
    return lines


def whole(regular: Profile, depthwise: Profile) -> list[str]:
    """The table of everything the networks do, bias, pooling and linear layers included."""
    lines = ["| whole network | regular | depthwise | difference |", "|---|---:|---:|---:|"]
    for figure in ("total", "multiplications", "additions", "params"):
        before, after = getattr(regular, figure), getattr(depthwise, figure)
        lines.append(f"| {figure} | {before:,} | {after:,} | {change(before, after)} |")
    return lines


def main() -> None:
    """Count and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    studied = [profile(model, convention=STUDIED) for model in (Regular(), Depthwise())]
    tables = [
        totals(*(counted.only("conv") for counted in studied)),
        layers(*studied),
        whole(*(profile(model) for model in (Regular(), Depthwise()))),
    ]
    body = "\n\n".join("\n".join(table) for table in tables)
    print(body)
    if options.write:
        write("lenet.md", f"# LeNet-5 and its twin ({environment()})\n\n{body}\n")


if __name__ == "__main__":
    main()
