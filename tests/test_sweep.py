"""Sweeps: every point a row, whatever becomes of it; kept as it comes; nothing counted twice."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from opcount import Convention, Input, sweep
from opcount.errors import ExecutorError, InputError
from opcount.sweeping import Results
from tests import spaces

ROOT = Path(__file__).parents[1]
SIZE = (1, 8)


def macs(width: int, depth: int = 1) -> int:
    return 8 * width + (depth - 1) * width * width


class Here(Executor):
    """Counts at once, in this thread."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "sweep.sqlite")


def test_every_point_of_a_grid_is_a_row_in_order(store: str) -> None:
    rows = list(sweep(spaces.dense, {"width": [2, 3], "depth": [1, 2]}, SIZE, executor=Here(), store=store))
    assert [(row["width"], row["depth"]) for row in rows] == [(2, 1), (2, 2), (3, 1), (3, 2)]
    assert [row["macs"] for row in rows] == [16, 20, 24, 33]
    assert [row["params"] for row in rows] == [18, 24, 27, 39]
    assert all(row["complete"] and row["error"] is None and row["execution"] == "shapes" for row in rows)
    assert rows[0]["build"] == "tests.spaces:dense"


@pytest.mark.parametrize(
    "space",
    [
        [{"width": 2}, {"width": 3}],
        ({"width": width} for width in (2, 3)),
        lambda: ({"width": width} for width in (2, 3)),
        {"width": range(2, 4)},
    ],
)
def test_spaces_of_every_kind(space: Any, store: str) -> None:
    assert [row["macs"] for row in sweep(spaces.dense, space, SIZE, executor=Here(), store=store)] == [16, 24]


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"width": 3}, "list of values"),
        ({"width": "ab"}, "list of values"),
        ({"width": []}, "no values"),
        ("width", "a space is"),
        (3, "a space is"),
        ([3], "a point is a mapping"),
        ([{"not a name": 1}], "names of a point"),
        (lambda: {"width": 3}, "generator function"),
        ([{"witdh": 3}], "did you mean width"),
        ([{}], "missing a required argument"),
        ([{"width": object()}], "by which a result cannot be found again"),
        ([{"width": lambda: 3}], "cannot be told apart"),
    ],
)
def test_what_is_no_space_is_told(space: Any, said: str, store: str) -> None:
    with pytest.raises(InputError, match=said):
        sweep(spaces.dense, space, SIZE, executor=Here(), store=store)


def test_a_name_of_a_point_may_not_be_that_of_a_column(store: str) -> None:
    with pytest.raises(InputError, match="has another name"):
        sweep(lambda macs: spaces.dense(macs), {"macs": [1]}, SIZE, executor=Here(), store=store)


def test_inputs_of_the_point(store: str) -> None:
    rows = sweep(
        lambda width, batch: spaces.dense(width),
        {"width": [2], "batch": [1, 5]},
        lambda width, batch: (batch, 8),
        executor=Here(),
        store=store,
    )
    assert [row["macs"] for row in rows] == [16, 80]


def test_what_was_counted_is_not_counted_again(store: str) -> None:
    space, again = {"width": [2, 3, 4]}, Here()
    first = list(sweep(spaces.dense, space, SIZE, executor=Here(), store=store))
    second = sweep(spaces.dense, space, SIZE, executor=again, store=store)
    assert (again.submitted, second.tally.answered, list(second)) == (0, 3, first)
    more = sweep(spaces.dense, [{"width": 9}, {"width": 3}], SIZE, executor=again, store=store)
    assert (again.submitted, [row["width"] for row in more]) == (1, [9, 3])


def test_the_same_point_twice_is_one_row(store: str) -> None:
    here = Here()
    rows = sweep(spaces.dense, [{"width": 2}, {"width": 3}, {"width": 2}], SIZE, executor=here, store=store)
    assert (here.submitted, [row["width"] for row in rows]) == (2, [2, 3])


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": (2, 8)},
        {"inputs": Input((1, 8), "float64")},
        {"convention": Convention(bias=False)},
        {"build": functools.partial(spaces.dense, depth=2)},
        {"build": lambda width: spaces.dense(width)},
    ],
)
def test_another_question_is_counted(change: dict[str, Any], store: str) -> None:
    asked: dict[str, Any] = {"build": spaces.dense, "inputs": SIZE}
    here = Here()
    sweep(asked["build"], {"width": [2]}, asked["inputs"], executor=Here(), store=store)
    asked |= change
    sweep(asked.pop("build"), {"width": [2]}, asked.pop("inputs"), executor=here, store=store, **asked)
    assert here.submitted == 1


