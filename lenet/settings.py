"""What decides a run's results, as one value: a run is resumed with the settings it was started with, or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lenet.errors import StudyError
from lenet.models import KINDS
from lenet.recipes import Recipe, recipe_of

FRONTIER = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""The width multipliers of ``--frontier``."""

MOST = 1_000_000
"""Of epochs, seeds, or images a batch: a list of more would take the memory before anything is trained."""

RUN_SCHEMA = "lenet-run/1"
"""What ``run.json`` says it is."""


@dataclass(frozen=True)
class Job:
    """One network to train.

    >>> Job(1.0, "depthwise", 3).name, Job(0.5, "regular", 0).name
    ('depthwise-seed3', 'regular-width0.5-seed0')
    """

    width: float
    model: str
    seed: int

    @property
    def name(self) -> str:
        """What its files are called."""
        width = "" if self.width == 1 else f"-width{self.width:g}"
        return f"{self.model}{width}-seed{self.seed}"


@dataclass(frozen=True)
class Settings:
    """A run's data set, recipe, length, seeds and place.

    Attributes:
        dataset: ``mnist`` or ``digits``.
        recipe: a name in :data:`lenet.recipes.RECIPES`.
        epochs, batch_size, lr: in place of the recipe's.
        seeds: how many seeds, from 0.
        frontier: train at every width in :data:`FRONTIER`, instead of 1 alone.
        holdout: the last so many training images are tested on, instead of the test set; 0 for the test set.
        device: ``cpu``, ``cuda``, ...
        world_size: how many processes share each batch.
        torch: the version of PyTorch.

    Raises:
        StudyError: one of them cannot be.
    """

    dataset: str
    recipe: str
    epochs: int
    batch_size: int
    lr: float
    seeds: int = 1
    frontier: bool = False
    holdout: int = 0
    device: str = "cpu"
    world_size: int = 1
    torch: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "seeds"):
            if getattr(self, name) < 1:
                raise StudyError(f"--{name.replace('_', '-')} is at least 1, not {getattr(self, name)}")
            if getattr(self, name) > MOST:
                raise StudyError(f"--{name.replace('_', '-')} is at most {MOST:,}, not {getattr(self, name)}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise StudyError(f"--lr is a number above 0, not {self.lr}")
        if self.batch_size < self.smallest_batch:
            raise StudyError(
                f"--batch-size {self.batch_size} is too small: the {self.recipe} recipe on {self.world_size} "
                f"process(es) needs at least {self.smallest_batch} images a batch"
            )

    @property
    def training(self) -> Recipe:
        """The recipe by its name."""
        return recipe_of(self.recipe)

    @property
    def smallest_batch(self) -> int:
        """The fewest images a step can learn from: batch norm needs two in each process. A smaller rest is left out."""
        return self.world_size * (2 if self.training.batch_norm else 1)

    @property
    def data_name(self) -> str:
        """The data set as tables and plots call it."""
        return f"{self.dataset} (last {self.holdout} training images held out)" if self.holdout else self.dataset

    def jobs(self) -> list[Job]:
        """Every network to train, teachers before their pupils, in the order of the run's metrics."""
        widths = FRONTIER if self.frontier else (1.0,)
        return [Job(width, kind, seed) for width in widths for seed in range(self.seeds) for kind in KINDS]

    def teacher(self, job: Job) -> Job | None:
        """The network whose answers a job learns from: the regular one of the same width and seed, if any."""
        taught = job.model == "depthwise" and self.training.distillation > 0
        return Job(job.width, "regular", job.seed) if taught else None

    def differences(self, other: Settings) -> list[str]:
        """What differs, one phrase for each setting."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name} {mine[name]} there, {theirs[name]} here" for name in mine if mine[name] != theirs[name]]


def settings_from(saved: Mapping[str, Any]) -> Settings:
    """The settings that a ``run.json`` tells of.

    Raises:
        StudyError: something is missing or of the wrong kind, or the run is of a recipe that has changed since.
    """
    try:
        return Settings(**{name: _of(saved["settings"][name], name, kind) for name, kind in _KINDS.items()})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StudyError(
            f"run.json is no description of a run of this study ({type(error).__name__}: {error})"
        ) from error


def _of(value: Any, name: str, kind: Any) -> Any:
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError(f"{name} is {value!r}")
    return kind(value)


_KINDS = dict(
    dataset=str, recipe=str, epochs=int, batch_size=int, lr=float, seeds=int, frontier=bool, holdout=int,
    device=str, world_size=int, torch=str,
)  # fmt: skip


def describe(settings: Settings, sizes: tuple[int, int], command: str, started: str) -> dict[str, Any]:
    """The content of ``run.json`` (``lenet-run/1``): the settings, and all that a reader of the run wants to know."""
    recipe = {name: value for name, value in asdict(settings.training).items() if name not in ("name", "lr")}
    return {
        "schema": RUN_SCHEMA,
        "dataset": settings.data_name,
        "dataset_sizes": {"train": sizes[0], "test": sizes[1]},
        **recipe,
        "recipe": settings.recipe,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "lr": settings.lr,
        "seeds": list(range(settings.seeds)),
        "width": 1.0,
        "widths": sorted({job.width for job in settings.jobs()}),
        "models": list(KINDS),
        "device": settings.device,
        "world_size": settings.world_size,
        "torch": settings.torch,
        "started": started,
        "command": command,
        "settings": asdict(settings),
    }
