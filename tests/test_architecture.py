"""The direction of imports, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("rich", "tabulate", "sympy", "torchvision", "matplotlib", "pandas", "mpld3", "torch._dynamo")


def test_imports_run_one_way() -> None:
    """The contracts stand in pyproject.toml, with the one exception named."""
    pytest.importorskip("importlinter")
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("use", ["", "opcount.profile(torch.nn.Conv2d(1, 1, 3), (1, 1, 8, 8))"])
def test_opcount_imports_nothing_heavy(use: str) -> None:
    """Neither when imported nor when used; what torch itself brings along does not count."""
    script = (
        f"import sys, torch; before = set(sys.modules); import opcount; {use or 'opcount.profile'};"
        f"print([name for name in {HEAVY!r} if name in sys.modules and name not in before])"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_face_is_small() -> None:
    assert len((ROOT / "opcount" / "__init__.py").read_text().splitlines()) < 40
