"""torchvision's classification models counted four ways: live, as exported programs, from archives, and as ONNX.

    python -m benchmarks.graphs [--models 'resnet*' 'vgg*'] [--largest 1000] [--write]

An exported program and its archive have to agree with the live model in all six figures. ONNX exporters change the
model: they fold batch norms into convolutions, take attention apart, work out beforehand what depends on no input, and
write some activations in other words. Each such change is counted on its own, and what is left has to agree.
Results are kept model by model in ``benchmarks/results/graphs.json``, and a run goes on where the last one ended.
Weights are random, and ONNX needs them: memory for some four times the weights. Models with more than ``--largest``
million parameters are exported only.
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

from benchmarks import constants
from benchmarks.environment import RESULTS, environment, write
from benchmarks.rewritten import rewritten
from opcount import OpCount, Profile, profile
from opcount.graphs.onnx.reading import read
from opcount.graphs.subject import read_program
from opcount.ops import FIGURES
from opcount.result import Entry
from opcount.sweeping.unfilled import weights_unfilled

SIZES = {"inception_v3": 96, "maxvit_t": 224, "alexnet": 224, "vgg": 224}
SMALL = 64
"""Side of the image, where a model takes any: costs nothing in exactness and makes tracing quick. TorchScript exports
the adaptive pooling of AlexNet and VGG only where it leaves everything as it is."""

FIXED = ("fixed_normalization",)
ROLES = {"bias": "biases", "scale": "attention scale"}
MOVED = ("norms", *ROLES.values())
BEFOREHAND = "constants"


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
        with weights_unfilled():
            model: nn.Module = models.get_model(name, weights=None, **arguments).eval()
        with torch.no_grad():
            for label, tensor in (*model.named_parameters(), *model.named_buffers()):
                if tensor.is_floating_point():
                    tensor.uniform_(*((0.5, 1.5) if tensor.ndim == 1 and _scales(label) else (0.1, 0.2)))
    return model


def _scales(label: str) -> bool:
    """Whether a vector is what a norm divides or multiplies by."""
    return "var" in label or "weight" in label


def size_of(name: str, model: nn.Module) -> tuple[int, int, int, int]:
    """A small image that the model takes."""
    side = getattr(model, "image_size", None) or SIZES.get("vgg" if name.startswith("vgg") else name, SMALL)
    return (1, 3, side, side)


def split(counted: Profile | None) -> dict[str, OpCount]:
    """What a profile counts of each of the things that exporters move about, and of all else."""
    found = {kind: OpCount() for kind in ("", *MOVED)}
    for record in counted.layers if counted is not None else ():
        for entry in record.entries:
            kind = kind_of(entry)
            found[kind] = found[kind] + entry.ops
    return found


def kind_of(entry: Entry) -> str:
    """Which of the things that exporters move about a term is; none of them where empty."""
    if entry.term.formula in FIXED:
        return "norms"
    return ROLES.get(entry.term.role, "")


def compared(live: Profile, before: Profile | None, model: Any) -> dict[str, Any]:
    """How an ONNX model differs: what was moved about, and what is left.

    Args:
        live: the model that it was made of.
        before: the part of that which depends on no input.
        model: the ONNX model.
    """
    other, after = profile(model), constants.of_onnx(model)
    ours, theirs = dependent(live, before), dependent(other, after)
    apart = rewritten(model)
    for kind, ops in apart.items():  # what belongs to it, though it is an operator of its own
        theirs[kind] = added(theirs[kind], ops.to_dict())
        theirs[""] = difference(theirs[""], ops.to_dict())
    changes = {kind: difference(theirs[kind], ours[kind]) for kind in MOVED}
    changes[BEFOREHAND] = difference(constants.total(after).to_dict(), constants.total(before).to_dict())
    return {
        "equal": live.ops == other.ops,
        "changes": changes,
        "left": difference(theirs[""], ours[""]),
        "uncounted": sorted({item.name for item in other.uncounted}),
        "apart": apart["biases"].additions,
    }


def added(some: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Both together."""
    return {figure: some.get(figure, 0) + more.get(figure, 0) for figure in FIGURES}


