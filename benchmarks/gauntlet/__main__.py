"""Run the gauntlet: ``python -m benchmarks.gauntlet [--tools a,b] [--cases GLOB] [--timeout S] [--write]``.

Exit status: 0, or 1 if opcount is among the tools and got a case wrong, or 2 for options that make no sense.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.gauntlet.case import Case
from benchmarks.gauntlet.cases import CASES
from benchmarks.gauntlet.report import Scoreboard, show, write
from benchmarks.gauntlet.tools import TOOLS, Tool, python_version

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def run_tool(tool: Tool, cases: Sequence[Case], timeout: float) -> dict[str, dict[str, Any]]:
    """One worker process for the tool; a case it does not answer is a crash."""
    command = [sys.executable, "-m", "benchmarks.gauntlet.worker", tool.name, str(timeout)]
    done = subprocess.run(
        [*command, *(case.name for case in cases)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
    missing = {"status": "crash", "said": last[:200]}
    return {case.name: answers[i] if i < len(answers) else missing for i, case in enumerate(cases)}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gauntlet", description="Counters on hard models.")
    parser.add_argument("--tools", default="", help=f"a comma-separated few of {', '.join(t.name for t in TOOLS)}")
    parser.add_argument("--cases", default="*", help="a glob on the names of cases or of families")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one case (default 60)")
    parser.add_argument(
        "--write", action="store_true", help="write benchmarks/results/gauntlet.md and .json (takes the whole gauntlet)"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show, and write if asked to."""
    options = parse(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    wanted = [name.strip() for name in options.tools.split(",") if name.strip()]
    if options.write and (wanted or options.cases != "*"):
        console.print("--write is for the whole gauntlet: leave --tools and --cases out")
        return 2
    unknown = set(wanted) - {tool.name for tool in TOOLS}
    cases = [c for c in CASES if fnmatchcase(c.name, options.cases) or fnmatchcase(c.family, options.cases)]
    if unknown or not cases:
        console.print(f"no such tool: {', '.join(sorted(unknown))}" if unknown else f"no case: {options.cases}")
        return 2
    tools = [tool for tool in TOOLS if not wanted or tool.name in wanted]
    versions = {tool.name: tool.version() for tool in tools}
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for tool in tools:
        if versions[tool.name] is not None:
            with console.status(f"{tool.name} {versions[tool.name]}: {len(cases)} cases"):
                results[tool.name] = run_tool(tool, cases, options.timeout)
    import torch

    date = datetime.now(timezone.utc).date().isoformat()
    board = Scoreboard(date, python_version(), torch.__version__, versions, cases, results)
    show(board, console)
    if options.write:
        write(board, RESULTS)
    ours = results.get("opcount", {})
    return int(any(result["status"] != "right" for result in ours.values()))


if __name__ == "__main__":
    sys.exit(main())
