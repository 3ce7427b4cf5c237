"""One process at a time: a lock that the system takes back when its holder is gone, however it went."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from opcount.errors import StoreError

if sys.platform != "win32":
    import fcntl


class Lock:
    """A lock on a path, held until it is released, as a file ``PATH.lock`` beside it.

    Raises:
        StoreError: another process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._handle = Path(f"{path}.lock"), -1
        if sys.platform == "win32":  # where the file of an open database cannot be taken away
            return
        while True:
            try:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise StoreError(f"{str(self._path)!r} cannot be made: {error.strerror or error}") from error
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(self._path).st_ino == os.fstat(self._handle).st_ino:
                    return
            except FileNotFoundError:  # its last holder took it away just now
                pass
            except BlockingIOError:
                os.close(self._handle)
                raise StoreError(
                    f"another sweep is writing to {str(path)!r}: wait for it, or give a new store"
                ) from None
            except OSError as error:
                os.close(self._handle)
                raise StoreError(f"{str(path)!r} cannot be locked: {error.strerror or error}") from error
            os.close(self._handle)

    def release(self) -> None:
        """Let others have it. May be called twice."""
        if self._handle >= 0:
            with suppress(OSError):
                os.unlink(self._path)
            os.close(self._handle)
            self._handle = -1
