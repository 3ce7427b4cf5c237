"""A run as training leaves it in its folder: ``run.json`` and ``metrics.jsonl``, read and checked before use."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lenet.errors import StudyError
from lenet.files import shown
from lenet.metrics import Epoch
from lenet.models import KINDS
from lenet.settings import RUN_SCHEMA

_WORD = re.compile(r"[^\W_][\w .,:;+/()=%×²-]{0,199}")


@dataclass(frozen=True)
class Run:
    """What a run was asked to do, and every epoch it has done.

    Attributes:
        dataset, train_images, test_images: on what.
        recipe: its name; ``settings`` says what it is made of, from activation to distillation.
        epochs, seeds, models, width, widths: what was asked for; ``width`` is the one the report is about.
        batch_size, lr, device, world_size, torch, started, command: how.
        done: the epochs so far, in order of network, width, seed and epoch.
    """

    dataset: str
    train_images: int
    test_images: int
    recipe: str
    settings: Mapping[str, str | None]
    epochs: int
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    width: float
    widths: tuple[float, ...]
    batch_size: int
    lr: float
    device: str
    world_size: int
    torch: str
    started: str
    command: str
    done: tuple[Epoch, ...]

    @property
    def finished(self) -> bool:
        """Whether every network of every width has every epoch of every seed."""
        return len(self.done) == len(self.widths) * len(self.models) * len(self.seeds) * self.epochs


SETTINGS = (
    "activation", "pooling", "batch_norm", "optimizer", "schedule", "augmentation", "distillation", "temperature",
    "weight_decay", "label_smoothing",
)  # fmt: skip


def read(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        StudyError: a file is missing, is none of ours, or says what cannot be.
    """
    about = _Fields(_about(folder / "run.json"), "run.json")
    if about.values.get("schema") != RUN_SCHEMA:
        found = about.values.get("schema")
        raise StudyError(
            f"{folder / 'run.json'} is no run this release can read: its schema is {found!r}, not {RUN_SCHEMA}"
        )
    sizes = _Fields(about.table("dataset_sizes"), "run.json, dataset_sizes")
    models = about.items("models", str)
    if not models or set(models) - set(KINDS) or len(set(models)) != len(models):
        raise about.wrong("models", f"some of {' and '.join(KINDS)}, each once")
    seeds = about.items("seeds", int)
    if not seeds or len(set(seeds)) != len(seeds):
        raise about.wrong("seeds", "whole numbers, each once")
    width = about.number("width", above=0)
    epochs = about.whole("epochs", 1)
    run = Run(
        dataset=about.word("dataset"),
        train_images=sizes.whole("train", 1),
        test_images=sizes.whole("test", 1),
        recipe=about.word("recipe"),
        settings=about.settings(),
        epochs=epochs,
        seeds=tuple(seeds),
        models=tuple(kind for kind in KINDS if kind in models),
        width=width,
        widths=about.widths(width),
        batch_size=about.whole("batch_size", 1),
        lr=about.number("lr", above=0),
        device=about.word("device"),
        world_size=about.whole("world_size", 1),
        torch=about.word("torch"),
        started=about.word("started"),
        command=about.line("command"),
        done=(),
    )
    return replace(run, done=_done(folder / "metrics.jsonl", run))


