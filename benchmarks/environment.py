"""What a measured figure was measured with, and where the results go."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def environment() -> str:
    """Versions, processor count and date, in one line of a results file."""
    import torch

    import opcount

    parts = [
        f"opcount {opcount.__version__}",
        f"torch {torch.__version__.partition('+')[0]}",
        f"Python {platform.python_version()}",
        f"{platform.machine()}, {os.cpu_count()} cores",
        datetime.date.today().isoformat(),
    ]
    return ", ".join(parts)


def write(name: str, text: str) -> None:
    """Put a result beside the command that made it."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text, encoding="utf-8")
    print(f"written to benchmarks/results/{name}")


def print_or_write(description: str | None, name: str, measure: Callable[[], str]) -> None:
    """The command of a benchmark that has one result: print it, or with ``--write`` keep it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {name} instead of printing")
    options = parser.parse_args()
    text = measure()
    if options.write:
        write(name, text)
    else:
        print(text)
