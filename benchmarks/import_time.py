"""What ``import opcount`` costs beyond ``import torch``: each run in a fresh process, the median of all.

python -m benchmarks.import_time [--runs 9] [--write]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from benchmarks.environment import environment, write

_SCRIPT = """
import time
begin = time.perf_counter()
import torch
between = time.perf_counter()
import opcount
imported = time.perf_counter()
opcount.profile
print(between - begin, imported - between, time.perf_counter() - imported)
"""


def measure(runs: int) -> list[list[float]]:
    """Seconds for torch, opcount and what ``opcount.profile`` then brings in, in each of ``runs`` processes.

    One more process goes before, to warm the disk.
    """
    results = []
    for _ in range(runs + 1):
        run = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
        results.append([float(seconds) for seconds in run.stdout.split()])
    return results[1:]


def main() -> None:
    """Measure and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    runs = measure(options.runs)
    lines = [f"# import time ({environment()})", "", "| import | median | least | most |", "|---|---:|---:|---:|"]
    names = ("torch", "opcount, after torch", "what opcount.profile brings in when first asked for")
    for column, name in enumerate(names):
        seconds = [1000 * run[column] for run in runs]
        figures = (statistics.median(seconds), min(seconds), max(seconds))
        lines.append(f"| {name} | " + " | ".join(f"{figure:.0f} ms" for figure in figures) + " |")
    text = "\n".join(lines) + f"\n\n{options.runs} processes.\n"
    print(text)
    if options.write:
        write("import_time.md", text)


if __name__ == "__main__":
    main()