def dependent(counted: Profile, fixed: Profile | None) -> dict[str, dict[str, int]]:
    """What a profile counts, by kind, without the part that depends on no input."""
    whole, part = split(counted), split(fixed)
    return {kind: difference(whole[kind].to_dict(), part[kind].to_dict()) for kind in whole}


def difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """How many operations more, of those figures that differ."""
    pairs = ((figure, after.get(figure, 0) - before.get(figure, 0)) for figure in FIGURES)
    return {figure: value for figure, value in pairs if value}


def count(name: str, largest: float) -> Row:
    """One model counted every way."""
    model = build(name)
    size = size_of(name, model)
    live = profile(model, size)
    program = torch.export.export(model, (torch.zeros(size),))
    exported = profile(program)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt2"
        torch.export.save(program, path)
        archived = profile(read_program(str(path)))
        path.unlink()
    row = Row(name, live.params, live.macs, exported.ops == live.ops, archived.ops == live.ops)
    if live.params <= largest * 1e6:
        fixed = constants.of_program(program)
        for way, subject in (("dynamo", program), ("TorchScript", model)):
            written = as_onnx(subject, size, dynamo=way == "dynamo")
            row.onnx[way] = compared(live, fixed, written)
    return row


def as_onnx(model: Any, size: tuple[int, ...], *, dynamo: bool) -> Any:
    """What one of PyTorch's exporters writes, read back without the weights that lie beside it."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # TorchScript has no ONNX for attention's one operator for all
    try:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = f"{folder}/model.onnx"  # beside a Path TorchScript would put no more than 2 GiB of weights
            torch.onnx.export(model, (torch.zeros(size),), path, dynamo=dynamo, external_data=True, verbose=False)
            return read(path)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "# Live, exported, archived, ONNX",
        "",
        f"`python -m benchmarks.graphs --write`; {environment()}.",
        "",
        "A tick: all six figures are those of the live model. Else what the exporter changed, in multiplications (×),",
        "additions (+), divisions (÷), comparisons (<), transcendentals (f) and MACs. `constants` is what the exporter",
        "worked out beforehand: arithmetic that no input reaches, counted by itself in the exported program and in the",
        "ONNX model. A model without ONNX was too large to write here.",
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
        f"{sum(not way['left'] and not way['uncounted'] for way in explained)} agree but for folded norms, biases, "
        f"constants and the place of attention's scale, {sum(way['equal'] for way in explained)} of them in all six "
        f"figures; {sum(bool(way['uncounted']) for way in explained)} have uncounted operators.",
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
    parser.add_argument("--models", nargs="+", default=["*"], help="names to count, as in 'resnet*'")
    parser.add_argument("--largest", type=float, default=1000, help="million parameters up to which ONNX is written")
    parser.add_argument("--write", action="store_true", help="keep the results")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    kept = RESULTS / "graphs.json"
    rows = [Row(**each) for each in json.loads(kept.read_text())] if options.write and kept.exists() else []
    listed = models.list_models(module=models)
    names = [name for name in listed if any(fnmatch.fnmatch(name, pattern) for pattern in options.models)]
    for name in names:
        if any(row.name == name for row in rows):
            continue
        try:
            rows.append(count(name, options.largest))
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        row = rows[-1]
        print(
            name,
            tick(row.exported),
            tick(row.archived),
            {way: shown(found) for way, found in row.onnx.items()},
            flush=True,
        )
        if options.write:
            rows.sort(key=lambda row: row.name)
            write("graphs.json", json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            write("graphs.md", table(rows))
    return int(not all(row.exported and row.archived for row in rows))


if __name__ == "__main__":
    sys.exit(main())
