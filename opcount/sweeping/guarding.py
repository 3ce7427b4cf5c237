"""Points counted in processes of their own, which are stopped and replaced when a point hangs, crashes or eats memory.

The same in a thread of this process and in a worker of a cluster: :func:`guarded` lends a task a process and waits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from opcount.errors import ExecutorError, InputError
from opcount.sweeping.record import failed
from opcount.sweeping.wire import receive, send, unpacked
from opcount.sweeping.work import Task

STARTING = 300.0
"""Seconds that a process may take to import what it needs."""

IDLE = 60.0
"""Seconds after which a process that nobody uses is ended."""

TRIES = 2
"""A process that dies may have been ended by the machine: its point is given to another, once."""

_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from opcount.sweeping.child import serve; serve()"


@dataclass(frozen=True)
class Order:
    """What a process is for: the pickled builder, and its limits in seconds and bytes."""

    build: bytes
    seconds: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.memory is not None and not os.path.exists("/proc/self/status"):
            raise InputError("a memory limit can be kept on Linux only: leave it out")


class Process:
    """One process that counts points.

    Raises:
        ExecutorError: it cannot be started.
    """

    def __init__(self, order: Order) -> None:
        self.order, self.used = order, time.monotonic()
        self._printed, self._words = tempfile.TemporaryFile(), ""  # noqa: SIM115  as long as the process
        environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
        try:
            self._process = subprocess.Popen(  # noqa: S603  this very interpreter, with a program of ours
                [sys.executable, "-c", _BOOT, json.dumps(sys.path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._printed, env=environment,
                start_new_session=True, bufsize=-1,
            )  # fmt: skip
        except OSError as error:
            raise ExecutorError(f"a worker cannot be started: {error.strerror or error}") from error
        answer, late = self._ask((order.memory, order.seconds, order.build), STARTING)
        if answer != "":
            self.end()
            why = answer or (f"not ready after {STARTING:.0f} s" if late else self.last_words())
            raise ExecutorError(f"a worker cannot be started: {why}")

    def count(self, task: Task) -> dict[str, Any] | None:
        """The result of a task; None if the process died of it, or of something else."""
        begin = time.monotonic()
        answer, late = self._ask(task, self.order.seconds)
        self.used = time.monotonic()
        if answer is not None:
            result, fit = answer
            if not fit:
                self.end()
            return dict(result)
        self.end()
        if late:
            return failed(f"took longer than the limit of {self.order.seconds:g} s", self.used - begin)
        return None

    @property
    def fit(self) -> bool:
        """Whether it can take another task."""
        return self._process.poll() is None

    def end(self) -> None:
        """Stop it, whatever it is doing."""
        with suppress(OSError):
            self._process.kill()
        self._words = self.last_words()
        for stream in (self._process.stdin, self._process.stdout, self._printed):
            with suppress(OSError):
                if stream is not None:
                    stream.close()

    def last_words(self) -> str:
        """How it ended, and the last line it printed."""
        code = self._process.wait()
        if self._printed.closed:
            return self._words
        how = f"exit code {code}"
        if code < 0:
            with suppress(ValueError):
                how = signal.Signals(-code).name
        self._printed.seek(0)
        lines = [line for line in self._printed.read()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
        return f"{how}: {_telling(lines)}" if lines else how

    def _ask(self, value: Any, seconds: float | None) -> tuple[Any, bool]:
        """The answer, or None if the process is gone, and whether it was stopped because it took too long."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            with suppress(OSError):
                self._process.kill()

        watch = threading.Timer(seconds, stop) if seconds is not None else None
        if watch is not None:
            watch.daemon = True
            watch.start()
        try:
            send(cast(BinaryIO, self._process.stdin), value)
            frame = receive(cast(BinaryIO, self._process.stdout))
        except (OSError, ValueError):  # the pipe is broken or closed: it is gone
            frame = None
        finally:
            if watch is not None:
                watch.cancel()
        return (None if frame is None else unpacked(frame)), frame is None and late.is_set()


def _telling(lines: list[str]) -> str:
    """The line that says most: of a crash its first, else the last."""
    fatal = [line for line in lines if line.startswith(("Fatal", "terminate"))]
    return (fatal or lines[-1:])[0].strip()[:300]


class Processes:
    """Processes that wait for a task, kept for the next one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._closed = False

    def count(self, order: Order, task: Task) -> dict[str, Any]:
        """The result of a task, counted in a process that is there or a new one."""
        begin = time.monotonic()
        words = ""
        for _ in range(TRIES):
            process = self._borrow(order)
            try:
                result = process.count(task)
            finally:
                self._give_back(process)
            if result is not None:
                return result
            if self._closed:
                break
            words = process.last_words()
        return failed(f"its worker died, {TRIES} times: {words}", time.monotonic() - begin)

    def close(self) -> None:
        """End them all, also those that count."""
        with self._lock:
            self._closed = True
            ending = [*self._idle, *self._busy]
            self._idle.clear()
        for process in ending:
            process.end()

    def _borrow(self, order: Order) -> Process:
        while True:
            with self._lock:
                if self._closed:
                    raise ExecutorError("the sweep was stopped")
                process = self._idle.pop() if self._idle else None
            if process is None:
                process = Process(order)
            elif process.order != order or not process.fit:
                process.end()
                continue
            if self._lend(process):
                return process
            process.end()

    def _lend(self, process: Process) -> bool:
        """Take note of a process that is to count, unless all was ended meanwhile."""
        with self._lock:
            if not self._closed:
                self._busy.add(process)
            return not self._closed

    def _give_back(self, process: Process) -> None:
        with self._lock:
            self._busy.discard(process)
            if process.fit and not self._closed:
                self._idle.append(process)
                return
        process.end()

    def end_idle(self) -> None:
        """End those that nobody has used for a while."""
        with self._lock:
            old = [process for process in self._idle if time.monotonic() - process.used > IDLE]
            self._idle = [process for process in self._idle if process not in old]
        for process in old:
            process.end()


_HERE = Processes()
"""Those of a worker of a cluster, which outlive one sweep."""

_sweeper: threading.Thread | None = None


def guarded(order: Order, task: Task) -> dict[str, Any]:
    """Count a task in a process of this machine: what a worker of a cluster is sent."""
    global _sweeper
    with _HERE._lock:
        if _sweeper is None or not _sweeper.is_alive():
            _sweeper = threading.Thread(target=_tidy, daemon=True)
            _sweeper.start()
    return _HERE.count(order, task)


def _tidy() -> None:
    while True:
        time.sleep(IDLE / 4)
        _HERE.end_idle()
