"""Ctrl-C while a process is being started is neither lost nor heard by that process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from lenet.workers import _deaf_to_interrupts
from opcount.interrupts import Interrupts

_BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Ctrl-C as from a terminal: where a shell runs the tests in the background, they ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_until_the_process_is_known() -> None:
    known = []
    with pytest.raises(KeyboardInterrupt), Interrupts(), _deaf_to_interrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        known.append("process")
    assert known == ["process"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_it_is_ignored_it_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _deaf_to_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_what_is_started_is_deaf_and_we_are_not() -> None:
    with _deaf_to_interrupts():
        said = subprocess.run([sys.executable, "-c", _BLOCKED], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "True"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_beside_the_main_thread_nothing_is_set() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def start() -> None:
        with _deaf_to_interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert found == [before]