def _about(path: Path) -> Mapping[str, Any]:
    if not path.parent.is_dir():
        raise StudyError(f"there is no folder {str(path.parent)!r}: give the folder of a run, such as runs/NAME")
    try:
        return _object(path.read_bytes())
    except FileNotFoundError as error:
        raise StudyError(f"{shown(path)} is missing: {str(path.parent)!r} is not the folder of a run") from error
    except OSError as error:
        raise StudyError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    except ValueError as error:
        raise StudyError(f"{shown(path)} is damaged: {error}; train again into another folder") from error


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object that some bytes are.

    Raises:
        ValueError: they are not one, or hold a number that is none.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not a number to report")

    try:
        value = json.loads(data, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _done(path: Path, run: Run) -> tuple[Epoch, ...]:
    """The epochs in the file of metrics, each once and none left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise StudyError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    found: dict[tuple[int, float, int, int], Epoch] = {}
    for number, line in _lines(data):
        where = f"{shown(path)}, line {number}"
        try:
            epoch = _epoch(_Fields(_object(line), where), run)
        except ValueError as error:
            raise StudyError(f"{where} is damaged: {error}; mend it, or train again into another folder") from error
        key = (KINDS.index(epoch.model), epoch.width, epoch.seed, epoch.epoch)
        if key in found:
            raise StudyError(f"{where} tells of epoch {epoch.epoch} of {epoch.model}, seed {epoch.seed}, again")
        found[key] = epoch
    for kind, width, seed, epoch_number in found:
        if epoch_number > 1 and (kind, width, seed, epoch_number - 1) not in found:
            raise StudyError(
                f"{shown(path)} lacks epoch {epoch_number - 1} of {KINDS[kind]}, seed {seed}, but has a later one"
            )
    if not found:
        raise StudyError(
            f"nothing to report yet: {shown(path)} has no finished epoch; let it train for one epoch at least"
        )
    return tuple(found[key] for key in sorted(found))


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers; a last one without its end is still being written, or was cut off: not yet done."""
    whole = data.split(b"\n")[:-1]
    yield from ((number, line) for number, line in enumerate(whole, start=1) if line.strip())


def _epoch(fields: _Fields, run: Run) -> Epoch:
    model, seed = fields.values.get("model"), fields.whole("seed", None)
    if model not in run.models:
        raise fields.wrong("model", f"one of this run's models, {' and '.join(run.models)}")
    if seed not in run.seeds:
        raise fields.wrong("seed", f"one of this run's seeds, {', '.join(map(str, run.seeds))}")
    number = fields.whole("epoch", 1)
    if number > run.epochs:
        raise fields.wrong("epoch", f"at most {run.epochs}, as run.json has it")
    width = fields.number("width", above=0) if "width" in fields.values else run.width
    if width not in run.widths:
        raise fields.wrong("width", f"one of this run's widths, {', '.join(f'{each:g}' for each in run.widths)}")
    return Epoch(
        model=model,
        width=width,
        seed=seed,
        epoch=number,
        train_loss=fields.number("train_loss"),
        train_accuracy=fields.number("train_accuracy", most=1),
        test_loss=fields.number("test_loss"),
        test_accuracy=fields.number("test_accuracy", most=1),
        seconds=fields.number("seconds"),
        images_per_second=fields.number("images_per_second"),
        lr=fields.number("lr"),
    )


class _Fields:
    """The values of a JSON object, each asked for as what it has to be."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def wrong(self, name: str, wanted: str) -> StudyError:
        """The error that a value is not what it has to be."""
        if name not in self.values:
            return StudyError(f"{self.where} has no {name!r}: it has to be {wanted}")
        found = repr(self.values[name])
        found = found if len(found) <= 60 else f"{found[:57]}..."
        return StudyError(f"{self.where} says {name!r} is {found}: it has to be {wanted}")

    def whole(self, name: str, least: int | None) -> int:
        value = self.values.get(name)
        if type(value) is not int or (least is not None and value < least):
            raise self.wrong(name, "a whole number" + (f" of {least} or more" if least is not None else ""))
        return value

    def number(self, name: str, above: float | None = None, most: float = math.inf) -> float:
        value = self.values.get(name)
        fits = type(value) in (int, float) and abs(value or 0) < 1e300
        if not fits or not (0 <= value <= most) or (above is not None and value <= above):  # type: ignore[operator]
            least = f"above {above:g}" if above is not None else "of 0 or more"
            raise self.wrong(name, f"a number {least}" if most == math.inf else f"between 0 and {most:g}")
        return float(value)  # type: ignore[arg-type]

    def word(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise self.wrong(name, "a short text that begins with a letter or a digit")
        return value

    def line(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not value.isprintable():
            raise self.wrong(name, "one line of text")
        return value

    def settings(self) -> dict[str, str | None]:
        """The parts of the recipe that are told: None where one is not used."""
        return {name: self._setting(name) for name in SETTINGS if name in self.values}

    def _setting(self, name: str) -> str | None:
        value = self.values[name]
        if value in (None, 0, "", "none"):
            return None
        if type(value) in (int, float):
            return f"{self.number(name):g}"
        return "yes" if value is True else self.word(name)

    def widths(self, own: float) -> tuple[float, ...]:
        """The widths asked for: the run's own where none are told."""
        values = self.values.get("widths", [own])
        fits = isinstance(values, list) and values and all(type(each) in (int, float) for each in values)
        if not fits or len(set(values)) != len(values) or not all(0 < each < 1e6 for each in values):
            raise self.wrong("widths", "numbers above 0, each once")
        return tuple(map(float, values))

    def items(self, name: str, kind: type) -> list[Any]:
        value = self.values.get(name)
        if not isinstance(value, list) or not all(type(each) is kind for each in value):
            raise self.wrong(name, "a list of " + ("names" if kind is str else "whole numbers"))
        return value

    def table(self, name: str) -> Mapping[str, Any]:
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return value
