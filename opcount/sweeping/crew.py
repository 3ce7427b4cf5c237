"""Who counts: processes of this machine, any executor of ``concurrent.futures``, or a Dask cluster."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from opcount.errors import ExecutorError, InputError, MissingExtraError
from opcount.sweeping.guarding import Order, Processes, guarded
from opcount.sweeping.wire import packed
from opcount.sweeping.work import Task, count_point

TIME_LIMIT = 300.0
"""Seconds a point may take where processes count and nothing else is said."""

AHEAD = 4
"""Points in flight for each that can be counted at a time: none waits for the next, and memory stays as it is."""

SPAN, MOST = 0.05, 32
"""A process of this machine is given as many points at once as it needs so many seconds for, and no more than these."""

PATIENCE = 120.0
"""Seconds for which a cluster may be without any worker before the sweep gives up on it."""

_ASKED = 5.0


class Crew(Protocol):
    """Something that counts tasks."""

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Have a task counted."""

    def window(self) -> int:
        """How many tasks may be on their way."""

    def close(self) -> None:
        """Stop what is still on its way."""


class Local:
    """Processes of this machine, with a thread of ours for each.

    A thread hands its process several points at once if they take next to no time, so that the process never waits for
    the next one; each result is passed on as it comes.
    """

    def __init__(self, order: Order, workers: int | None) -> None:
        self._workers = workers or len(_cores())
        self._order, self._processes = order, Processes()
        self._waiting: SimpleQueue[tuple[Task, Future[dict[str, Any]]] | None] = SimpleQueue()
        self._seconds = SPAN
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Have a task counted."""
        future: Future[dict[str, Any]] = Future()
        self._waiting.put((task, future))
        return future

    def window(self) -> int:
        """How many tasks may be on their way."""
        return max(AHEAD, 2 * self._share()) * self._workers

    def close(self) -> None:
        """Stop what is still on its way."""
        for _ in self._threads:
            self._waiting.put(None)
        self._processes.close()
        for thread in self._threads:
            thread.join()

    def _share(self) -> int:
        """How many points a process is given at once."""
        return max(1, min(MOST, int(SPAN / max(self._seconds, 1e-6))))

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            some = [first]
            with suppress(Empty):
                while len(some) < self._share():
                    further = self._waiting.get_nowait()
                    if further is None:  # it is over
                        self._waiting.put(None)
                        break
                    some.append(further)
            self._pass_on(some)

    def _pass_on(self, some: list[tuple[Task, Future[dict[str, Any]]]]) -> None:
        with closing(self._processes.results(self._order, [task for task, _ in some])) as results:
            for at, (_, future) in enumerate(some):
                begin = time.monotonic()
                try:
                    result = next(results)
                except BaseException as error:
                    for _, left in some[at:]:
                        left.set_exception(error)
                    return
                self._seconds += (time.monotonic() - begin - self._seconds) / 16
                future.set_result(result)


class Lent:
    """An executor that belongs to the user: it is left as it is."""

    def __init__(self, executor: Executor, count: Callable[..., Any], subject: Any, size: Callable[[], int]) -> None:
        self._executor, self._count, self._subject, self._size = executor, count, subject, size
        self._known, self._when, self._seen = 0, float("-inf"), time.monotonic()
        self._flying: set[Future[dict[str, Any]]] = set()

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Have a task counted."""
        future: Future[dict[str, Any]] = self._executor.submit(self._count, self._subject, task)
        self._flying.add(future)
        future.add_done_callback(self._flying.discard)
        return future

    def window(self) -> int:
        """How many tasks may be on their way; a cluster is asked again now and then, as it may grow.

        Raises:
            ExecutorError: the cluster is gone, or has been without workers for long.
        """
        now = time.monotonic()
        if now - self._when > _ASKED:
            try:
                self._known, self._when = self._size(), now
            except (OSError, TimeoutError, RuntimeError) as error:
                raise ExecutorError(f"the cluster does not answer: {error}; what was done is kept") from error
            self._seen = now if self._known else self._seen
            if now - self._seen > PATIENCE:
                raise ExecutorError(f"the cluster has had no worker for {PATIENCE:.0f} s; what was done is kept")
        return AHEAD * max(self._known, 1)

    def close(self) -> None:
        """Stop what is still on its way."""
        for future in list(self._flying):
            future.cancel()


