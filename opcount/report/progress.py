"""A sign of life on a terminal while something takes longer than a moment."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

DELAY = 1.0
"""Seconds of silence before anything is shown."""


class Progress:
    """A spinner on stderr that says what is being done, if that is a terminal and it takes longer than ``DELAY``.

    >>> with Progress() as progress:
    ...     progress.say("running")
    """

    def __init__(self, delay: float = DELAY) -> None:
        self._words = ""
        self._status: Any = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            self._timer = threading.Timer(delay, self._show)
            self._timer.daemon = True

    def say(self, words: str) -> None:
        """What is being done now."""
        with self._lock:
            self._words = words
            if self._status is not None:
                self._status.update(self._text())

    def __enter__(self) -> Progress:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._status is not None:
                self._status.stop()
                self._status = None

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is None:  # it was over just now
                return
            self._status = Console(stderr=True).status(self._text())
            self._status.start()

    def _text(self) -> Any:
        from rich.text import Text

        from opcount.report.escape import visible

        return Text(f"{visible(self._words)} ...", style="dim")
