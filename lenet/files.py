"""Files written whole or not at all: a run may be killed between any two instructions."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from lenet.errors import StudyError


def write_atomically(target: Path, content: bytes) -> None:
    """Put the content where the target is in one step; what stood there stays until then.

    Args:
        target: the file; its folder exists.
        content: all of it.

    Raises:
        StudyError: it cannot be written: no permission, a full disk, no such folder.
    """
    part = ""
    try:
        handle, part = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, target)
    except OSError as error:
        raise StudyError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        if part:
            with contextlib.suppress(OSError):
                os.unlink(part)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, and see that files can be written into it.

    Raises:
        StudyError: it cannot be made or written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StudyError(f"{folder} cannot be written into: {error.strerror or error}; choose another --out") from error


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
