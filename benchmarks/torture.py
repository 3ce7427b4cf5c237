"""The whole torture suite, and how much of what it was: ``docs/reliability.md`` shows the figures.

    python -m benchmarks.torture [--write]

Runs every test under ``tests/torture``, the slow ones too, with Hypothesis at its most thorough. With ``--write`` the
figures go into ``docs/reliability.md``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.environment import environment

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"


def figures(report: Path) -> tuple[Counter[str], Counter[str]]:
    """What the tests did, by what they record of themselves, and how they ended."""
    done: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - written by the run just above
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        ended[outcome] += 1
        for entry in case.iter("property"):
            done[entry.attrib["name"]] += int(entry.attrib["value"])
    return done, ended


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reliability.md")
    parser.add_argument("--workers", default="2", help="how many processes")
    options = parser.parse_args()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "torture.xml"
        command = [sys.executable, "-m", "pytest", "tests/torture", "-q", "-n", options.workers]
        command += ["--hypothesis-profile=thorough", f"--junitxml={report}", "-o", "junit_family=xunit1"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        done, ended = figures(report)
    minutes = f"{(time.perf_counter() - begin) / 60:.1f}"
    rows = [*sorted(done.items()), *((f"tests {how}", count) for how, count in sorted(ended.items()))]
    table = "\n".join(["| | |", "|---|---:|", *(f"| {what} | {count:,} |" for what, count in rows)])
    text = f"{environment()}, {minutes} minutes:\n\n{table}\n"
    print(text)
    if options.write and code == 0:
        before, rest = PAGE.read_text(encoding="utf-8").split("<!-- figures -->\n")
        after = rest.partition("<!-- end of figures -->")[2]
        PAGE.write_text(f"{before}<!-- figures -->\n{text}<!-- end of figures -->{after}", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
