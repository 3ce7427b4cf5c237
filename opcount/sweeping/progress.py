"""A bar on a terminal while a sweep runs: how far it is, how fast, how long it will take, and what failed."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from opcount.sweeping.tally import Tally

EVERY = 0.25


class Live:
    """The progress of a sweep, drawn on standard error if that is a terminal. The tally is read by a thread of its own.

    >>> with Live(10) as live:
    ...     live.tally.count(well=True)
    """

    def __init__(self, total: int | None) -> None:
        self.tally = Tally(total)
        self._bar: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Live:
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task("", total=self.tally.total, rate="", failed="", found="")
            self._bar.start()
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tally.ended = self.tally.begun + self.tally.seconds
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._show()
            self._bar.stop()

    def _draw(self) -> None:
        while not self._over.wait(EVERY):
            self._show()

    def _show(self) -> None:
        tally = self.tally
        rate = f"{tally.counted / tally.seconds:,.1f}/s" if tally.counted and tally.seconds > 0 else ""
        self._bar.update(
            self._task,
            completed=tally.done,
            rate=rate,
            failed=f"[red]{tally.failed:,} failed[/]" if tally.failed else "",
            found=f"{tally.answered:,} from the store" if tally.answered else "",
        )


def _bar() -> Any:
    import opcount.report.undisturbed  # noqa: F401 - before anything of rich

    # isort: split
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[failed]}"),
        TextColumn("{task.fields[found]}"),
        console=Console(stderr=True),
        refresh_per_second=4,
    )
