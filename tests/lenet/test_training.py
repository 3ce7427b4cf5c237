"""Training learns, stops where it cannot go on, and refuses what cannot be trained."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
from pathlib import Path

import pytest
import torch

from lenet.checkpoints import load_weights, state_path
from lenet.distributed import Group
from lenet.errors import StudyError
from lenet.metrics import Epoch, write_metrics
from lenet.models import build
from lenet.settings import FRONTIER, Job, settings_from
from lenet.training import Trainer, train
from tests.lenet.made_data import command, epoch, made, metrics, settings

CPU = torch.device("cpu")


@pytest.mark.parametrize("recipe", ["original", "modern"])
def test_loss_falls_and_both_learn(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    asked = settings(recipe=recipe, epochs=8, batch_size=16)
    for job in asked.jobs():
        told = [event for event in train(job, asked, made(), tmp_path, CPU, Group()) if isinstance(event, Epoch)]
        assert [event.epoch for event in told] == list(range(1, 9))
        assert told[-1].train_loss < told[0].train_loss / 2
        assert told[-1].test_accuracy > 0.9
        assert told[-1].images_per_second == pytest.approx(96 / told[-1].seconds)


def test_figures_are_those_of_the_weights_kept(tmp_path: Path) -> None:
    """The last test figures again, by hand, from the final weights alone."""
    (tmp_path / "checkpoints").mkdir()
    asked, data, job = settings(epochs=3), made(), Job(1.0, "depthwise", 0)
    last = list(train(job, asked, data, tmp_path, CPU, Group()))[-1]
    assert isinstance(last, Epoch)
    model = build("depthwise")
    model.load_state_dict(load_weights(tmp_path, job))
    pixels = data.train_images.double() / 255
    mean, deviation = pixels.mean().item(), pixels.std(unbiased=False).item()
    logits = model((data.test_images.float() / 255 - mean) / deviation)
    assert last.test_loss == pytest.approx(torch.nn.functional.cross_entropy(logits, data.test_labels).item(), rel=1e-4)
    assert last.test_accuracy == (logits.argmax(1) == data.test_labels).float().mean().item()


def test_both_networks_see_the_same_batches() -> None:
    """And another seed sees others."""
    batches = {}
    for job in settings(seeds=2).jobs():
        trainer = Trainer(job, settings(seeds=2), made(), CPU, Group())
        seen: list[torch.Tensor] = []
        trainer._learn = lambda batch, generator, seen=seen: seen.append(batch) or (1.0, 1.0)  # type: ignore
        list(trainer.epoch(1))
        batches[job.model, job.seed] = torch.cat(seen)
    assert torch.equal(batches["regular", 0], batches["depthwise", 0])
    assert torch.equal(batches["regular", 0].sort().values, torch.arange(96))
    assert not torch.equal(batches["regular", 0], batches["regular", 1])


def test_the_loss_that_is_distilled() -> None:
    """By hand: a tenth of the cross-entropy, nine tenths of T^2 KL(teacher, pupil) at T = 4."""
    asked = settings(recipe="modern")
    recipe = asked.training
    assert recipe.distillation > 0
    teacher = build("regular", **recipe.architecture())  # type: ignore[arg-type]
    trainer = Trainer(Job(1.0, "depthwise", 0), asked, made(), CPU, Group(), teacher.state_dict())
    images, labels = torch.rand(6, 1, 28, 28), torch.arange(6)
    logits = torch.randn(6, 10)
    plain = torch.nn.functional.cross_entropy(logits, labels)
    answers = torch.softmax(teacher.eval()(images) / recipe.temperature, 1)
    mine = torch.softmax(logits / recipe.temperature, 1)
    divergence = (answers * (answers.log() - mine.log())).sum(1).mean()
    by_hand = (1 - recipe.distillation) * plain + recipe.distillation * recipe.temperature**2 * divergence
    assert trainer._loss(plain, logits, labels, images).item() == pytest.approx(by_hand.item(), rel=1e-4)


@pytest.mark.parametrize(("number", "step"), [(1, 2), (2, 1)])
def test_a_loss_that_is_not_finite(number: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").mkdir()
    learn, steps = Trainer._learn, 0

    def broken(self: Trainer, batch: torch.Tensor, generator: torch.Generator) -> tuple[float, float]:
        nonlocal steps
        steps += 1
        if steps == 3 * (number - 1) + step:
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))
        return learn(self, batch, generator)

    monkeypatch.setattr(Trainer, "_learn", broken)
    with pytest.raises(StudyError, match=rf"regular-seed0 is nan at epoch {number}, step {step}: .* lower --lr"):
        list(train(Job(1.0, "regular", 0), settings(), made(), tmp_path, CPU, Group()))
    assert state_path(tmp_path, Job(1.0, "regular", 0)).exists() == (number > 1)


def test_a_rate_beyond_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = command(monkeypatch)
    assert main("--dataset", "digits", "--batch-size", 32, "--lr", 1e38, "--out", tmp_path / "run") == 2
    assert "at epoch 1, step 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--epochs", 0), "--epochs is at least 1, not 0"),
        (("--epochs", "many"), "invalid int value: 'many'"),
        (("--batch-size", 0), "--batch-size is at least 1, not 0"),
        (("--recipe", "modern", "--batch-size", 1), "needs at least 2 images a batch"),
        (("--seeds", 0), "--seeds is at least 1"),
        (("--lr", 0), "--lr is a number above 0"),
        (("--lr", "nan"), "--lr is a number above 0"),
        (("--lr", "-1"), "--lr is a number above 0"),
        (("--device", "toaster"), "there is no device 'toaster' here"),
        (("--device", "meta"), "there is no device 'meta' here"),
        (("--device", "cuda:77"), "there is no device 'cuda:77' here"),
        (("--recipe", "modren"), "invalid choice: 'modren'"),
        (("--dataset", "cifar"), "invalid choice: 'cifar'"),
        (("--holdout", 96), "--holdout is between 1 and 95 for digits, not 96"),
        (("--holdout", -1), "--holdout is between 1 and 95"),
        (("--holdout", 95, "--recipe", "modern"), "1 training images are too few: a batch has 2 at least"),
        (("--epohcs", 3), "unrecognized arguments: --epohcs"),
    ],
)
def test_bad_input(
    words: tuple[object, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Exit code 2, a sentence, and no folder left behind."""
    main, out = command(monkeypatch), tmp_path / "run"
    dataset = () if "--dataset" in words else ("--dataset", "digits")
    assert main(*dataset, *words, "--out", out) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert complaint in said
    assert "Traceback" not in said
    assert not out.exists()


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = command(monkeypatch)
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run", Path("/dev/full"), Path("/proc/run")):
        assert main("--dataset", "digits", "--epochs", 1, "--out", out) == 2
        assert str(out) in capsys.readouterr().err.replace("\n", "")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("write", [2, 3, 4, 5, 7])
