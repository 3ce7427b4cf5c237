"""Reports in files: which form a name asks for, and a file that is either whole or as it was."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from opcount.errors import InputError, SchemaError
from opcount.parsing import listed

if TYPE_CHECKING:
    from opcount.result import Profile

SUFFIXES = {
    ".speedscope.json": "speedscope",
    ".trace.json": "chrome-trace",
    ".json": "json",
    ".csv": "csv",
    ".md": "markdown",
    ".tex": "latex",
    ".html": "html",
    ".htm": "html",
    ".txt": "rich",
}
"""Which form a file's name asks for, where ``--format`` does not."""


def form_of(path: str) -> str:
    """The form that the name of a file asks for.

    Raises:
        InputError: it asks for none.

    >>> form_of("out/net.speedscope.json"), form_of("TABLE.MD")
    ('speedscope', 'markdown')
    """
    name = os.path.basename(path).casefold()
    for suffix, form in SUFFIXES.items():
        if name.endswith(suffix):
            return form
    raise InputError(f"the name {path!r} does not tell a form: end it in {listed(SUFFIXES, 9, 'or')}, or give --format")


def load_profile(path: str) -> Profile:
    """The profile saved in a file of JSON.

    Raises:
        InputError: the file cannot be read.
        SchemaError: it is no profile, or one of another version.
    """
    from opcount.schema import from_json

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is no text" if isinstance(error, ValueError) else error.strerror or str(error)
        raise InputError(f"cannot read {path!r}: {reason}; give a file that --format json wrote") from error
    try:
        return from_json(text)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error


def check_target(path: str) -> None:
    """See that a file can be written there, before anything is computed.

    Raises:
        InputError: it cannot; the message says why.
    """
    try:
        _check_target(path)
    except (OSError, ValueError) as error:  # a name that is too long, or has a null in it
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        shown = path if len(path) < 100 else f"{path[:60]}..."
        raise InputError(f"cannot write to {shown!r}: {reason}") from error


def _check_target(path: str) -> None:
    target, folder = Path(os.path.realpath(path)), Path(os.path.realpath(path)).parent
    if not path or target.is_dir():
        what = "a folder" if path else "no name"
        raise InputError(f"cannot write to {path!r}: it is {what}; give the name of a file")
    if target.is_symlink():  # what is left of links that have been followed
        raise InputError(f"cannot write to {path!r}: it is a link that leads back to itself")
    if _is_device(path):
        return
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist; make it first"
        raise InputError(f"cannot write to {path!r}: the folder {str(folder)!r} {what}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {path!r}: no permission to write in the folder {str(folder)!r}")


def write(path: str, text: str) -> None:
    """Write a file whole or not at all.

    The text goes to a new file beside it, which takes its place when it is on the disk: until then, and if anything
    fails, what was there stays. A link keeps pointing where it does; what is no ordinary file, such as ``/dev/stdout``,
    is written to directly.

    Raises:
        InputError: the folder does not exist, or nothing can be written there.
    """
    write_bytes(path, (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "backslashreplace"))


def write_bytes(path: str, data: bytes) -> None:
    """As :func:`write`, for what is no text.

    Raises:
        InputError: the folder does not exist, or nothing can be written there.
    """
    target = Path(os.path.realpath(path))
    try:
        check_target(path)
        if _is_device(path):
            Path(path).write_bytes(data)
        else:
            with replacing(target) as file:
                file.write(data)
    except OSError as error:
        raise InputError(f"cannot write to {path!r}: {error.strerror or error}") from error


def write_picture(path: str, figure: Any, **options: Any) -> None:
    """Draw a matplotlib figure into a file, whole or not at all; its name tells the form, PNG if it has no suffix.

    Raises:
        InputError: there is no such form, or nothing can be written there.
    """
    form = Path(path).suffix.lstrip(".").casefold() or "png"
    out = io.BytesIO()
    try:
        figure.savefig(out, format=form, **options)
    except ValueError as error:
        raise InputError(f"the name {path!r} does not tell a form of picture: end it in .svg, .png or .pdf") from error
    write_bytes(path, out.getvalue())


def _is_device(path: str) -> bool:
    """Whether it is a device or a pipe, which is written to where it stands."""
    return Path(path).exists() and not Path(path).is_file()


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file to write, which takes the place of another when it is whole and on the disk; else nothing changes."""
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)  # the only way to read it
    os.umask(mask)
    return mask
