"""How long counting takes, beside a bare forward on the meta device and other counters on the same model.

    python -m benchmarks.speed [--models torchvision:resnet50 timm:vit_small_patch16_224] [--rounds 9] [--write]

One process, one thread, the model on the meta device for all (weights play no part), runs of all interleaved, each
timed right after one of its own kind, the median of each. "Cold" is a count that remembers nothing of earlier ones (the
median of five), "warm" any later one: until its figures are there. "Rows" is a warm count with the record of every
layer, which is made when it is first asked for. PyTorch's own counter is always there; the others are those that are
installed and run on the meta device (fvcore, ptflops, torchinfo, calflops, thop), and of these the fastest is shown.
Some of them leave functions of PyTorch replaced, or buffers and hooks on the model: each is asked in a process of its
own, forked from this one right after.

Then Llama-3.1 405B's shape, with the memory it takes; what the time of a count depends on (depth) and what it does not
(batch, resolution, width, the size of the weights); and the command line from start to end beside the import of its
libraries.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.apart import apart
from benchmarks.environment import environment, write
from benchmarks.gauntlet import tools
from benchmarks.gauntlet.case import Built
from opcount import profile
from opcount.inputs import call_arguments
from opcount.targets import known_input, load
from opcount.trace.memory import MEMORY

NAMES = ("resnet50", "mobilenet_v3_large", "efficientnet_b0", "densenet121", "convnext_tiny", "regnet_y_8gf")
MODELS = (
    *(f"torchvision:{name}" for name in NAMES),
    *(f"torchvision:{name}" for name in ("vit_b_16", "swin_t", "maxvit_t", "fcn_resnet50")),
    *("timm:convnextv2_tiny", "timm:mobilenetv4_conv_medium", "timm:vit_base_patch16_224"),
    *("transformers:BertModel", "transformers:GPT2LMHeadModel", "transformers:T5ForConditionalGeneration"),
)
PEERS: dict[str, Callable[[Built], Any]] = {
    "fvcore": tools.ask_fvcore,
    "ptflops": tools.ask_ptflops("pytorch"),
    "torchinfo": tools.ask_torchinfo,
    "calflops": tools.ask_calflops,
    "thop": tools.ask_thop,
}


def measured(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    begin = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begin)


def from_nothing(call: Callable[[], Any]) -> float:
    """Milliseconds of a count that remembers nothing of earlier ones."""
    MEMORY.clear()
    gc.collect()
    return measured(call)


def timed(ask: Callable[[Built], Any], built: Built, rounds: int) -> float:
    """Median milliseconds that a counter takes, once it is warm."""
    ask(built)
    return statistics.median(measured(partial(ask, built)) for _ in range(rounds))


def compare(name: str, rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, on one model."""
    found = load(name)
    model = found.model.eval().to("meta")
    inputs = known_input(found)
    args, kwargs = call_arguments(model, inputs, None, shapes_only=True)

    def forward() -> None:
        model(*args, **kwargs)

    def flop_counter() -> None:
        with FlopCounterMode(display=False):
            model(*args, **kwargs)

    def opcount() -> int:
        return profile(model, inputs).total

    def rows() -> int:
        return len(profile(model, inputs).layers)

    with torch.no_grad():
        forward()
        flop_counter()
        opcount()
        cold = statistics.median(from_nothing(opcount) for _ in range(5))
        ways = {"forward": forward, "FlopCounterMode": flop_counter, "warm": opcount, "rows": rows}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, call in ways.items():
                call()  # what ran before has left the processor's caches full of other things
                times[way].append(measured(call))
        peers = {peer: apart(partial(timed, ask, Built(model, args, kwargs), rounds)) for peer, ask in PEERS.items()}
    found_by = {way: statistics.median(taken) for way, taken in times.items()}
    return {"cold": cold, **found_by, **{peer: taken for peer, taken in peers.items() if taken is not None}}


HEAD = (
    "| model | forward | FlopCounterMode | fastest peer | opcount, warm | rows | cold | warm / forward | "
    "cold / forward | FlopCounterMode / warm | fastest peer / warm |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
)


def row(name: str, found: dict[str, float]) -> str:
    """One line of the table."""
    peers = {way: taken for way, taken in found.items() if way in (*PEERS, "FlopCounterMode")}
    fastest = min(peers, key=peers.__getitem__)
    warm, forward = found["warm"], found["forward"]
    cells = [
        *(f"{forward:.1f} ms", f"{found['FlopCounterMode']:.1f} ms", f"{fastest} {peers[fastest]:.1f} ms"),
        *(f"{found[way]:.1f} ms" for way in ("warm", "rows", "cold")),
        *(f"{warm / forward:.2f}", f"{found['cold'] / forward:.2f}"),
        *(f"{found['FlopCounterMode'] / warm:.1f}", f"{peers[fastest] / warm:.1f}"),
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


LLAMA = {
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
"""Llama-3.1 405B, by its published configuration."""


def llama(way: str, rounds: int) -> dict[str, float]:
    """Milliseconds of one way to go through 8,192 tokens, and the MiB it took above the imports and the model."""
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**LLAMA)).eval()
        tokens = torch.empty((1, 8192), dtype=torch.int64)

    def run() -> None:
        if way == "opcount":
            profile(model, tokens).total  # noqa: B018  # that is what takes time
            return
        with torch.no_grad(), FlopCounterMode(display=False) if way == "FlopCounterMode" else contextlib.nullcontext():
            model(tokens)

    profile(nn.Linear(2, 2), (1, 2))  # what is imported when something is first counted
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is that of the imports: begin anew
    before = resident("VmRSS")
    first = measured(run)
    times = [measured(run) for _ in range(rounds)]
    return {"cold": first, "warm": statistics.median(times), "memory": resident("VmHWM") - before}


def resident(field: str) -> float:
    """MiB of this process in memory, now (``VmRSS``) or at most (``VmHWM``), as Linux tells it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024  # type: ignore[index]


def largest(rounds: int) -> Iterator[str]:
    """The three ways through Llama-3.1 405B's shape, each in a process of its own."""
    yield "| way | first | median of later ones | memory |"
    yield "|---|---:|---:|---:|"
    for way in ("forward", "FlopCounterMode", "opcount"):
        command = [sys.executable, "-m", "benchmarks.speed", "--llama", way, "--rounds", str(min(rounds, 5))]
        taken = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        yield f"| {way} | {taken['cold']:,.0f} ms | {taken['warm']:,.0f} ms | {taken['memory']:,.0f} MiB |"


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
    return statistics.median(measured(lambda: profile(model, size).total) for _ in range(rounds))


def sections(rounds: int) -> Iterator[str]:
    """Everything after the table of models, line by line."""
    yield from ("", "## Llama-3.1 405B's shape, 8,192 tokens, on the meta device", "", *largest(rounds))
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
    parser.add_argument("--llama", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if options.llama:
        print(json.dumps(llama(options.llama, options.rounds)))
        return
    lines = [f"# speed ({environment()})", "", *HEAD]
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
