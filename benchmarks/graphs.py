"""torchvision's classification models counted four ways: live, as exported programs, from archives, and as ONNX.

    python -m benchmarks.graphs [--models 'resnet*'] [--largest 100] [--write]

An exported program and its archive have to agree with the live model in all six figures. ONNX exporters change the
model: they fold batch norms into convolutions, take attention apart, and write some activations in other words. Each
such change is counted on its own, and what is left has to agree.
Results are kept model by model in ``benchmarks/results/graphs.json``, and a run goes on where the last one ended.
Weights are random, and ONNX needs them: models with more than ``--largest`` million parameters are exported only.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import logging
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from benchmarks.environment import RESULTS, environment, write
from opcount import OpCount, Profile, profile
from opcount.graphs.onnx.reading import read
from opcount.graphs.subject import read_program
from opcount.ops import FIGURES
from opcount.result import Entry

SIZES = {"inception_v3": 96, "maxvit_t": 224}
SMALL = 64
"""Side of the image, where a model takes any: costs nothing in exactness and makes tracing quick."""

FIXED = ("fixed_normalization",)
ROLES = {"bias": "biases", "scale": "attention scale"}


@dataclass
class Row:
    """One model, and which ways agree with the live one."""

    name: str
    params: int
    macs: int
    exported: bool
    archived: bool
    onnx: dict[str, dict[str, Any]] = field(default_factory=dict)


def build(name: str) -> nn.Module:
    """A model whose norms and biases are none that an exporter may leave out: their start at 0 and 1 would be."""
    arguments = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = models.get_model(name, weights=None, **arguments).eval()
        with torch.no_grad():
            for label, tensor in (*model.named_parameters(), *model.named_buffers()):
                if tensor.ndim == 1 and tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5) if "var" in label or "weight" in label else tensor.uniform_(0.1, 0.2)
    return model


def size_of(name: str, model: nn.Module) -> tuple[int, int, int, int]:
    """A small image that the model takes."""
    side = getattr(model, "image_size", None) or SIZES.get(name, SMALL)
    return (1, 3, side, side)


def split(counted: Profile) -> tuple[OpCount, dict[str, OpCount]]:
    """What a profile counts without what exporters move about, and that: folded norms, biases, attention's scale."""
    rest, moved = OpCount(), {"norms": OpCount(), "biases": OpCount(), "attention scale": OpCount()}
    for record in counted.layers:
        for entry in record.entries:
            kind = kind_of(entry)
            if kind is None:
                rest = rest + entry.ops
            else:
                moved[kind] = moved[kind] + entry.ops
    return rest, moved


def kind_of(entry: Entry) -> str | None:
    """Which of the things that exporters move about a term is."""
    if entry.term.formula in FIXED:
        return "norms"
    return ROLES.get(entry.term.role)


def compared(live: Profile, other: Profile) -> dict[str, Any]:
    """How an ONNX model differs: what was moved about, and what is left."""
    (ours, before), (theirs, after) = split(live), split(other)
    changes = {kind: difference(after[kind], before[kind]) for kind in before}
    left = difference(theirs, ours)
    uncounted = sorted({item.name for item in other.uncounted})
    found = {"equal": live.ops == other.ops, "changes": changes, "left": left, "uncounted": uncounted}
    return {**found, "apart": biases_apart(changes["biases"], left)}


def biases_apart(biases: dict[str, int], left: dict[str, int]) -> int:
    """How many biases became additions of their own, which are taken out of what was moved and of what is left."""
    apart = max(0, min(left.get("additions", 0), -biases.get("additions", 0)))
    for figures, change in ((biases, apart), (left, -apart)):
        if apart:
            figures["additions"] += change
            if not figures["additions"]:
                del figures["additions"]
    return apart


def difference(after: OpCount, before: OpCount) -> dict[str, int]:
    """How many operations more, of those figures that differ."""
    pairs = ((figure, getattr(after, figure) - getattr(before, figure)) for figure in FIGURES)
    return {figure: value for figure, value in pairs if value}


