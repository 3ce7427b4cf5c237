"""Ctrl-C ends a command as Ctrl-C, whatever it interrupts."""

from __future__ import annotations

import os
import signal
from types import TracebackType

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


class Interrupts:
    """A context that ends with ``KeyboardInterrupt`` if Ctrl-C was pressed in it.

    Pressed while an extension module is imported, it comes out as another error, or as none.

    >>> with Interrupts():
    ...     pass
    """

    def __init__(self) -> None:
        self.seen = self.ours = False

    def __enter__(self) -> Interrupts:
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _leave):
            try:
                signal.signal(signal.SIGINT, self._note)
                self.ours = True
            except ValueError:  # not the main thread, where Ctrl-C never arrives
                pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.seen and (error is None or isinstance(error, Exception)):
            raise KeyboardInterrupt from None

    def _note(self, *_: object) -> None:
        self.seen = True
        raise KeyboardInterrupt


def leave_at_once() -> None:
    """Until there are :class:`Interrupts`, let Ctrl-C end the process on the spot, with nothing said.

    For the first lines of a command whose imports take seconds: there is nothing to undo yet, and nobody to tell.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not if this process is to ignore it
        signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
