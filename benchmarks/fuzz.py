"""Fuzzing that looks at what was reached: the hostile inputs of the torture suite, driven by atheris.

    python -m benchmarks.fuzz [NAME ...] [--seconds 15]

Each property of the suite that damages something is run on inputs that atheris keeps where they reach new lines of
opcount or of the study. It needs atheris, which is there for Linux and macOS: ``pip install atheris``. Without a name
all are fuzzed, each in a process of its own; the exit code is 1 if one of them found something, which is then shown.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILES, STUDY, INPUTS = "test_hostile_files", "test_hostile_study", "test_hostile_inputs"
PROPERTIES = {
    "words": f"{INPUTS}:test_any_words_end_in_a_documented_exit_code",
    "profiles": f"{INPUTS}:test_a_saved_profile_changed_anywhere_is_read_or_refused",
    "projects": f"{FILES}:TestProjects.test_a_project_changed_anywhere",
    "locks": f"{FILES}:TestProjects.test_a_lock_changed_anywhere",
    "specs": f"{FILES}:TestSweeps.test_a_spec_changed_anywhere",
    "conditions": f"{FILES}:TestSweeps.test_conditions",
    "graphs": f"{FILES}:TestExportedPrograms.test_nodes_changed_anywhere",
    "archives": f"{FILES}:TestExportedPrograms.test_an_archive_of_damaged_bytes",
    "weights": f"{FILES}:TestSavedModels.test_damaged_bytes",
    "onnx": f"{FILES}:TestOnnx.test_a_model_changed_anywhere",
    "onnx-bytes": f"{FILES}:TestOnnx.test_a_model_of_damaged_bytes",
    "mnist": f"{STUDY}:TestDataSets.test_damaged_files_that_pass_for_whole",
    "runs": f"{STUDY}:TestRuns.test_a_report_of_a_run_changed_anywhere",
    "settings": f"{STUDY}:TestRuns.test_settings_changed_anywhere_are_resumed_or_refused",
    "checkpoints": f"{STUDY}:TestCheckpoints.test_parts_of_damaged_bytes_with_sums_that_are_right",
}
"""What is fuzzed: the test that says what has to hold."""


def is_there() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def target(name: str) -> Callable[[bytes], Any]:
    """A property as a function of bytes, from which its inputs are drawn."""
    from hypothesis import given

    module, _, path = PROPERTIES[name].partition(":")
    found: Any = importlib.import_module(f"tests.torture.{module}")
    owner: Any = None
    for part in path.split("."):
        owner, found = found, getattr(found, part)
    if not isinstance(owner, type):
        return found.hypothesis.fuzz_one_input  # type: ignore[no-any-return]
    inner, instance = found.hypothesis.inner_test, owner()

    @wraps(inner)
    def alone(**drawn: Any) -> None:
        inner(instance, **drawn)

    del alone.__wrapped__  # type: ignore[attr-defined]
    return given(**found.hypothesis._given_kwargs)(alone).hypothesis.fuzz_one_input  # type: ignore[no-any-return]


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one property in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["opcount", "lenet"]):
        run = target(name)
    with tempfile.TemporaryDirectory() as place:
        arguments = [f"-max_total_time={seconds}", f"-artifact_prefix={place}/", "-rss_limit_mb=6000", "-max_len=8000"]
        atheris.Setup([sys.argv[0], *arguments], run)
        atheris.Fuzz()


def fuzzed(name: str, seconds: int) -> tuple[int, str]:
    """How many inputs one property was tried on, and what was found, if anything was."""
    command = [sys.executable, "-m", "benchmarks.fuzz", name, "--seconds", str(seconds), "--here"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    runs = re.findall(r"^#(\d+)\t", done.stderr, re.MULTILINE)
    return int(runs[-1]) if runs else 0, "" if done.returncode == 0 and runs else done.stderr[-3000:] or "no run"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to fuzz: {', '.join(PROPERTIES)}")
    parser.add_argument("--seconds", type=int, default=15, help="for each")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.names) - PROPERTIES.keys()
    if unknown or not is_there():
        parser.error(f"there is no {unknown}" if unknown else "fuzzing needs atheris: pip install atheris")
    if options.here:
        fuzz(options.names[0], options.seconds)
        return 0
    bad = 0
    for name in options.names or PROPERTIES:
        runs, found = fuzzed(name, options.seconds)
        print(f"{name}: {runs:,} inputs{', and what they found:' if found else ''}", flush=True)
        print(found, end="")
        bad |= bool(found)
    return bad


if __name__ == "__main__":
    sys.exit(main())
