"""How long counting takes, beside a bare forward on the meta device and PyTorch's own counter on the same model.

    python -m benchmarks.speed [--models resnet50 vit_b_16] [--rounds 9] [--write]

One process, one thread, runs of all three interleaved, the median of each. "Cold" is a count that remembers nothing of
earlier ones, "warm" any later one. The model is on the meta device for all three: weights play no part.

Then what the time of a count depends on (depth) and what it does not (batch, resolution, width, the size of the
weights), and the command line from start to end beside the import of its libraries.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from benchmarks.environment import environment, write
from opcount import profile, vision
from opcount.trace.memory import MEMORY

MODELS = (
    *("resnet50", "mobilenet_v3_large", "efficientnet_b0", "densenet121", "convnext_tiny", "regnet_y_8gf"),
    *("vit_b_16", "swin_t", "maxvit_t", "fcn_resnet50"),
)


def measured(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    begin = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begin)


def compare(name: str, rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, on one model."""
    builder = models.get_model_builder(name)
    model: nn.Module = builder(**vision.builder_arguments(builder, {})).eval().to("meta")
    (size,) = vision.example_input(builder, model)
    image = torch.empty(size, device="meta")

    def forward() -> None:
        model(image)

    def flop_counter() -> None:
        with FlopCounterMode(display=False):
            model(image)

    def opcount() -> None:
        profile(model, size)

    with torch.no_grad():
        forward()
        flop_counter()
        opcount()
        MEMORY.clear()
        cold = measured(opcount)
        ways = {"forward": forward, "flop_counter": flop_counter, "warm": opcount}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, call in ways.items():
                times[way].append(measured(call))
    return {"cold": cold, **{way: statistics.median(found) for way, found in times.items()}}


def row(name: str, found: dict[str, float]) -> str:
    """One line of the table."""
    cells = [f"{found[way]:.1f} ms" for way in ("forward", "flop_counter", "warm", "cold")]
    ratios = f"{found['warm'] / found['forward']:.2f} | {found['flop_counter'] / found['warm']:.1f}"
    return f"| {name} | " + " | ".join(cells) + f" | {ratios} |"


SIZES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
DEPTHS = (10, 100, 1_000, 10_000)


def convolutions(width: int) -> nn.Module:
    """Ten convolutions with their rectifiers, without weights."""
    with torch.device("meta"):
        layers = (nn.Conv2d(width, width, 3, padding=1) for _ in range(10))
        return nn.Sequential(*(layer for convolution in layers for layer in (convolution, nn.ReLU())))


def sized(rounds: int) -> Iterator[str]:
    """Ten convolutions under batches, resolutions and widths of any size: a row for each size."""
    narrow = convolutions(8)
    yield "| size | batch | resolution | width |"
    yield "|---:|---:|---:|---:|"
    for size in SIZES:
        wide = convolutions(size)
        counts = ((narrow, (size, 8, 32, 32)), (narrow, (1, 8, size, size)), (wide, (1, size, 32, 32)))
        cells = [f"{counting(model, shape, rounds):.2f} ms" for model, shape in counts]
        yield f"| {size:,} | {' | '.join(cells)} |"


def deep(rounds: int) -> Iterator[str]:
    """As many linear layers one after another: a row for each depth."""
    yield "| layers | count | a layer |"
    yield "|---:|---:|---:|"
    for depth in DEPTHS:
        with torch.device("meta"):
            model = nn.Sequential(*(nn.Linear(64, 64) for _ in range(depth)))
        taken = counting(model, (1, 64), rounds if depth < DEPTHS[-1] else 3)
        yield f"| {depth:,} | {taken:.1f} ms | {1000 * taken / depth:.0f} µs |"


def huge(rounds: int) -> str:
    """A model whose weights would fit nowhere: four layers of 2**20 by 2**20, 16 TiB in float32."""
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(2**20, 2**20, bias=False) for _ in range(4)))
    return f"16 TiB of weights: {counting(model, (1, 2**20), rounds):.2f} ms"


def command_line(rounds: int = 5) -> str:
    """The command from start to end, and how that compares with importing torch and torchvision."""
    ways = {
        "imports": [sys.executable, "-c", "import torch, torchvision"],
        "command": [sys.executable, "-m", "opcount", "torchvision.models:resnet50"],
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, command in ways.items():
            times[way].append(measured(partial(subprocess.run, command, check=True, capture_output=True)))
    imports, whole = (statistics.median(found) / 1000 for found in times.values())
    return (
        f"`python -m opcount torchvision.models:resnet50`: {whole:.2f} s; "
        f'`python -c "import torch, torchvision"`: {imports:.2f} s; ratio {whole / imports:.2f}'
    )


def counting(model: nn.Module, size: tuple[int, ...], rounds: int) -> float:
    """Median milliseconds of a warm count."""
    profile(model, size)
    return statistics.median(measured(partial(profile, model, size)) for _ in range(rounds))


def sections(rounds: int) -> Iterator[str]:
    """Everything after the table of models, line by line."""
    yield from ("", "## Ten convolutions, by size", "", *sized(rounds))
    yield from ("", "## Linear layers, by depth", "", *deep(rounds))
    yield from ("", "## Beyond any memory", "", huge(rounds))
    yield from ("", "## From the command line", "", command_line())


def main() -> None:
    """Measure and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    lines = [
        f"# speed ({environment()})",
        "",
        "| model | forward | FlopCounterMode | opcount, warm | cold | warm / forward | FlopCounterMode / warm |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines))
    for name in options.models:
        lines.append(row(name, compare(name, options.rounds)))
        print(lines[-1], flush=True)
    for line in sections(options.rounds):
        lines.append(line)
        print(line, flush=True)
    if options.write:
        write("speed.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
