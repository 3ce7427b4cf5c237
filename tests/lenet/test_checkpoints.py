"""Checkpoints that are damaged, foreign or malicious are refused by name, before anything is trained."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet.checkpoints import load_state, load_weights, save_state, save_weights, state_path, weights_path
from lenet.errors import StudyError
from lenet.settings import Job
from tests.lenet.made_data import command, epoch, settings

JOB = Job(1.0, "depthwise", 0)
STATE = {"model": {"weight": torch.arange(1000.0)}, "optimizer": {}, "schedule": {}}


class Code:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must never run",)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    save_state(tmp_path, JOB, settings(), STATE, [epoch(JOB, 1)])
    return tmp_path


def test_kept_and_loaded(run: Path) -> None:
    loaded = load_state(run, JOB, settings())
    assert loaded is not None
    assert torch.equal(loaded[0]["model"]["weight"], STATE["model"]["weight"])
    assert loaded[1] == [epoch(JOB, 1)]
    assert load_state(run, Job(1.0, "regular", 0), settings()) is None


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _a_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(torch.arange(1000.0).numpy().tobytes()) + 2000
    content[place] ^= 1
    path.write_bytes(content)


def _text(path: Path) -> None:
    path.write_text("not a checkpoint")


def _another_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")


def _code(path: Path) -> None:
    torch.save({"schema": Code()}, path)


def _plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Code()))


def _tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


def _other_schema(path: Path) -> None:
    torch.save({"schema": "lenet-checkpoint/0"}, path)


def _no_epochs(path: Path) -> None:
    torch.save({**torch.load(path, weights_only=True), "epochs": [{"loss": 1}]}, path)


DAMAGES = [
    _truncated, _emptied, _a_bit_flipped, _text, _another_zip, _code, _plain_pickle, _tensor, _other_schema, _no_epochs,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged(damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = state_path(run, JOB)
    damage(path)
    with pytest.raises(StudyError) as refusal:
        load_state(run, JOB, settings())
    assert str(path) in str(refusal.value)
    assert "remove it to train that network from its beginning" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "never run" not in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"lr": 0.5}, {"epochs": 3}, {"recipe": "modern"}, {"dataset": "mnist"}])
def test_of_another_run(other: dict[str, Any], run: Path) -> None:
    with pytest.raises(StudyError, match="another network or to a run with other settings"):
        load_state(run, JOB, settings(**other))


def test_of_another_network(run: Path) -> None:
    other = Job(1.0, "depthwise", 1)
    state_path(run, JOB).rename(state_path(run, other))
    with pytest.raises(StudyError, match="another network"):
        load_state(run, other, settings())


def test_weights(run: Path) -> None:
    with pytest.raises(StudyError, match="No such file"):
        load_weights(run, JOB)
    save_weights(run, JOB, STATE["model"])
    assert torch.equal(load_weights(run, JOB)["weight"], torch.arange(1000.0))
    torch.save([1], weights_path(run, JOB))
    with pytest.raises(StudyError, match="holds no weights"):
        load_weights(run, JOB)


def test_resuming_with_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is changed, and with the file removed the run is as it would have been."""
    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--dataset", "digits", "--epochs", 1, "--out", out) == 0
    path = state_path(out, JOB)
    kept = {other: other.read_bytes() for other in out.rglob("*") if other.is_file() and other != path}
    _truncated(path)
    assert main("--resume", "--out", out) == 2
    said = capsys.readouterr().err
    assert path.name in said.replace("\n", "")
    assert "Traceback" not in said
    assert all(other.read_bytes() == content for other, content in kept.items())
    path.unlink()
    assert main("--resume", "--out", out) == 0
    assert load_weights(out, JOB).keys()


def test_a_state_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--dataset", "digits", "--epochs", 1, "--out", out) == 0
    weights_path(out, JOB).unlink()
    state = torch.load(state_path(out, JOB), weights_only=True)
    del state["model"]["conv1.depthwise.bias"]
    state["epochs"] = []
    torch.save(state, state_path(out, JOB))
    assert main("--resume", "--out", out) == 2
    assert "does not fit" in capsys.readouterr().err