_MOST = {"workers": 4096, "time_limit": 10**9, "memory_limit": 2**60}
"""What a system takes: processes, seconds, bytes."""


def crew(
    build: Callable[..., Any],
    executor: Any,
    workers: int | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    *,
    peak: bool = True,
) -> Crew:
    """Those who count.

    Raises:
        InputError: the builder cannot be imported by other processes, or what is to execute is nothing that executes.
    """
    for name, limit in (("workers", workers), ("time_limit", time_limit), ("memory_limit", memory_limit)):
        if limit is not None and not limit > 0:
            raise InputError(f"{name} is a number above 0, not {limit!r}")
        if limit is not None and _MOST[name] < limit != float("inf"):
            raise InputError(f"{name} is {_MOST[name]:,} at most")
    limited = time_limit is not None or memory_limit is not None
    seconds = TIME_LIMIT if time_limit is None else time_limit if time_limit != float("inf") else None
    client = _client(executor)
    if executor is None:
        return Local(Order(pickled(build), seconds, memory_limit, peak), workers)
    if workers is not None:
        raise InputError("workers is for the processes that a sweep starts itself; an executor has its own")
    if client is not None:
        executor = executor if isinstance(executor, Executor) else client.get_executor(pure=False)
        order = Order(pickled(build), seconds, memory_limit, peak)
        return Lent(executor, guarded, order, lambda: sum(client.nthreads().values()))
    if not isinstance(executor, Executor):
        raise InputError(f"executor is a concurrent.futures.Executor or a dask.distributed.Client, not {executor!r}")
    size = getattr(executor, "_max_workers", None)
    each = size if isinstance(size, int) else len(_cores())
    if limited:
        order = Order(pickled(build), seconds if time_limit is not None else None, memory_limit, peak)
        return Lent(executor, guarded, order, lambda: each)
    if isinstance(executor, ProcessPoolExecutor):
        pickled(build)
    return Lent(executor, count_point, build, lambda: each)


def pickled(build: Callable[..., Any]) -> bytes:
    """The builder as other processes can import it.

    Raises:
        InputError: they cannot.

    >>> pickled(lambda: None)
    Traceback (most recent call last):
    opcount.errors.InputError: build is <lambda>, which other processes cannot import: define it at the top level of ...
    """
    name = getattr(build, "__qualname__", None) or repr(build)
    name = "<lambda>" if "<lambda>" in name else name
    remedy = (
        "define it at the top level of a module, or count in this process with executor=ThreadPoolExecutor() "
        "from concurrent.futures"
    )
    try:
        data = packed(build)
    except Exception as error:
        raise InputError(f"build is {name}, which other processes cannot import: {remedy}") from error
    if b"__main__" in data:
        raise InputError(f"build is {name} of the script that runs, which other processes cannot import: {remedy}")
    return data


def connect(address: str) -> Any:
    """A client of the Dask cluster at an address.

    Raises:
        MissingExtraError: Dask is not installed.
        InputError: nothing answers there.
    """
    try:
        import distributed
    except ImportError:
        raise MissingExtraError(
            "a Dask cluster needs dask.distributed, which is not installed: pip install 'opcount[sweep]'"
        ) from None
    client: Any = distributed.Client
    try:
        asyncio.run(_reach(distributed, address))  # a client that finds nobody leaves threads behind
        return client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"there is no Dask scheduler at {address!r} ({reason}); write tcp://HOST:8786") from None


async def _reach(distributed: Any, address: str) -> None:
    await (await distributed.comm.connect(address, timeout=10)).close()


def _client(executor: Any) -> Any:
    """The Dask client behind an executor, if that is what it is. Dask is not imported for it."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    if isinstance(executor, distributed.Client):
        return executor
    return executor._client if type(executor).__name__ == "ClientExecutor" else None


def _cores() -> list[int]:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
