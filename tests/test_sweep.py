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
import torch
from torch import nn

from opcount import Convention, Input, sweep
from opcount.errors import ExecutorError, InputError
from opcount.sweeping import Results
from opcount.sweeping.guarding import Order, Processes
from opcount.sweeping.work import Task, count_point, count_quickly
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


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.close()


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


def test_what_goes_wrong_with_a_point_is_its_row(processes: Processes) -> None:
    """In one process after another; a point that follows is counted as ever."""
    import pickle

    order = Order(pickle.dumps(spaces.troubled), memory=2**29)
    found = {}
    for how in ("raise", "leave", "interrupt", "nothing", "print", "eat", "fine"):
        found[how] = processes.count(order, Task({"how": how}, SIZE, Convention()))
    errors = {how: result["error"] for how, result in found.items()}
    assert errors["raise"] == "ValueError: no luck"
    assert errors["leave"] == "SystemExit: 3"
    assert errors["interrupt"] == "KeyboardInterrupt"
    assert errors["nothing"].startswith("build returned NoneType")
    assert errors["eat"].startswith("needs more memory than the limit of 512 MiB")
    assert errors["print"] is errors["fine"] is None
    assert found["fine"]["macs"] == 32


@pytest.mark.slow
def test_points_given_at_once_are_counted_one_by_one(processes: Processes) -> None:
    """Whatever becomes of the process between them, and the one that did it is the one that is blamed."""
    import pickle

    order = Order(pickle.dumps(spaces.troubled), seconds=3.0)
    hows = ("fine", "exit", "raise", "hang", "memory", "fine")
    found = [
        result["error"] for result in processes.results(order, [Task({"how": how}, SIZE, Convention()) for how in hows])
    ]
    assert found[0] is found[5] is None
    assert "exit code 3" in found[1]
    assert found[2] == "ValueError: no luck"
    assert found[3] == "took longer than the limit of 3 s"
    assert "MemoryError" in found[4]


def test_the_peak_of_activations_by_hand(store: str) -> None:
    """A layer's input lives while it runs, its output after: 4 bytes for each of (2), and of (3 and 3)."""
    space = [{"width": 2, "depth": 1}, {"width": 3, "depth": 2}]
    rows = sweep(spaces.dense, space, SIZE, executor=Here(), store=store)
    assert [row["peak_activations"] for row in rows] == [8, 24]


def test_a_peak_is_found_out_once_it_is_asked_for(tmp_path: Path) -> None:
    here = Here()
    for store in (str(tmp_path / "rows.sqlite"), str(tmp_path / "rows.parquet")):
        here.submitted = 0
        found = []
        for peak in (False, False, True, True, False):
            rows = sweep(spaces.troubled, {"how": ["fine", "raise"]}, SIZE, executor=here, store=store, peak=peak)
            found.append((here.submitted, [row["peak_activations"] for row in rows]))
        without, asked = [None, None], [16, None]
        assert found == [(2, without), (2, without), (4, asked), (4, asked), (4, asked)]


def test_a_store_from_before_there_was_a_peak_is_read(tmp_path: Path) -> None:
    import pyarrow.parquet

    store = str(tmp_path / "rows.parquet")
    sweep(spaces.dense, {"width": [2, 3]}, SIZE, executor=Here(), store=store, peak=False)
    table = pyarrow.parquet.read_table(store)
    pyarrow.parquet.write_table(table.drop_columns(["peak_activations"]), store)
    here = Here()
    rows = sweep(spaces.dense, {"width": [2, 3]}, SIZE, executor=here, store=store, peak=False)
    assert (here.submitted, [(row["macs"], row["peak_activations"]) for row in rows]) == (0, [(16, None), (24, None)])


def test_attributes_that_are_set_quickly_are_where_pytorch_puts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from opcount.sweeping.unfilled import attributes_set_quickly

    class Odd(nn.Module):
        def __init__(self) -> None:
            self.early = 3  # before there are tables
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.register_buffer("kept", torch.ones(2))
            self.child = nn.Identity()
            self.size, self.name, self.bias = (1, 2), "odd", None
            self.weight = self.kept = self.child = None

    plain = Odd().__dict__
    monkeypatch.setattr(nn.Module, "__setattr__", nn.Module.__setattr__)
    attributes_set_quickly()
    model = Odd()
    assert model.__dict__ == plain
    model.weight = nn.Parameter(torch.ones(2))
    with pytest.raises(TypeError, match="cannot assign"):
        model.weight = 3


def test_a_point_that_hangs_or_dies_is_a_row_and_stops_nothing(store: str) -> None:
    space = [{"how": how} for how in ("hang", "fine")]
    rows = list(sweep(spaces.troubled, space, SIZE, store=store, time_limit=1.0, workers=1))
    assert [row["error"] for row in rows] == ["took longer than the limit of 1 s", None]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "said"), [("exit", "exit code 3"), ("crash", "SIGSEGV"), ("memory", "MemoryError")])
def test_a_point_that_ends_its_process(how: str, said: str, store: str) -> None:
    rows = list(sweep(spaces.troubled, [{"how": how}, {"how": "fine"}], SIZE, store=store, workers=1))
    assert said in rows[0]["error"]
    assert rows[1]["macs"] == 32


@pytest.mark.slow
def test_a_process_that_the_machine_killed_is_no_fault_of_the_point(tmp_path: Path, store: str) -> None:
    space = [{"width": 2, "marker": str(tmp_path / "marker")}]
    assert [row["macs"] for row in sweep(spaces.once_killed, space, SIZE, store=store, workers=1)] == [16]


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


def plain_and_quick(build: Any, **point: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    from opcount.sweeping.unfilled import Builder

    task = Task(point, SIZE, Convention())
    both = count_point(build, task), count_quickly(Builder(build), task)
    return tuple({name: value for name, value in each.items() if name != "seconds"} for each in both)  # type: ignore


@pytest.mark.parametrize(
    ("build", "point"),
    [
        (spaces.dense, {"width": 5, "depth": 3}),
        (spaces.ReadsItself, {"seed": 0}),
        (spaces.ReadsItself, {"seed": 7}),
        (spaces.Chooses, {"width": 3}),
        (spaces.troubled, {"how": "raise"}),
        (spaces.troubled, {"how": "nothing"}),
    ],
)
def test_building_without_weights_changes_no_result(build: Any, point: dict[str, Any]) -> None:
    plain, quick = plain_and_quick(build, **point)
    assert plain == quick


def test_weights_are_left_alone_and_pytorch_is_as_it_was() -> None:
    from opcount.sweeping.unfilled import Builder, weights_unfilled

    functions = dict(vars(nn.init))
    methods = dict(vars(nn.Parameter))
    state = torch.get_rng_state()
    with weights_unfilled():
        nn.Conv2d(3, 8, 3)
        nn.init.orthogonal_(nn.Parameter(torch.empty(4, 4)))
        assert torch.equal(torch.get_rng_state(), state)
        drawn = torch.empty(100).uniform_()
    assert 0 < drawn.std() < 1
    assert dict(vars(nn.init)) == functions
    assert dict(vars(nn.Parameter)) == methods
    reads = Builder(spaces.ReadsItself)
    assert reads.quick({"seed": 1}) is None
    assert reads.plainly


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
