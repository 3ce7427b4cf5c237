"""Folders of runs made by hand: what training would have left, with figures from which the words follow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ABOUT: dict[str, Any] = {
    "schema": "lenet-run/1",
    "dataset": "mnist",
    "dataset_sizes": {"train": 60_000, "test": 10_000},
    "recipe": "original",
    "epochs": 15,
    "batch_size": 64,
    "lr": 0.05,
    "seeds": [0, 1, 2],
    "device": "cpu",
    "world_size": 1,
    "torch": "2.14.1",
    "width": 1.0,
    "started": "2026-11-24T10:00:00Z",
    "models": ["regular", "depthwise"],
    "command": "python -m lenet.train --dataset mnist --seeds 3",
    "activation": "tanh",
    "pooling": "average",
    "batch_norm": False,
    "optimizer": "SGD",
    "schedule": None,
    "augmentation": None,
    "distillation": None,
}

FINAL = {"regular": 0.989, "depthwise": 0.97}
"""Test accuracy that the middle seed of three comes to."""

Accuracy = Callable[[str, int, int], float]


def rising(model: str, seed: int, epoch: int, epochs: int, finals: Mapping[str, float]) -> float:
    """Test accuracy that gets there by halving what is missing over eight steps, a tenth of a point apart by seed."""
    missing = 0.5 ** (8 * epoch / epochs)
    return finals[model] - (0.1 if model == "regular" else 0.2) * (missing - 0.5**8) + 0.001 * (seed - 1)


def line(model: str, seed: int, epoch: int, accuracy: float, **changes: Any) -> dict[str, Any]:
    """One line of metrics: losses follow from the accuracy, time is 8 s for regular and 10 s for depthwise."""
    made = {
        "model": model,
        "seed": seed,
        "epoch": epoch,
        "train_loss": round(2.5 * (1 - accuracy), 6),
        "train_accuracy": round(min(1.0, accuracy + 0.003), 6),
        "test_loss": round(3 * (1 - accuracy), 6),
        "test_accuracy": round(accuracy, 6),
        "seconds": 8.0 if model == "regular" else 10.0,
        "images_per_second": 7500.0,
        "lr": 0.05,
    }
    return {**made, **changes}


def lines(about: Mapping[str, Any], finals: Mapping[str, float] = FINAL, **changes: Any) -> list[dict[str, Any]]:
    """All lines of a finished run."""
    return [
        line(model, seed, epoch, rising(model, seed, epoch, about["epochs"], finals), **changes)
        for model in about["models"]
        for seed in about["seeds"]
        for epoch in range(1, about["epochs"] + 1)
    ]


def folder(path: Path, about: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> Path:
    """A run's folder with these two files."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").write_text(json.dumps(about), encoding="utf-8")
    text = "".join(json.dumps(each) + "\n" for each in metrics)
    (path / "metrics.jsonl").write_text(text, encoding="utf-8")
    return path


def made_run(path: Path, finals: Mapping[str, float] = FINAL, **changes: Any) -> Path:
    """A finished run, with some of ``run.json`` changed."""
    about = {**ABOUT, **changes}
    return folder(path, about, lines(about, finals))


WIDTHS = (0.5, 1.0, 2.0)


def made_frontier(path: Path, **changes: Any) -> Path:
    """A run over three widths, of which the wider are the more accurate."""
    about = {**ABOUT, "epochs": 2, "seeds": [0, 1], "widths": list(WIDTHS), **changes}
    metrics = []
    for width in WIDTHS:
        finals = {"regular": 0.975 + 0.01 * width, "depthwise": 0.962 + 0.0125 * width}
        metrics += [{**each, "width": width} for each in lines(about, finals)]
    return folder(path, about, metrics)


BY_HAND = {
    "regular": {0: (0.95, 0.97, 0.98), 1: (0.96, 0.98, 0.99), 2: (0.94, 0.96, 0.97)},
    "depthwise": {0: (0.90, 0.92, 0.94), 1: (0.91, 0.94, 0.96), 2: (0.92, 0.93, 0.95)},
}
"""Test accuracies by seed and epoch, few enough that every figure of the report can be worked out on paper."""


def run_by_hand(path: Path, **changes: Any) -> Path:
    """The run with those accuracies: three epochs, three seeds."""
    metrics = [
        line(model, seed, epoch, accuracy)
        for model, seeds in BY_HAND.items()
        for seed, course in seeds.items()
        for epoch, accuracy in enumerate(course, start=1)
    ]
    return folder(path, {**ABOUT, "epochs": 3, **changes}, metrics)
