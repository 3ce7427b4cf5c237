"""The whole torture suite, and how much of what it was: ``docs/reliability.md`` shows the figures.

    python -m benchmarks.torture [--write] [--workers 2] [--fuzz-seconds 15]

Runs every test under ``tests/torture``, the slow ones too, with Hypothesis at its most thorough, and then fuzzes with
atheris where that is installed (``benchmarks/fuzz.py``). What has passed is kept in ``.torture.jsonl``, and
a run goes on where the last one ended unless the code or the versions have changed since. With ``--write`` the figures
go into ``docs/reliability.md`` and ``benchmarks/results/torture.json``.

This module is also the plugin of that run: it leaves out what has passed, and notes what passes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import fuzz
from benchmarks.environment import RESULTS, environment

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
JOURNAL = ROOT / ".torture.jsonl"
_SOURCES = ("opcount", "lenet", "tests/torture", "tests/lenet", "benchmarks/gauntlet")


def digest() -> str:
    """What the results depend on: the code, and the versions it runs with."""
    import torch

    sums = hashlib.sha256(f"{sys.version} {torch.__version__}".encode())
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            sums.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return sums.hexdigest()


def kept() -> dict[str, dict[str, Any]]:
    """What has been noted of each test, by its name; the last word holds."""
    found: dict[str, dict[str, Any]] = {}
    for line in JOURNAL.read_text(encoding="utf-8").splitlines() if JOURNAL.exists() else ():
        try:
            note = json.loads(line)
        except ValueError:  # cut off by whatever ended the run
            continue
        found[note["test"]] = note
    return found


def begin() -> int:
    """Start the journal, or go on with one of this very code. Returns how many tests have passed."""
    now = {"test": "", "digest": digest()}
    notes = kept()
    if notes.get("", {}).get("digest") != now["digest"]:
        JOURNAL.write_text(json.dumps(now) + "\n", encoding="utf-8")
        return 0
    with JOURNAL.open("a", encoding="utf-8") as file:
        file.write("\n")  # or the next note would go on in a line that was cut off
    return sum(note.get("outcome") == "passed" for note in notes.values())


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what has passed."""
    notes = kept()
    left = [item for item in items if notes.get(item.nodeid, {}).get("outcome") != "passed"]
    config.hook.pytest_deselected(items=[item for item in items if item not in left] if len(left) < len(items) else [])
    items[:] = left


_ended: dict[str, tuple[str, float]] = {}


def pytest_runtest_logreport(report: Any) -> None:
    """Note how a test ended, and what it says that it did."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # the process that started the workers hears of it too
        return
    outcome, seconds = _ended.get(report.nodeid, ("passed", 0.0))
    outcome = report.outcome if outcome == "passed" else outcome
    _ended[report.nodeid] = outcome, seconds + report.duration
    if report.when == "teardown":
        outcome, seconds = _ended.pop(report.nodeid)
        note = {"test": report.nodeid, "outcome": outcome, "seconds": round(seconds, 3)}
        with JOURNAL.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**note, "did": dict(report.user_properties)}) + "\n")


def figures() -> tuple[Counter[str], Counter[str], float]:
    """What the tests did, by what they record of themselves, how they ended, and how many seconds they took."""
    done: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    seconds = 0.0
    for name, note in kept().items():
        if name:
            ended[note["outcome"]] += 1
            done.update({what: int(times) for what, times in note["did"].items()})
            seconds += note["seconds"]
    return done, ended, seconds


def tested(workers: str) -> int:
    """Run what is left of the suite."""
    command = [sys.executable, "-m", "pytest", "tests/torture", "-q", "-p", "benchmarks.torture", "-n", workers]
    command += ["--hypothesis-profile=thorough", "-o", "console_output_style=count"]
    passed = begin()
    print(f"{passed:,} tests have passed already, with this very code: going on" if passed else "beginning", flush=True)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return 0 if code == 5 and passed else code  # 5: there was nothing left to run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reliability.md")
    parser.add_argument("--workers", default="2", help="how many processes; 0 for this one alone")
    parser.add_argument("--fuzz-seconds", type=int, default=15, help="for each of what atheris fuzzes")
    options = parser.parse_args()
    code = tested(options.workers)
    done, ended, seconds = figures()
    if fuzz.is_there() and options.fuzz_seconds:
        for name in fuzz.PROPERTIES:
            runs, found = fuzz.fuzzed(name, options.fuzz_seconds)
            print(f"atheris, {name}: {runs:,} inputs {found}", flush=True)
            done["inputs fuzzed by atheris, by what they reach"] += runs
            code |= bool(found)
            seconds += options.fuzz_seconds
    rows = {**dict(sorted(done.items())), **{f"tests {how}": count for how, count in sorted(ended.items())}}
    table = "\n".join(["| | |", "|---|---:|", *(f"| {what} | {count:,} |" for what, count in rows.items())])
    text = f"{environment()}, {seconds / 60:.0f} minutes of tests:\n\n{table}\n"
    print(text)
    if options.write and code == 0:
        result = {"environment": environment(), "seconds": round(seconds), "figures": rows}
        (RESULTS / "torture.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        before, rest = PAGE.read_text(encoding="utf-8").split("<!-- figures -->\n")
        after = rest.partition("<!-- end of figures -->")[2]
        PAGE.write_text(f"{before}<!-- figures -->\n{text}<!-- end of figures -->{after}", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