def test_a_full_disk(
    write: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever file it fills up at; with room again the run goes on."""
    main, out = command(monkeypatch), tmp_path / "run"
    words = ("--dataset", "digits", "--epochs", 2, "--batch-size", 32)
    assert main(*words, "--out", tmp_path / "whole") == 0
    fsync, calls = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr("os.fsync", full)
    capsys.readouterr()
    assert main(*words, "--out", out) == 2
    said = capsys.readouterr().err.replace("\n", "")
    assert "cannot be written: No space left on device" in said
    assert "Traceback" not in said
    assert not list(out.rglob("*.part"))
    monkeypatch.setattr("os.fsync", fsync)
    assert main("--resume", "--out", out) == 0
    assert metrics(out) == metrics(tmp_path / "whole")


def test_what_a_run_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main, out = command(monkeypatch), tmp_path / "a run"
    words = ("--dataset", "digits", "--recipe", "modern", "--epochs", 1, "--seeds", 2, "--holdout", 10, "--out", out)
    assert main(*words) == 0
    saved = json.loads((out / "run.json").read_text())
    assert saved["schema"] == "lenet-run/1"
    assert saved["dataset"] == "digits (last 10 training images held out)"
    assert saved["dataset_sizes"] == {"train": 86, "test": 10}
    assert (saved["seeds"], saved["width"], saved["world_size"]) == ([0, 1], 1.0, 1)
    assert saved["models"] == ["regular", "depthwise"]
    assert shlex.split(saved["command"]) == ["python", "-m", "lenet.train", *map(str, words)]
    assert saved["batch_norm"] is True
    assert settings_from(saved).jobs() == settings(seeds=2).jobs()
    expected = [(model, seed) for seed in (0, 1) for model in ("regular", "depthwise")]
    assert [(line["model"], line["seed"]) for line in metrics(out)] == expected
    assert all("width" not in line for line in metrics(out))


def test_frontier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds at every width, each pupil taught by the regular network of its width."""
    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--dataset", "digits", "--recipe", "modern", "--frontier", "--epochs", 1, "--out", out) == 0
    lines = [(line["width"], line["model"]) for line in metrics(out)]
    assert lines == [(width, model) for width in FRONTIER for model in ("regular", "depthwise")]
    assert json.loads((out / "run.json").read_text())["widths"] == list(FRONTIER)
    weights = load_weights(out, Job(0.5, "regular", 0))
    assert weights["conv2.weight"].shape == (8, 3, 5, 5)


def test_metrics_keep_the_order_of_jobs(tmp_path: Path) -> None:
    jobs = settings(seeds=2).jobs()
    write_metrics(tmp_path, [epoch(jobs[2], 1), epoch(jobs[0], 2), epoch(jobs[1], 1), epoch(jobs[0], 1)], jobs)
    lines = metrics(tmp_path)
    assert [(line["model"], line["seed"], line["epoch"]) for line in lines] == [
        ("regular", 0, 1), ("regular", 0, 2), ("depthwise", 0, 1), ("regular", 1, 1),
    ]  # fmt: skip


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--dataset", "digits", "--epochs", 2, "--tensorboard", "--out", out) == 0
    events = EventAccumulator(str(out / "tensorboard" / "depthwise-seed0"))
    events.Reload()
    written = {event.step: event.value for event in events.Scalars("test_accuracy")}
    expected = {line["epoch"]: line["test_accuracy"] for line in metrics(out) if line["model"] == "depthwise"}
    assert written == pytest.approx(expected)


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("tensorboard", ("--dataset", "digits", "--tensorboard"), "tensorboard"),
        ("sklearn", ("--dataset", "digits"), "scikit-learn"),
        ("torchvision", ("--dataset", "mnist"), "torchvision"),
    ],
)
def test_a_missing_package(
    module: str, words: tuple[str, ...], extra: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import lenet.train

    for name in [name for name in sys.modules if name.partition(".")[0] == module or name == "torch.utils.tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert lenet.train.main([*words, "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists()
    said = " ".join(capsys.readouterr().err.split())
    assert f"needs {extra}" in said or f"need {extra}" in said
    assert "pip install 'opcount[study]'" in said


def test_help_is_an_answer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    main = command(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main("--help")
    assert ended.value.code == 0
    assert "--frontier" in capsys.readouterr().out