def test_another_source_or_version_is_counted_and_replaces(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(text: str) -> Any:
        names: dict[str, Any] = {"nn": nn}
        exec(text, names)
        return names["build"]

    small = built("def build(width):\n    return nn.Linear(8, width)")
    large = built("def build(width):\n    return nn.Linear(8, 2 * width)")
    assert [row["macs"] for row in sweep(small, {"width": [2]}, SIZE, executor=Here(), store=store)] == [16]
    assert [row["macs"] for row in sweep(large, {"width": [2]}, SIZE, executor=Here(), store=store)] == [32]
    monkeypatch.setattr("opcount.__version__", "99")
    here = Here()
    rows = list(sweep(large, {"width": [2]}, SIZE, executor=here, store=store))
    assert (here.submitted, len(rows), rows[0]["version"]) == (1, 1, "99")


def test_two_lambdas_of_one_file_are_two(store: str) -> None:
    first, second = (lambda width: nn.Linear(8, width)), (lambda width: nn.Linear(8, width + 1))
    assert [row["macs"] for row in sweep(first, {"width": [2]}, SIZE, executor=Here(), store=store)] == [16]
    assert [row["macs"] for row in sweep(second, {"width": [2]}, SIZE, executor=Here(), store=store)] == [24]


def test_a_failure_is_kept_and_counted_again_when_asked(store: str) -> None:
    here = Here()
    rows = sweep(spaces.troubled, {"how": ["raise", "fine"]}, SIZE, executor=here, store=store)
    assert [row["error"] for row in rows] == ["ValueError: no luck", None]
    assert [row["macs"] for row in rows] == [None, 32]
    assert len(rows.failures) == rows.tally.failed == 1
    sweep(spaces.troubled, {"how": ["raise", "fine"]}, SIZE, executor=here, store=store)
    assert here.submitted == 2
    sweep(spaces.troubled, {"how": ["raise", "fine"]}, SIZE, executor=here, store=store, retry=True)
    assert here.submitted == 3


@pytest.mark.parametrize("build", [lambda width: nn.Linear(8, width), functools.partial(lambda width: width)])
def test_a_builder_that_processes_cannot_import_is_refused(build: Any, store: str) -> None:
    with pytest.raises(InputError, match="define it at the top level of a module"):
        sweep(build, {"width": [1]}, SIZE, store=store)
    with ProcessPoolExecutor(1) as pool, pytest.raises(InputError, match="other processes cannot import"):
        sweep(build, {"width": [1]}, SIZE, executor=pool, store=store)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers is a number above 0"),
        ({"time_limit": -1}, "time_limit"),
        ({"memory_limit": 0}, "memory_limit"),
        ({"memory_limit": 2**61}, "memory_limit is 1,152,921,504,606,846,976 at most"),
        ({"time_limit": 10**10}, "time_limit is 1,000,000,000 at most"),
        ({"workers": 10**6}, "workers is 4,096 at most"),
        ({"executor": 3}, "executor is a"),
        ({"executor": Here(), "workers": 2}, "executor has its own"),
        ({"store": "rows.csv"}, "ends in none of"),
        ({"store": "nowhere/rows.sqlite"}, "does not exist"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    given = {"store": str(tmp_path / "rows.sqlite"), **options}
    with pytest.raises(InputError, match=said):
        sweep(spaces.dense, {"width": [1]}, SIZE, **given)
    with pytest.raises(InputError, match="build is a function"):
        sweep("lenet", {"width": [1]}, SIZE)  # type: ignore[arg-type]


def test_threads_may_count_what_cannot_be_pickled(store: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        rows = sweep(lambda width: nn.Linear(8, width), {"width": range(1, 9)}, SIZE, executor=pool, store=store)
        assert [row["macs"] for row in rows] == [8 * width for width in range(1, 9)]


class Loses(Here):
    """Loses every point some times before it counts it."""

    def __init__(self, times: int, error: Exception) -> None:
        super().__init__()
        self.times, self.error = times, error

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.submitted % (self.times + 1) == self.times:
            return super().submit(function, *args, **kwargs)
        self.submitted += 1
        future: Future[Any] = Future()
        future.set_exception(self.error)
        return future


def test_a_point_that_was_lost_is_sent_again(store: str) -> None:
    lost = sweep(spaces.dense, {"width": [2, 3]}, SIZE, executor=Loses(2, OSError("gone")), store=store)
    assert [row["macs"] for row in lost] == [16, 24]


def test_a_point_that_is_always_lost_is_a_row(store: str) -> None:
    rows = list(sweep(spaces.dense, {"width": [2]}, SIZE, executor=Loses(9, OSError("gone")), store=store))
    assert rows[0]["error"] == "lost 3 times: OSError: gone"


def test_an_executor_that_broke_ends_the_sweep_and_keeps_what_was_done(store: str) -> None:
    with pytest.raises(ExecutorError, match="what was done is kept"):
        sweep(spaces.dense, {"width": [2, 3]}, SIZE, executor=Loses(1, BrokenProcessPool("dead")), store=store)
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(ExecutorError, match="takes no more points"):
        sweep(spaces.dense, {"width": [2, 3]}, SIZE, executor=pool, store=store)


def test_points_are_made_as_they_are_needed(store: str) -> None:
    """A million points take no more memory than a window of them: those ahead of the slowest."""
    made = []

    def points() -> Iterator[dict[str, int]]:
        for width in range(1, 200):
            made.append(width)
            yield {"width": width}

    class Slow(Here):
        _max_workers = 2

        def __init__(self) -> None:
            super().__init__()
            self.waiting: list[tuple[Future[Any], Any, Any]] = []
            self.most = 0

        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.waiting.append((future, function, args))
            self.most = max(self.most, len(self.waiting))
            assert len(made) - done() <= 9
            if len(self.waiting) == 8 or made[-1] > 190:
                for each, work, given in self.waiting:
                    each.set_result(work(*given))
                self.waiting.clear()
            return future

    slow = Slow()

    def done() -> int:
        return len(made) - len(slow.waiting)

    assert len(sweep(spaces.dense, points, SIZE, executor=slow, store=store)) == 199
    assert slow.most == 8


RUNS = """
import os, signal, sys, threading
from opcount import sweep
from tests import spaces
folder, after = sys.argv[1], float(sys.argv[2])
from concurrent.futures import ThreadPoolExecutor
def points():
    if after:
        how = signal.SIGKILL if sys.argv[3] == "kill" else signal.SIGINT
        threading.Timer(after, os.kill, (os.getpid(), how)).start()
    yield from ({"width": width, "log": folder + "/log"} for width in range(1, 301))
try:
    rows = sweep(spaces.counted_dense, points, (1, 8), executor=ThreadPoolExecutor(1), store=folder + "/rows.parquet")
except KeyboardInterrupt:
    os._exit(130)
print(len(rows), sum(row["macs"] for row in rows))
os._exit(0)
"""


def run(folder: Path, after: float = 0.0, how: str = "kill") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", RUNS, str(folder), str(after), how]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Each point is built once, but for the few that were under way when it was killed."""
    kills = 0
    for after in (0.02, 0.15, 0.4):
        kills += run(tmp_path, after).returncode == -signal.SIGKILL
    last = run(tmp_path)
    assert last.stdout.split() == ["300", str(8 * sum(range(1, 301)))]
    built = (tmp_path / "log").read_text().split()
    assert {int(width) for width in built} == set(range(1, 301))
    assert len(built) - 300 <= kills
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "rows.parquet"]
    assert run(tmp_path).stdout == last.stdout
    assert len((tmp_path / "log").read_text().split()) == len(built)


@pytest.mark.slow
def test_interrupted_it_leaves_a_store_that_goes_on(tmp_path: Path) -> None:
    assert run(tmp_path, 0.2, "interrupt").returncode in (130, 0)
    so_far = len(Results.read(str(tmp_path / "rows.parquet")))
    assert run(tmp_path).stdout.split()[0] == "300"
    assert so_far <= 300
    assert len((tmp_path / "log").read_text().split()) <= 301
