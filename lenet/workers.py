"""Networks trained beside each other, one process of one thread each, or one after the other in this process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from lenet.data import Data, load
from lenet.distributed import Group
from lenet.errors import StudyError
from lenet.metrics import Epoch
from lenet.settings import Job, Settings
from lenet.training import Step, train

Event = Step | Epoch


@dataclass(frozen=True)
class Work:
    """What every process needs to know: the settings, where MNIST is, and the run's folder."""

    settings: Settings
    data_folder: Path
    folder: Path

    def data(self) -> Data:
        """The data set, held out if the settings say so."""
        data = load(self.settings.dataset, self.data_folder)
        return data.held_out(self.settings.holdout) if self.settings.holdout else data


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(work: Work, jobs: list[Job], data: Data, device: torch.device, group: Group) -> Iterator[Event]:
    """Train the jobs one after the other, here."""
    for job in jobs:
        yield from train(job, work.settings, data, work.folder, device, group)


def side_by_side(work: Work, jobs: list[Job], count: int) -> Iterator[Event]:
    """Train the jobs in up to ``count`` processes at once, pupils after their teachers.

    Raises:
        StudyError: a job's own, after all others are stopped; or a process died.
    """
    waiting, finished = list(jobs), set[Job]()
    running: dict[Connection, tuple[Job, SpawnProcess]] = {}

    def ready(job: Job) -> bool:
        teacher = work.settings.teacher(job)
        return teacher is None or teacher in finished or teacher not in jobs

    try:
        while waiting or running:
            while len(running) < count and (job := next(filter(ready, waiting), None)):
                waiting.remove(job)
                with _deaf_to_interrupts():
                    connection, process = _start(work, job)
                    running[connection] = job, process
            for connection in _heard(running):
                try:
                    event = connection.recv()
                except (EOFError, OSError):
                    job, process = running.pop(connection)
                    process.join()
                    if process.exitcode:
                        raise StudyError(
                            f"the process that trained {job.name} died ({_death(process.exitcode)}): "
                            "--resume goes on from the last checkpoint"
                        ) from None
                    finished.add(job)
                    continue
                if isinstance(event, str):
                    raise StudyError(event)
                yield event
    finally:
        for _, process in running.values():
            process.kill()  # a checkpoint is whole at any moment
        for _, process in running.values():
            process.join()


def _start(work: Work, job: Job) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_trained, args=(work, job, theirs), daemon=True)
    process.start()
    theirs.close()
    return ours, process


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """What is started here never hears Ctrl-C; this process, which ends the others, hears it at the end."""
    if threading.current_thread() is not threading.main_thread():  # which alone may say so, and alone gets Ctrl-C
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with _inherited_as_blocked():
            yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _inherited_as_blocked() -> Iterator[None]:
    """A process inherits what is blocked, but no handler; and to ignore a signal would be to lose it here."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which lets Ctrl-C through again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"


def _trained(work: Work, job: Job, connection: Connection) -> None:
    """A process's whole life: train one job and send what happens; an error as its message."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for event in train(job, work.settings, work.data(), work.folder, torch.device("cpu"), Group()):
            connection.send(event)
    except StudyError as error:
        connection.send(str(error))


def _end_with_parent() -> None:
    """Were the first process killed, this one would train on, beside whoever resumes the run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)


def _heard(connections: Iterable[Connection]) -> list[Connection]:
    """Wait until something came over some of the connections, or one was closed, and say which."""
    among = list(connections)
    heard = wait(among)
    return [connection for connection in among if connection in heard]
