"""What is built is what is needed: opcount alone, which runs without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_the_wheel_runs_the_command_away_from_the_checkout(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    built = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist"), cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    beside = {"opcount", "pytest_opcount.py"}
    assert {name.partition("/")[0] for name in names} - beside == {f"{wheel.name.partition('-py3')[0]}.dist-info"}
    assert "opcount/py.typed" in names
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "mine.py").write_text("import torch\nmodel = torch.nn.Linear(4, 5)\n")
    ran = run(
        *("-m", "opcount", "mine:model", "--input", "2,4", "--format", "csv"),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "site"),
        PYTHONSAFEPATH="",
    )
    assert ran.returncode == 0, ran.stderr
    assert "40" in ran.stdout
