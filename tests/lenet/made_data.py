"""Data and runs small enough to train in an instant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import lenet
import lenet.data
import lenet.train
from lenet.checkpoints import load_weights
from lenet.data import Data
from lenet.metrics import Epoch
from lenet.settings import Job, Settings

Main = Callable[..., int]


def made(train: int = 96, test: int = 40, name: str = "digits") -> Data:
    """Ten classes that can be told apart: a bright bar whose place is the label, in noise."""
    generator = torch.Generator().manual_seed(7)
    parts = []
    for count in (train, test):
        labels = torch.arange(count) % 10
        images = torch.randint(0, 60, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[0, 2 * label + 4 : 2 * label + 6] += 180
        parts += [images, labels]
    return Data(name, *parts)


def settings(**changes: Any) -> Settings:
    """The original recipe on made data for two epochs, but for the changes."""
    values = {"dataset": "digits", "recipe": "original", "epochs": 2, "batch_size": 32, "lr": 0.01} | changes
    return Settings(**values)


def command(monkeypatch: pytest.MonkeyPatch, data: Data | None = None) -> Main:
    """``lenet.train.main`` in this process, on made data, its report left out."""
    report = SimpleNamespace(ready=lambda: None, write=lambda folder: [folder], in_short=str)
    monkeypatch.setattr(lenet, "report", report, raising=False)
    monkeypatch.setattr(lenet.data, "digits", lambda: data or made())
    monkeypatch.setattr(lenet.train, "processors", lambda: 1)
    return lambda *words: lenet.train.main([str(word) for word in words])


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics without the wall times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        assert line.pop("seconds") > 0
        assert line.pop("images_per_second") > 0
    return lines


def epoch(job: Job, number: int, loss: float = 1.0) -> Epoch:
    """An epoch's figures."""
    return Epoch(job.width, job.model, job.seed, number, loss, 0.5, loss, 0.5, 1.0, 96.0, 0.01)


def same_weights(first: Path, second: Path, jobs: list[Job]) -> bool:
    """Whether two runs ended in the same weights, to the last bit."""
    pairs = [(load_weights(first, job), load_weights(second, job)) for job in jobs]
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one) for one, other in pairs
    )
