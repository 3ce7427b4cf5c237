"""How fast a design space is counted, and what it takes to.

    python -m benchmarks.sweep [--points 10000] [--most 100000] [--write]

1. Points a second for a MobileNet-like space (width, resolution, depth, expansion and kernel) in two processes, beside
   a plain loop over ``profile`` and one over PyTorch's FlopCounterMode on the meta device. The loops are measured
   on stretches of the space, before the sweep and after it; the sweep on the whole of it. All build every model, and
   their MACs have to be equal. Neither loop tells the peak of activations, so the sweep that is compared does not
   either; one that does is measured beside it.
2. The memory of the process that sweeps, for 1,000 and for 100,000 points that cost next to nothing to count.
3. A Dask cluster of this machine with one worker and with two.

Each measurement is a process of its own, with one torch thread. Some six minutes on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.environment import environment, write
from benchmarks.space import mobilenet, points, size, tiny
from opcount import profile, sweep

STRETCHES = 4


def places(many: int, whole: int) -> list[int]:
    """That many places in a space of some size: stretches of neighbours, which share layers as in a whole loop."""
    each = max(1, many // STRETCHES)
    return [
        start * whole // STRETCHES + index
        for start in range(STRETCHES)
        for index in range(min(each, whole // STRETCHES))
    ]


def looped(way: str, many: int, whole: int) -> dict[str, Any]:
    """Points a second of a plain loop over part of a space."""
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(1)
    space = points(whole)
    chosen, macs = [space[place] for place in places(many, len(space))], []
    profile(mobilenet(**space[-1]), size(**space[-1]))  # what happens once does not count
    begin = time.perf_counter()
    for point in chosen:
        if way == "profile":
            macs.append(profile(mobilenet(**point), size(**point)).macs)
            continue
        with torch.device("meta"):
            model, image = mobilenet(**point), torch.empty(size(**point))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
        macs.append(counter.get_total_flops() // 2)
    return {"rate": len(chosen) / (time.perf_counter() - begin), "macs": macs}


def swept(many: int, workers: int, peak: int = 0, dask: bool = False) -> dict[str, Any]:
    """Points a second of a sweep, from the first point asked to the last row kept; starting processes is in it."""
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = {"store": f"{folder}/rows.parquet", "peak": bool(peak)}
        if not dask:
            rows = sweep(mobilenet, points(many), size, workers=workers, **given)
        else:
            from distributed import Client, LocalCluster

            options: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            with LocalCluster(**options) as cluster, Client(cluster) as client:
                rows = sweep(mobilenet, points(many), size, executor=client, **given)
        macs = [row["macs"] for row in rows]
        return {"rate": rows.tally.counted / rows.tally.seconds, "failed": rows.tally.failed, "macs": macs}


def memory(many: int) -> dict[str, Any]:
    """The most memory this process had, in MiB, while it swept that many points from a generator, in a SQLite store."""
    import resource

    with tempfile.TemporaryDirectory() as folder:
        rows = sweep(tiny, ({"width": width} for width in range(many)), (1, 1), store=f"{folder}/rows.sqlite")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"peak": peak, "rate": many / rows.tally.seconds, "rows": len(rows)}


def apart(*words: Any) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sweep", "--measure", *map(str, words)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ})
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def measure(what: str, *numbers: str) -> dict[str, Any]:
    """What the words ask for."""
    given = list(map(int, numbers))
    ways = {"swept": swept, "memory": memory, "dask": lambda many, workers: swept(many, workers, dask=True)}
    return looped(what, *given) if what in LOOPS else ways[what](*given)


LOOPS = {"profile": "a loop over `profile`", "flop_counter": "a loop over FlopCounterMode on meta"}


def speed(options: argparse.Namespace) -> Iterator[str]:
    """The first part, with the loops before and after the sweep, so that all meet the same machine."""
    many = {"profile": options.looped, "flop_counter": max(STRETCHES, options.looped // 5)}
    loops: dict[str, list[float]] = {way: [] for way in LOOPS}
    whole: dict[str, Any] = {}
    for round in range(2):
        for way in LOOPS:
            found = apart(way, many[way], options.points)
            loops[way].append(found["rate"])
            if whole and found["macs"] != [whole["macs"][place] for place in places(many[way], options.points)]:
                raise RuntimeError(f"the sweep and {LOOPS[way]} do not agree")
        if not round:
            whole = apart("swept", options.points, 2)
    part = apart("swept", min(options.points, 2_000), 2, 1)
    if whole["failed"] or part["failed"]:
        raise RuntimeError("a point failed")
    rates = {way: statistics.mean(found) for way, found in loops.items()}
    yield "| way | points | points a second | times a loop over `profile` | times a loop over FlopCounterMode |"
    yield "|---|---:|---:|---:|---:|"
    for name, found, count in (
        ("`sweep`, two processes, `peak=False`", whole, options.points),
        ("`sweep`, two processes, with the peak of activations", part, min(options.points, 2_000)),
    ):
        times = " | ".join(f"{found['rate'] / rates[way]:.1f}" for way in LOOPS)
        yield f"| {name} | {count:,} | {found['rate']:.1f} | {times} |"
    for way, name in LOOPS.items():
        yield f"| {name} | {len(places(many[way], options.points)):,} | {rates[way]:.1f} | | |"


def sections(options: argparse.Namespace) -> Iterator[str]:
    """The page, line by line."""
    yield f"# sweep ({environment()})"
    yield ""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    yield f"Other work on the machine when it began: a load of {load:.1f}."
    yield from ("", "## A MobileNet-like space", "", *speed(options))
    yield from (
        "",
        "## Memory of the process that sweeps",
        "",
        "| points | peak | points a second |",
        "|---:|---:|---:|",
    )
    for many in (1_000, options.most):
        found = apart("memory", many)
        yield f"| {many:,} | {found['peak']:.0f} MiB | {found['rate']:.0f} |"
    yield from ("", "## A Dask cluster of this machine", "", "| workers | points a second |", "|---:|---:|")
    for workers in (1, 2):
        yield f"| {workers} | {apart('dask', min(options.points, 1_000), workers)['rate']:.1f} |"


def main() -> None:
    """Measure and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--most", type=int, default=100_000, help="points for the measurement of memory")
    parser.add_argument(
        "--looped", type=int, default=1_000, help="points of the loop over profile; a fifth of the other"
    )
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    lines = []
    for line in sections(options):
        lines.append(line)
        print(line, flush=True)
    if options.write:
        write("sweep.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
