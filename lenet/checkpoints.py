"""A network in training as a file, written after each epoch: enough to go on as if nothing had happened."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from lenet.errors import StudyError
from lenet.files import write_atomically
from lenet.metrics import Epoch
from lenet.settings import Job, Settings

SCHEMA = "lenet-checkpoint/1"


def weights_path(folder: Path, job: Job) -> Path:
    """Where the final weights of a network are kept."""
    return folder / "checkpoints" / f"{job.name}.pt"


def state_path(folder: Path, job: Job) -> Path:
    """Where a network in training is kept."""
    return folder / "checkpoints" / f"{job.name}.state.pt"


def save_state(folder: Path, job: Job, settings: Settings, state: dict[str, Any], epochs: list[Epoch]) -> None:
    """Keep a network in training in place of what was kept before.

    Args:
        state: state dicts of the network, the optimizer and the schedule.
        epochs: all it has been through.

    Raises:
        StudyError: it cannot be written.
    """
    content = {
        "schema": SCHEMA,
        "job": asdict(job),
        "settings": asdict(settings),
        "epochs": [asdict(epoch) for epoch in epochs],
        **state,
    }
    write_atomically(state_path(folder, job), _as_bytes(content))


def load_state(folder: Path, job: Job, settings: Settings) -> tuple[dict[str, Any], list[Epoch]] | None:
    """A network in training and the epochs it has been through, or ``None`` if none was kept.

    Raises:
        StudyError: the file is damaged, no checkpoint of this study, or of another network or run.
    """
    path = state_path(folder, job)
    if not path.exists():
        return None
    state = _read(path)
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise _refused(path, f"it is no {SCHEMA} file")
    if not _equal(state.get("job"), asdict(job)) or not _equal(state.get("settings"), asdict(settings)):
        raise _refused(path, "it belongs to another network or to a run with other settings")
    try:
        if type(state["epochs"]) is not list:  # a tensor would be taken apart number by number
            raise TypeError("they are no list")
        epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        _check_epochs(epochs, job, settings)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(path, f"its epochs cannot be read ({error})") from error
    return state, epochs


def _equal(kept: Any, own: dict[str, Any]) -> bool:
    """Whether a table is as it was written, its values of their own kinds: comparing a tensor gives a tensor."""
    return (
        isinstance(kept, dict)
        and kept.keys() == own.keys()
        and all(type(kept[name]) is type(value) and kept[name] == value for name, value in own.items())
    )


def _check_epochs(epochs: list[Epoch], job: Job, settings: Settings) -> None:
    """See that epochs are the first ones of a network, with figures that are numbers.

    Raises:
        ValueError: they are not.
    """
    if not len(epochs) <= settings.epochs:
        raise ValueError(f"there are {len(epochs)}, and the run has {settings.epochs}")
    for number, epoch in enumerate(epochs, 1):
        kinds = {
            field.name: {"model": str, "seed": int, "epoch": int}.get(field.name, float) for field in fields(epoch)
        }
        if any(type(getattr(epoch, name)) is not kind for name, kind in kinds.items()):
            raise ValueError(f"a figure of epoch {number} is of another kind")
        if epoch.job != job or epoch.epoch != number:
            raise ValueError(f"epoch {number} is not there")


def save_weights(folder: Path, job: Job, weights: dict[str, torch.Tensor]) -> None:
    """Keep the final weights, as ``torch.load(path, weights_only=True)`` gives them back for ``load_state_dict``.

    Raises:
        StudyError: they cannot be written.
    """
    write_atomically(weights_path(folder, job), _as_bytes(weights))


def load_weights(folder: Path, job: Job) -> dict[str, torch.Tensor]:
    """The final weights of a network.

    Raises:
        StudyError: they are missing or damaged.
    """
    weights = _read(weights_path(folder, job))
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise _refused(weights_path(folder, job), "it holds no weights")
    return weights


def _as_bytes(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _read(path: Path) -> Any:
    """What a file holds, its checksums tested first: a flipped bit in a weight would go unnoticed otherwise."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise _refused(path, f"its part {damaged} is damaged")
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, "it holds something else than tensors and plain values, which could run code") from error
    except StudyError:
        raise
    except Exception as error:  # zipfile and PyTorch's reader raise whatever a damaged file makes of them
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refused(path, f"it is damaged or no checkpoint ({reason})") from error


def _refused(path: Path, reason: str) -> StudyError:
    return StudyError(f"{path} is refused: {reason}; remove it to train that network from its beginning")
