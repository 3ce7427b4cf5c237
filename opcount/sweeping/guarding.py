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
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from opcount.errors import ExecutorError, InputError
from opcount.sweeping.record import failed
from opcount.sweeping.wire import packed, receive, send, unpacked
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
    """What a process is for: the pickled builder, its limits in seconds and bytes, and whether it has to tell peaks."""

    build: bytes
    seconds: float | None = None
    memory: int | None = None
    peak: bool = False

    def __post_init__(self) -> None:
        if self.memory is not None and not os.path.exists("/proc/self/status"):
            raise InputError("a memory limit can be kept on Linux only: leave it out")


class Process:
    """One process that counts points.

    Attributes:
        used: when it last answered.
        stopped: whether it was ended because of what it counted, rather than died.

    Raises:
        ExecutorError: it cannot be started.
    """

    def __init__(self, order: Order) -> None:
        self.order, self.used, self.stopped = order, time.monotonic(), False
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
        self._started()

    def results(self, tasks: Sequence[Task]) -> Generator[dict[str, Any], None, None]:
        """The results of tasks one after another; not all of them if it died, or had to be stopped after one."""
        with _Watch(self.order.seconds, self._kill) as watch:
            self._send([packed(task) for task in tasks])  # each by itself: one that cannot be read spoils no other
            for _ in tasks:
                begin = time.monotonic()
                watch.begin()
                frame = self._receive()
                self.used = time.monotonic()
                if frame is None:
                    self.end()
                    self.stopped = watch.late
                    if watch.late:
                        yield failed(f"took longer than the limit of {self.order.seconds:g} s", self.used - begin)
                    return
                result, fit = unpacked(frame)
                if not fit:
                    self.end()
                    self.stopped = True
                yield dict(result)
                if not fit:
                    return

    @property
    def fit(self) -> bool:
        """Whether it can take another task."""
        return self._process.poll() is None

    def end(self) -> None:
        """Stop it, whatever it is doing."""
        self._kill()
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

    def _started(self) -> None:
        """Have it import what it needs."""
        with _Watch(STARTING, self._kill) as watch:
            watch.begin()
            self._send((self.order.memory, self.order.seconds, self.order.peak, self.order.build))
            frame = self._receive()
        problem = unpacked(frame) if frame is not None else None
        if problem != "":
            self.end()
            why = problem or (f"not ready after {STARTING:.0f} s" if watch.late else self.last_words())
            raise ExecutorError(f"a worker cannot be started: {why}")

    def _send(self, value: Any) -> None:
        with suppress(OSError, ValueError):  # the pipe is broken or closed: that it is gone is seen by no answer
            send(cast(BinaryIO, self._process.stdin), value)

    def _receive(self) -> bytes | None:
        try:
            return receive(cast(BinaryIO, self._process.stdout))
        except (OSError, ValueError):
            return None

    def _kill(self) -> None:
        with suppress(OSError):
            self._process.kill()


class _Watch:
    """Stops a process that does not answer in time: one thread for a series of answers.

    Attributes:
        late: whether it had to.
    """

    def __init__(self, seconds: float | None, stop: Callable[[], None]) -> None:
        self.late = False
        self._seconds, self._stop = seconds, stop
        self._due = float("inf")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def begin(self) -> None:
        """The time of the next answer begins."""
        if self._seconds is not None:
            self._due = time.monotonic() + self._seconds

    def __enter__(self) -> _Watch:
        if self._seconds is not None:
            self.begin()
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()

    def _wait(self) -> None:
        while not self._over.wait(min(max(self._due - time.monotonic(), 0.0), threading.TIMEOUT_MAX)):
            if time.monotonic() >= self._due:
                self.late = True
                self._stop()
                return


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
        with closing(self.results(order, [task])) as results:
            return next(results)

    def results(self, order: Order, tasks: Sequence[Task]) -> Generator[dict[str, Any], None, None]:
        """The results of tasks as they come, one after another, whatever becomes of the processes they are given to."""
        done = died = 0
        begin = time.monotonic()
        while done < len(tasks):
            process, before = self._borrow(order), done
            try:
                with closing(process.results(tasks[done:])) as results:
                    for result in results:
                        done += 1
                        yield result
                        begin = time.monotonic()
            finally:
                self._give_back(process)
            if done == len(tasks) or process.stopped:
                died = 0
                continue
            if self._closed:
                raise ExecutorError("the sweep was stopped")
            died = died + 1 if done == before else 1
            if died == TRIES:
                words = process.last_words()
                yield failed(f"its worker died, {TRIES} times: {words}", time.monotonic() - begin)
                done, died, begin = done + 1, 0, time.monotonic()

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