def count(name: str, largest: float) -> Row:
    """One model counted every way."""
    model = build(name)
    size = size_of(name, model)
    live = profile(model, size)
    program = torch.export.export(model, (torch.zeros(size),))
    exported = profile(program)
    with tempfile.TemporaryDirectory() as folder:
        torch.export.save(program, Path(folder) / "model.pt2")
        archived = profile(read_program(str(Path(folder) / "model.pt2")))
        row = Row(name, live.params, live.macs, exported.ops == live.ops, archived.ops == live.ops)
        if live.params <= largest * 1e6:
            for dynamo in (True, False):
                path = Path(folder) / "model.onnx"
                with torch.no_grad():
                    torch.onnx.export(model, (torch.zeros(size),), path, dynamo=dynamo, verbose=False)
                row.onnx["dynamo" if dynamo else "TorchScript"] = compared(live, profile(read(str(path))))
    return row


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "# Live, exported, archived, ONNX",
        "",
        f"`python -m benchmarks.graphs --write`; {environment()}.",
        "",
        "A tick: all six figures are those of the live model. Else what the exporter changed, in multiplications (×),",
        "additions (+), divisions (÷) and transcendentals (f); a model without ONNX was too large to write here.",
        "",
        "| model | MACs | exported | .pt2 | ONNX (dynamo) | ONNX (TorchScript) |",
        "|---|---:|:-:|:-:|---|---|",
    ]
    for row in rows:
        ways = (shown(row.onnx.get(way)) for way in ("dynamo", "TorchScript"))
        lines.append(
            f"| {row.name} | {row.macs:,} | {tick(row.exported)} | {tick(row.archived)} | {' | '.join(ways)} |"
        )
    agree = sum(row.exported and row.archived for row in rows)
    explained = [way for row in rows for way in row.onnx.values()]
    lines += [
        "",
        f"Exported programs and archives agree for {agree} of {len(rows)} models. Of {len(explained)} ONNX models "
        f"{sum(not way['left'] and not way['uncounted'] for way in explained)} agree but for folded norms, biases and "
        f"the place of attention's scale; {sum(bool(way['uncounted']) for way in explained)} have uncounted operators.",
    ]
    return "\n".join(lines) + "\n"


def tick(agrees: bool) -> str:
    """Whether something agrees."""
    return "✓" if agrees else "✗"


SIGNS = dict(zip(FIGURES, ("×", "+", "÷", "<", "f", "MAC")))


def shown(way: dict[str, Any] | None) -> str:
    """What an exporter changed, in words."""
    if way is None:
        return ""
    parts = [f"{kind} {signed(change)}" for kind, change in way["changes"].items() if change]
    parts += [f"{way['apart']:,} biases as additions of their own"] if way["apart"] else []
    parts += [f"other {signed(way['left'])}"] if way["left"] else []
    parts += [f"uncounted {', '.join(way['uncounted'])}"] if way["uncounted"] else []
    return "✓" if way["equal"] else "; ".join(parts)


def signed(change: dict[str, int]) -> str:
    """``-1,024 ×``"""
    return " ".join(f"{value:+,} {SIGNS[figure]}" for figure, value in change.items())


def main(argv: list[str] | None = None) -> int:
    """Count, print, and keep. Returns 1 if an exported program disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="*", help="names to count, as in 'resnet*'")
    parser.add_argument("--largest", type=float, default=100, help="million parameters up to which ONNX is written")
    parser.add_argument("--write", action="store_true", help="keep the results")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    kept = RESULTS / "graphs.json"
    rows = [Row(**each) for each in json.loads(kept.read_text())] if options.write and kept.exists() else []
    names = [name for name in models.list_models(module=models) if fnmatch.fnmatch(name, options.models)]
    for name in names:
        if any(row.name == name for row in rows):
            continue
        try:
            rows.append(count(name, options.largest))
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        row = rows[-1]
        print(name, tick(row.exported), tick(row.archived), {way: shown(found) for way, found in row.onnx.items()})
        if options.write:
            rows.sort(key=lambda row: row.name)
            write("graphs.json", json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            write("graphs.md", table(rows))
    return int(not all(row.exported and row.archived for row in rows))


if __name__ == "__main__":
    sys.exit(main())
