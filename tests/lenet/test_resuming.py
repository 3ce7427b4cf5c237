"""A run that dies at any moment and is resumed ends where one that never died does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

import lenet.data
import lenet.train
from lenet.checkpoints import state_path
from lenet.settings import Job
from lenet.training import Trainer
from tests.lenet.made_data import command, metrics, same_weights, settings

ROOT = Path(__file__).parents[2]
JOBS = settings().jobs()
RECIPES = pytest.mark.parametrize("recipe", ["original", "modern"])


class Death(BaseException):
    """The process is gone: nothing in the code under test may catch it."""


# the run's description, empty metrics, then of each network two epochs with their metrics, and its weights
FILES = 2 + 2 * 5
FEW, ALL = [4, 7], range(1, FILES + 1)


@pytest.mark.parametrize(
    ("recipe", "deaths"),
    [
        ("original", FEW),
        pytest.param("original", ALL, marks=pytest.mark.slow),
        pytest.param("modern", ALL, marks=pytest.mark.slow),
    ],
)
def test_dying_at_a_file_written(
    recipe: str, deaths: Iterable[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after a file takes its place."""
    main = command(monkeypatch)
    words = ("--dataset", "digits", "--epochs", 2, "--batch-size", 32, "--recipe", recipe)
    assert main(*words, "--out", tmp_path / "whole") == 0
    replace, seen = os.replace, 0

    def dying(source: str, target: str) -> None:
        nonlocal seen
        seen += 1
        if seen == death and not after:
            raise Death
        replace(source, target)
        if seen == death and after:
            raise Death

    for death in deaths:
        for after in (False, True):
            seen, out = 0, tmp_path / f"{death}{after}"
            monkeypatch.setattr("os.replace", dying)
            with pytest.raises(Death):
                main(*words, "--out", out)
            monkeypatch.setattr("os.replace", replace)
            begun = (out / "run.json").exists()
            assert main(*(("--resume",) if begun else words), "--out", out) == 0
            assert metrics(out) == metrics(tmp_path / "whole")
            assert same_weights(out, tmp_path / "whole", JOBS)
            assert not list(out.rglob("*.part"))


