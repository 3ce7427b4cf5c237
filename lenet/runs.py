"""A run's folder: what was asked for, what was measured, and that no two processes write into it at once."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lenet.errors import StudyError
from lenet.files import make_folder, remove_parts, write_atomically
from lenet.settings import RUN_SCHEMA, Settings, settings_from


def begin(folder: Path, description: Mapping[str, Any]) -> None:
    """Make the folder of a new run with its ``run.json``.

    Args:
        folder: where; it may exist if it is empty.
        description: the content, from :func:`lenet.settings.describe`.

    Raises:
        StudyError: there is something in the folder already, or it cannot be written into.
    """
    refuse_existing(folder)
    write_atomically(folder / "run.json", (json.dumps(description, indent=2) + "\n").encode())


def refuse_existing(folder: Path) -> None:
    """See that a new run may go into a folder: there is none, or nothing in it.

    Raises:
        StudyError: there is something in it, which would be overwritten.
    """
    try:
        taken = folder.exists() and (not folder.is_dir() or any(path.name != ".lock" for path in folder.iterdir()))
    except OSError as error:
        raise StudyError(f"{folder} cannot be looked into: {error.strerror or error}") from error
    if taken:
        raise StudyError(f"{folder} exists already: --resume goes on with the run in it, --out takes another folder")


def description_of(folder: Path) -> dict[str, Any]:
    """The ``run.json`` of the run in a folder.

    Raises:
        StudyError: there is no run, or its ``run.json`` cannot be read.
    """
    path = folder / "run.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"there is no run to resume in {folder}: no run.json") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error
    if not isinstance(saved, dict) or saved.get("schema") != RUN_SCHEMA:
        raise StudyError(f"{path} is no {RUN_SCHEMA} file")
    return saved


def settings_of(folder: Path) -> Settings:
    """The settings that the run in a folder was started with.

    Raises:
        StudyError: there is no run, or its ``run.json`` cannot be read.
    """
    return settings_from(description_of(folder))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process alone; the system lets go of it however the process ends.

    Raises:
        StudyError: another process trains in it, or it cannot be written into.
    """
    make_folder(folder)
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with open(folder / ".lock", "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyError(f"another process is training in {folder}: wait for it, or stop it") from error
        for place in (folder, folder / "checkpoints"):
            remove_parts(place)
        yield


def default_folder(settings: Settings) -> Path:
    """Where a run goes unless the user says otherwise.

    >>> default_folder(Settings("digits", "original", 15, 64, 0.001)).as_posix()
    'runs/digits-original'
    """
    parts = [settings.dataset, settings.recipe]
    parts += ["frontier"] * settings.frontier + ["holdout"] * bool(settings.holdout)
    return Path("runs") / "-".join(parts)


def command_line(module: str, words: list[str]) -> str:
    """The command as a user would type it again."""
    import shlex

    launcher = "python"
    if "TORCHELASTIC_RUN_ID" in os.environ:
        launcher = f"torchrun --nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', '1')}"
    return shlex.join([*launcher.split(), "-m", module, *words])
