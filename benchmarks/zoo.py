"""Every model of torchvision against the GMACs that torchvision publishes for it.

    python -m benchmarks.zoo [--family classification] [--models 'resnet*'] [--write]

Each model is counted once, at the input its published figure was worked out for. Models whose forward asks for no
values are counted on the meta device, which gives the same counts and needs no memory; detection runs for real.
With ``--write`` the table and the exact integers are kept in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torchvision import models

from benchmarks.environment import environment, write
from opcount import sweep, vision
from opcount.ops import FIGURES
from opcount.targets import Target

FAMILIES = {
    "classification": models,
    "segmentation": models.segmentation,
    "detection": models.detection,
    "video": models.video,
    "optical_flow": models.optical_flow,
    "quantization": models.quantization,
}
SEED = 0
IMAGE = 512
"""Side of the square image that torchvision's figures for detection and optical flow were worked out with."""

EXPLAINED = {
    "detection": "depends on how many regions survive, so on the image and the weights; here both are random (seed 0)",
}


@dataclass(frozen=True)
class Entry:
    """One model of the zoo."""

    name: str
    family: str
    input: str
    published_gmacs: float | None
    figures: dict[str, int]
    params: int
    uncounted: list[str]
    seconds: float

    @property
    def macs(self) -> int:
        return self.figures["macs"]

    @property
    def agrees(self) -> bool | None:
        """Whether the count rounds to the published digits; None where nothing is published."""
        if self.published_gmacs is None:
            return None
        return abs(self.macs / 1e9 - self.published_gmacs) <= 0.0005 + 1e-9


def names(family: str, pattern: str = "*") -> list[str]:
    """The models of one family by name."""
    listed = models.list_models(module=FAMILIES[family])
    return [name for name in listed if fnmatch.fnmatch(name, pattern)]


def published(name: str) -> tuple[float | None, Any]:
    """The GMACs of a model's default weights, and those weights."""
    try:
        weights = models.get_model_weights(name).DEFAULT
    except (ValueError, AttributeError):
        return None, None
    return weights.meta.get("_ops"), weights


def build(name: str, family: str) -> tuple[nn.Module, Any]:
    """A model without weights, as its weights would be loaded into it, and the input of its published figure."""
    builder = models.get_model_builder(name)
    arguments = vision.builder_arguments(builder, {})
    if family == "segmentation" and "lraspp" not in name:
        arguments["aux_loss"] = True  # its weights come with the auxiliary head
    model = builder(**arguments).eval()
    if family == "detection":
        return model, ([torch.rand(3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(SEED))],)
    if family == "optical_flow":
        return model, ((1, 3, IMAGE, IMAGE), (1, 3, IMAGE, IMAGE))
    return model, vision.example_input(builder, model)


def target(family: str, name: str) -> Target:
    """One model of the zoo, as other processes build it."""
    torch.manual_seed(SEED)
    model, inputs = build(name, family)
    if family not in ("detection", "optical_flow"):  # what asks for values cannot run on meta
        model.to("meta")
    return Target(name, model.requires_grad_(False), inputs)


def entries(families: Iterable[str], pattern: str = "*") -> Iterator[Entry]:
    """Count the models of some families, each in a process of its own kind."""
    from benchmarks import zoo  # by the name that other processes know it by

    points = [{"family": family, "name": name} for family in families for name in names(family, pattern)]
    with tempfile.TemporaryDirectory() as folder:
        for found in sweep(zoo.target, points, store=f"{folder}/zoo.sqlite", peak=False, time_limit=1800):
            if found["error"] is not None:
                raise RuntimeError(f"{found['name']}: {found['error']}")
            yield Entry(
                name=found["name"],
                family=found["family"],
                input=found["called_with"],
                published_gmacs=published(found["name"])[0],
                figures={figure: found[figure] for figure in FIGURES},
                params=found["params"],
                uncounted=list(found["uncounted"]),
                seconds=round(found["seconds"], 2),
            )


def row(entry: Entry) -> str:
    """One line of the table."""
    verdict = {True: "yes", False: "no", None: "not published"}[entry.agrees]
    if entry.agrees is False and entry.family in EXPLAINED:
        verdict = "see below"
    figures = f"{entry.macs:,} | {entry.figures['additions']:,} | {entry.params:,}"
    shown = "" if entry.published_gmacs is None else f"{entry.published_gmacs}"
    missing = ", ".join(entry.uncounted) or "none"
    return f"| {entry.name} | {entry.input} | {figures} | {shown} | {verdict} | {missing} |"


def table(found: list[Entry]) -> str:
    """The whole result as a page."""
    lines = [f"# torchvision's models ({environment()})", ""]
    for family in dict.fromkeys(entry.family for entry in found):
        members = [entry for entry in found if entry.family == family]
        judged = [entry for entry in members if entry.agrees is not None]
        right = sum(bool(entry.agrees) for entry in judged)
        lines += [
            f"## {family}: {right} of {len(judged)} published figures met to the last digit",
            "",
            "| model | input | MACs | additions | parameters | published GMACs | meets it | uncounted |",
            "|---|---|---:|---:|---:|---:|---|---|",
            *map(row, members),
            "",
        ]
        if family in EXPLAINED:
            lines += [f"The published figure {EXPLAINED[family]}.", ""]
    return "\n".join(lines)


def main() -> int:
    """Count, print as it goes, and say at the end what does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", choices=FAMILIES, help="default: all")
    parser.add_argument("--models", default="*", help="a pattern of names")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: list[Entry] = []
    for entry in entries(options.family or FAMILIES, options.models):
        found.append(entry)
        print(row(entry), f"{entry.seconds} s", flush=True)
    if options.write:
        write("zoo.md", table(found))
        golden = [asdict(entry) for entry in found]
        for entry in golden:
            del entry["seconds"]
        write("zoo.json", json.dumps({"environment": environment(), "models": golden}, indent=1) + "\n")
    wrong = [entry for entry in found if (entry.agrees is False and entry.family not in EXPLAINED) or entry.uncounted]
    print(f"{len(found)} models, {len(wrong)} to explain: {', '.join(entry.name for entry in wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