@RECIPES
def test_dying_within_an_epoch(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = command(monkeypatch)
    words = ("--dataset", "digits", "--epochs", 2, "--batch-size", 32, "--recipe", recipe)
    assert main(*words, "--out", tmp_path / "whole") == 0
    learn, steps = Trainer._learn, 0

    def dying(self: Trainer, batch: torch.Tensor, generator: torch.Generator) -> tuple[float, float]:
        nonlocal steps
        steps += 1
        if steps == 8:  # three steps an epoch: the second of the second network's first epoch
            raise Death
        return learn(self, batch, generator)

    monkeypatch.setattr(Trainer, "_learn", dying)
    with pytest.raises(Death):
        main(*words, "--out", tmp_path / "died")
    monkeypatch.setattr(Trainer, "_learn", learn)
    assert main("--resume", "--out", tmp_path / "died") == 0
    assert metrics(tmp_path / "died") == metrics(tmp_path / "whole")
    assert same_weights(tmp_path / "died", tmp_path / "whole", JOBS)


def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main = command(monkeypatch)
    words = ("--dataset", "digits", "--epochs", 2, "--batch-size", 32)
    assert main(*words, "--out", tmp_path / "whole") == 0
    out, epoch = tmp_path / "stopped", Trainer.epoch

    def interrupted(self: Trainer, number: int) -> object:
        if self.job.model == "depthwise" and number == 2:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    capsys.readouterr()
    assert main(*words, "--out", out) == 130
    said = capsys.readouterr().err
    assert f"python -m lenet.train --resume --out {out} goes on" in said
    assert "Traceback" not in said
    monkeypatch.setattr(Trainer, "epoch", epoch)
    assert main("--resume", "--out", out) == 0
    assert metrics(out) == metrics(tmp_path / "whole")
    assert same_weights(out, tmp_path / "whole", JOBS)


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = command(monkeypatch)
    assert main("--dataset", "digits", "--epochs", 1, "--out", tmp_path / "run") == 0
    kept = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    monkeypatch.setattr(Trainer, "epoch", None)
    assert main("--resume", "--out", tmp_path / "run") == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == kept


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--epochs", 3), "epochs 1 there, 3 here"),
        (("--recipe", "modern"), "recipe original there, modern here"),
        (("--seeds", 2), "seeds 1 there, 2 here"),
        (("--lr", 0.5), "lr 0.001 there, 0.5 here"),
        (("--frontier",), "frontier False there, True here"),
    ],
)
def test_resuming_as_another_run(
    words: tuple[object, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    main = command(monkeypatch)
    assert main("--dataset", "digits", "--epochs", 1, "--out", tmp_path / "run") == 0
    assert main("--resume", *words, "--out", tmp_path / "run") == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_a_folder_in_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl")
    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--dataset", "digits", "--epochs", 1, "--out", out) == 0
    with open(out / ".lock", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main("--resume", "--out", out) == 2
    assert "another process is training" in capsys.readouterr().err


def test_a_run_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--dataset", "digits", "--epochs", 1, "--out", out) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert main("--dataset", "digits", "--epochs", 1, "--out", out) == 2
    assert "exists already: --resume goes on" in " ".join(capsys.readouterr().err.split())
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_nothing_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main = command(monkeypatch)
    assert main("--resume", "--out", tmp_path / "none") == 2
    assert "there is no run to resume" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main("--resume") == 2
    assert "say which run to resume" in capsys.readouterr().err


def _start(out: Path, *words: str) -> subprocess.Popen[str]:
    """As from a terminal: where a shell runs the tests in the background, they ignore Ctrl-C, and so would this."""
    argv = [sys.executable, "-m", "lenet.train", *words, "--out", str(out)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_for_real(how: signal.Signals, tmp_path: Path) -> None:
    """As a user would see it, with the networks side by side where there are processors for it."""
    words = ("--dataset", "digits", "--epochs", "4", "--recipe", "modern")
    whole = _start(tmp_path / "whole", *words)
    whole.communicate()
    assert whole.returncode == 0
    died = _start(tmp_path / "died", *words)
    assert died.stderr is not None
    line = next(line for line in died.stderr if "epoch 2/4" in line)
    assert "digits" in line
    died.send_signal(how) if how == signal.SIGKILL else os.killpg(died.pid, how)
    said = died.communicate()[1]
    assert died.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), said
    assert "Traceback" not in said
    deadline = time.monotonic() + 60
    while (resumed := _start(tmp_path / "died", "--resume")).wait() and time.monotonic() < deadline:
        pass
    assert resumed.returncode == 0
    assert metrics(tmp_path / "died") == metrics(tmp_path / "whole")
    jobs = settings(recipe="modern").jobs()
    assert same_weights(tmp_path / "died", tmp_path / "whole", jobs)
    started = json.loads((tmp_path / "died" / "run.json").read_text())["started"]
    assert started
    assert state_path(tmp_path / "died", Job(1.0, "regular", 0)).exists()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["original", "modern"])
def test_side_by_side_equals_in_turn(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes the networks are trained in change nothing, and a pupil waits for its teacher."""
    main = command(monkeypatch, lenet.data.digits())
    words = ("--dataset", "digits", "--epochs", 1, "--recipe", recipe)
    assert main(*words, "--out", tmp_path / "turn") == 0
    monkeypatch.setattr(lenet.train, "processors", lambda: 2)
    assert main(*words, "--out", tmp_path / "beside") == 0
    assert metrics(tmp_path / "beside") == metrics(tmp_path / "turn")
    assert same_weights(tmp_path / "beside", tmp_path / "turn", JOBS)


@pytest.mark.slow
def test_an_error_in_a_process_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = command(monkeypatch, lenet.data.digits())
    monkeypatch.setattr(lenet.train, "processors", lambda: 2)
    assert main("--dataset", "digits", "--epochs", 1, "--lr", 1e38, "--out", tmp_path / "run") == 2
    assert "at epoch 1, step 2" in capsys.readouterr().err
