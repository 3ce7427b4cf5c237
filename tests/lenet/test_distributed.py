"""Two processes under torchrun, on the CPU: the same run but for rounding, and one of them writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lenet.distributed import Group
from lenet.settings import Settings
from lenet.train import main as train_main
from tests.lenet.made_data import command, metrics, settings

ROOT = Path(__file__).parents[2]


def torchrun(*words: object) -> subprocess.CompletedProcess[str]:
    """``torchrun --nproc-per-node 2 -m lenet.train``, with a port of its own."""
    argv = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lenet.train"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([*argv, *map(str, words)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["original", "modern"])
def test_two_processes(recipe: str, tmp_path: Path) -> None:
    """After 20 epochs seeds lie about a percent apart on 360 digits, after 8 twice that; one process and two as far."""
    words = ("--dataset", "digits", "--recipe", recipe, "--epochs", 20, "--lr", 0.005)
    run = torchrun(*words, "--out", tmp_path / "two")
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("epoch 20/20") == 2  # one line for each network: one process shows it
    assert train_main([*map(str, words), "--out", str(tmp_path / "one")]) == 0
    saved = json.loads((tmp_path / "two" / "run.json").read_text())
    assert saved["world_size"] == 2
    assert saved["command"].startswith("torchrun --nproc-per-node 2 -m lenet.train --dataset digits")
    two, one = metrics(tmp_path / "two"), metrics(tmp_path / "one")
    assert [line["epoch"] for line in two] == [line["epoch"] for line in one]
    for model in ("regular", "depthwise"):
        ends = [[line for line in lines if line["model"] == model][-1] for lines in (two, one)]
        assert ends[0]["test_accuracy"] == pytest.approx(ends[1]["test_accuracy"], abs=0.03)
        assert ends[1]["test_accuracy"] > 0.9
    if recipe == "original":  # no batch norm, whose statistics are each process's own
        assert two[0]["train_loss"] == pytest.approx(one[0]["train_loss"], rel=1e-3)
    assert torchrun("--resume", "--out", tmp_path / "two").returncode == 0
    assert train_main(["--resume", "--out", str(tmp_path / "two")]) == 2


@pytest.mark.slow
def test_bad_input_ends_all_processes(tmp_path: Path) -> None:
    run = torchrun("--dataset", "digits", "--epochs", 0, "--out", tmp_path / "run")
    assert run.returncode != 0
    assert "--epochs is at least 1, not 0" in run.stderr
    assert not (tmp_path / "run").exists()


def test_shares_are_a_whole_batch() -> None:
    batch = torch.arange(7)
    shares = [Group(rank, 3).share(batch) for rank in range(3)]
    assert torch.equal(torch.cat(shares).sort().values, batch)
    assert [len(share) for share in shares] == [3, 2, 2]
    assert Group().share(batch).equal(batch)
    assert Group().leads
    assert not Group(1, 3).leads


def test_a_rest_too_small_for_all_processes_is_left_out() -> None:
    assert settings(world_size=4).smallest_batch == 4
    assert settings(recipe="modern", world_size=4).smallest_batch == 8
    assert Settings("digits", "modern", 1, 2, 0.1).smallest_batch == 2


def test_one_rank_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The environment torchrun makes, for a world of one: joined, trained in this process, and left."""
    main = command(monkeypatch)
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    assert main("--dataset", "digits", "--epochs", 1, "--out", tmp_path / "run") == 0
    assert not torch.distributed.is_initialized()
    assert len(metrics(tmp_path / "run")) == 2


def test_the_processes_cannot_be_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = command(monkeypatch)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert main("--dataset", "digits", "--epochs", 1, "--out", tmp_path / "run") == 2
    assert "cannot be joined" in capsys.readouterr().err
