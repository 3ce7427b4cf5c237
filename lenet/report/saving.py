"""Files that appear together and whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lenet.errors import StudyError


def save(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder: each goes beside its place first, and none takes it before all are on the disk.

    Raises:
        StudyError: they cannot be written; what was there is as it was.
    """
    parts: list[Path] = []
    for name in files:
        if (folder / name).is_dir():
            raise StudyError(f"cannot write the report into {str(folder)!r}: its {name!r} is a folder; move it away")
    try:
        try:
            for name, data in files.items():
                parts.append(folder / f".{name}.part")
                with open(parts[-1], "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            for part, name in zip(parts, files, strict=True):
                os.replace(part, folder / name)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise StudyError(f"cannot write the report into {str(folder)!r}: {error.strerror or error}") from error
    return [folder / name for name in files]
