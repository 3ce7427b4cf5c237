"""How long counting takes, beside a bare forward on the meta device and PyTorch's own counter on the same model.

    python -m benchmarks.speed [--models resnet50 vit_b_16] [--rounds 9] [--write]

One process, one thread, runs of all three interleaved, the median of each. "Cold" is a count that remembers nothing of
earlier ones, "warm" any later one. The model is on the meta device for all three: weights play no part.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
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
    if options.write:
        write("speed.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
