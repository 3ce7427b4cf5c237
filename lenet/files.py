"""Files written whole or not at all: a run may be killed between any two instructions."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
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
    write_together(target.parent, {target.name: content})


def write_together(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder: none takes its place before all of them are on the disk.

    Args:
        folder: where; it exists.
        files: their contents, by name.

    Returns:
        Their paths.

    Raises:
        StudyError: one cannot be written; what was there is as it was.
    """
    parts: dict[Path, str] = {}
    target = folder
    try:
        for name, content in files.items():
            target = folder / name
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder is in its place")
            handle, parts[target] = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(parts[target], 0o666 & ~_umask())
        for target, part in parts.items():
            os.replace(part, target)
    except OSError as error:
        raise StudyError(f"{shown(target)} cannot be written: {error.strerror or error}") from error
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                os.unlink(part)
    return list(parts)


def shown(path: Path) -> str:
    r"""A path as it may be printed: no name moves a cursor.

    >>> print(shown(Path("runs/a")), shown(Path("a\x1b[2J")))
    runs/a 'a\x1b[2J'
    """
    return str(path) if str(path).isprintable() else repr(str(path))


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
