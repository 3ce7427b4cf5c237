"""The sweep: points are asked of the store, counted if it does not know them, and kept the moment they are done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from opcount.errors import ExecutorError, InputError
from opcount.ops import Convention
from opcount.sweeping.crew import Crew, crew
from opcount.sweeping.identity import Identity, identify
from opcount.sweeping.named import Named
from opcount.sweeping.plain import to_plain, to_text
from opcount.sweeping.progress import Live
from opcount.sweeping.record import PEAK, check_names, failed
from opcount.sweeping.results import Results
from opcount.sweeping.space import Point, Space, check_arguments, points
from opcount.sweeping.store import Kept, Store, read, record_text
from opcount.sweeping.tally import Tally
from opcount.sweeping.wire import NotSendable
from opcount.sweeping.work import Task, described_inputs, in_short

LOST = 3
"""How often a point that a cluster lost is sent again before that is its result."""

_GLANCE = 0.2


def sweep(
    build: Callable[..., Any],
    space: Space,
    inputs: Any = None,
    *,
    executor: Any = None,
    store: str = "sweep.parquet",
    convention: Convention = Convention(),
    peak: bool = True,
    workers: int | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    retry: bool = False,
) -> Results:
    """Count every model of a design space, and keep each result as it comes.

    A sweep that was stopped, however that happened, goes on where it was when it is started again. A point that the
    store knows is not counted: it is known by what builds it, the point, the inputs, the convention and opcount's
    version. A point that fails, hangs or crashes is a row that says so.

    Args:
        build: called with the names and values of a point, it gives an ``nn.Module``. For processes it has to be
            something that they can import: a function or class of a module, or a ``functools.partial`` of one.
        space: a grid, as a mapping from names to lists of values; an iterable of points, each a mapping; or a function
            without arguments that returns one, such as a generator function.
        inputs: what each model is called with, as for :func:`opcount.profile`; or a function of the point.
        executor: a ``concurrent.futures.Executor`` or a ``dask.distributed.Client``. None starts processes, with one
            torch thread each.
        store: a file that ends in ``.parquet`` or ``.sqlite``. What it holds stays.
        convention: as for :func:`opcount.profile`.
        peak: whether each row has ``peak_activations``, as :func:`opcount.peak_activations` tells it. That takes a
            second run: a short one of most convolutional networks, several times as long as counting of others.
        workers: how many processes to start; None is one for each processor.
        time_limit: seconds that a point may take: 300 in processes and on a cluster if nothing is said,
            ``float("inf")`` for as long as it likes. In any other executor it has each point counted in a process.
        memory_limit: bytes that a point may take beside what PyTorch itself needs, likewise. Linux only.
        retry: count points again whose row in the store is an error.

    Returns:
        The rows of these points, in their order; each point once.

    Raises:
        InputError: the space, the builder or a limit is not usable.
        StoreError: the store is damaged, in use, of another version, or cannot be written.
        ExecutorError: no worker can be started, or the executor broke; what was finished is kept.
        MissingExtraError: pyarrow is not installed, for a Parquet store.

    >>> import tempfile, torch
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> folder = tempfile.TemporaryDirectory()
    >>> rows = sweep(
    ...     lambda width: torch.nn.Linear(8, width), {"width": [2, 4]}, (1, 8),
    ...     executor=ThreadPoolExecutor(1), store=f"{folder.name}/linear.sqlite",
    ... )
    >>> [(row["width"], row["macs"], row["params"]) for row in rows]
    [(2, 16, 18), (4, 32, 36)]
    """
    if not callable(build):
        raise InputError(f"build is a function that returns a model for a point, not {build!r}")
    each = points(space)
    asked = _Asked(build, inputs, convention, peak=peak)
    who = crew(build, executor, workers, time_limit, memory_limit, peak=peak)
    try:
        kept = Store(str(store))
        try:
            with Live(each.total) as live:
                run = _Run(build, asked, who, kept, live.tally, retry)
                run.through(each.each)
        except BaseException:
            _close_quietly(kept)
            raise
    finally:
        who.close()
    kept.close(finished=True)
    return Results(lambda: read(str(store)), tally=replace(live.tally))


class _Asked:
    """From a point to its task, its question and its key."""

    def __init__(self, build: Callable[..., Any], inputs: Any, convention: Convention, *, peak: bool) -> None:
        from opcount import __version__

        self._identity = build.identity_of if isinstance(build, Named) else partial(_same, identify(build))
        self.inputs, self.convention, self.peak = inputs, convention, peak
        self._each = callable(inputs)
        self._described = None if self._each else to_text(described_inputs(inputs))
        self._version, self._said = __version__, to_text(convention.to_dict())

    def task(self, point: Point) -> Task:
        """What is to be counted."""
        if not self._each:
            return Task(point, self.inputs, self.convention, self.peak)
        try:
            return Task(point, self.inputs(**point), self.convention, self.peak)
        except Exception as error:
            raise InputError(f"inputs cannot be called with the point {point!r}: {in_short(error)}") from error

    def labels(self, task: Task) -> dict[str, Any]:
        """What a record says beside its result."""
        described = self._described if self._described is not None else to_text(described_inputs(task.inputs))
        return {
            "point": to_plain(task.point),
            "build": self._identity(task.point).name,
            "inputs": described,
            "convention": self._said,
            "version": self._version,
        }

    def keys(self, task: Task, labels: dict[str, Any]) -> tuple[bytes, list[bytes]]:
        """The question, and the keys of answers to it: the one it will be kept under, then others that will do."""
        parts = [labels["build"], to_text(labels["point"]), labels["inputs"], labels["convention"]]
        question = _digest(parts)
        made_of = [question.hex(), self._identity(task.point).source, self._version]
        without, with_peak = _digest(made_of), _digest([*made_of, PEAK])
        return question, [with_peak] if self.peak else [without, with_peak]


@dataclass
class _Flight:
    """A point on its way."""

    task: Task
    labels: dict[str, Any]
    key: bytes
    position: int
    losses: int = 0


@dataclass
class _Run:
    """One sweep under way."""

    build: Callable[..., Any]
    asked: _Asked
    crew: Crew
    store: Store
    tally: Tally
    retry: bool
    flying: dict[bytes, _Flight] = field(default_factory=dict)
    done: SimpleQueue[tuple[bytes, Future[dict[str, Any]]]] = field(default_factory=SimpleQueue)

    def through(self, each: Any) -> None:
        """Every point, with as many on their way as the crew can take."""
        try:
            for position, point in enumerate(each):
                self._ask(position, point)
                self._collect(wait=False)
                while len(self.flying) >= self.crew.window():
                    self._collect()
            while self.flying:
                self.crew.window()  # which sees whether there is anybody left to count
                self._collect()
        except KeyboardInterrupt:
            self._collect(wait=False)
            raise

    def _ask(self, position: int, point: Point) -> None:
        if position == 0:
            check_arguments(self.build, point)
            if isinstance(self.build, Named):
                self.build.check(point)
        check_names(point)
        task = self.asked.task(point)
        labels = self.asked.labels(task)
        question, keys = self.asked.keys(task, labels)
        if question in self.flying:
            self.tally.repeated += 1
            return
        known = self.store.known(question, keys, position, retry=self.retry)
        if known is not None:
            self.tally.answer(well=known)
            return
        self.flying[question] = _Flight(task, labels, keys[0], position)
        self._send(question)

    def _send(self, question: bytes) -> None:
        try:
            future = self.crew.submit(self.flying[question].task)
        except (BrokenExecutor, RuntimeError) as error:
            raise ExecutorError(
                f"the executor takes no more points: {in_short(error)}; what was done is kept"
            ) from error
        future.add_done_callback(lambda done: self.done.put((question, done)))

    def _collect(self, *, wait: bool = True) -> None:
        """Keep what is finished, in one transaction; with ``wait``, something is, or a moment has passed."""
        rows = []
        try:
            while True:
                question, future = self.done.get(timeout=_GLANCE) if wait else self.done.get_nowait()
                wait = False
                row = self._finished(question, future)
                if row is not None:
                    rows.append(row)
        except Empty:
            pass
        finally:
            if rows:
                self.store.put(rows)

    def _finished(self, question: bytes, future: Future[dict[str, Any]]) -> Kept | None:
        flight = self.flying[question]
        error = None if future.cancelled() else future.exception()
        if isinstance(error, (ExecutorError, InputError)):
            raise error
        if isinstance(error, NotSendable):
            raise InputError(f"the executor cannot send build to where it counts: {error}") from error
        if isinstance(error, BrokenExecutor):
            raise ExecutorError(f"the executor broke: {in_short(error)}; what was done is kept") from error
        if future.cancelled() or error is not None:
            flight.losses += 1
            if flight.losses < LOST:
                self._send(question)
                return None
            result = failed(f"lost {LOST} times: {in_short(error) if error else 'cancelled'}", 0.0)
        else:
            result = future.result()
        del self.flying[question]
        self.tally.count(well=result["error"] is None)
        record = record_text({**flight.labels, **result})
        return Kept(question, flight.key, flight.position, result["error"] is not None, record)


def _close_quietly(kept: Store) -> None:
    """Leave the store for the next time; what went wrong before is what is told."""
    try:
        kept.close(finished=False)
    except Exception:
        return


def _same(identity: Identity, point: Point) -> Identity:  # noqa: ARG001  every point is built by the same
    return identity


def _digest(parts: list[str]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
