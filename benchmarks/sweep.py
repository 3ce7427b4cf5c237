"""How fast a design space is counted, and what it takes to.

    python -m benchmarks.sweep [--points 10000] [--write]

1. Points a second for a MobileNet-like space (width, resolution, depth, expansion and kernel) in processes, beside a
   plain loop over ``profile`` and one over PyTorch's FlopCounterMode on the meta device. The loops are measured
   on a part of the space, spread over all of it; the sweep on the whole of it. All three build every model.
2. The memory of the process that sweeps, for 1,000 and for 100,000 points that cost next to nothing to count.
3. A Dask cluster of this machine with one worker and with two.

Each measurement is a process of its own, with one torch thread.
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


def looped(way: str, many: int) -> dict[str, Any]:
    """Points a second of a plain loop."""
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(1)
    chosen, macs = points(many), []
    profile(mobilenet(**chosen[0]), size(**chosen[0]))  # what happens once does not count
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
    return {"rate": many / (time.perf_counter() - begin), "macs": macs}


def swept(many: int, workers: int, dask: bool = False) -> dict[str, Any]:
    """Points a second of a sweep, from the first point asked to the last row kept; starting processes is in it."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/rows.parquet"
        if not dask:
            rows = sweep(mobilenet, points(many), size, store=store, workers=workers)
        else:
            from distributed import Client, LocalCluster

            options: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            with LocalCluster(**options) as cluster, Client(cluster) as client:
                rows = sweep(mobilenet, points(many), size, store=store, executor=client)
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
    return looped(what, *given) if what in ("profile", "flop_counter") else ways[what](*given)


def speed(many: int, rounds: int, looped_over: int) -> Iterator[str]:
    """The first part, with the loops before and after the sweep, so that all meet the same machine."""
    loops: dict[str, list[float]] = {"profile": [], "flop_counter": []}
    expected: dict[str, list[int]] = {}
    rates: list[float] = []
    for _ in range(rounds):
        for way, found in loops.items():
            result = apart(way, looped_over)
            found.append(result["rate"])
            expected[way] = result["macs"]
        result = apart("swept", many, 2)
        rates.append(result["rate"])
        places = [index * many // looped_over for index in range(looped_over)] if many % looped_over == 0 else []
        same = [result["macs"][place] for place in places]
        if result["failed"] or (places and not same == expected["profile"] == expected["flop_counter"]):
            raise RuntimeError("the three ways do not agree")
    rate = statistics.median(rates)
    yield "| way | points a second | the sweep is faster by |"
    yield "|---|---:|---:|"
    yield f"| `sweep`, two processes, {many:,} points | {rate:.1f} | |"
    for way, found in loops.items():
        name = "a loop over `profile`" if way == "profile" else "a loop over FlopCounterMode on meta"
        plain = statistics.median(found)
        yield f"| {name}, {looped_over} of them | {plain:.1f} | {rate / plain:.1f} |"


def sections(options: argparse.Namespace) -> Iterator[str]:
    """The page, line by line."""
    yield f"# sweep ({environment()})"
    yield ""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    yield f"Other work on the machine when it began: a load of {load:.1f}. Medians of {options.rounds} rounds."
    yield from ("", "## A MobileNet-like space", "", *speed(options.points, options.rounds, options.looped))
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
    parser.add_argument("--looped", type=int, default=200, help="points of the plain loops")
    parser.add_argument("--rounds", type=int, default=3)
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
