"""The processes that count: whatever a point does to one is its row, and spoils no other."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opcount import Convention, sweep
from opcount.sweeping.guarding import Order, Processes
from opcount.sweeping.work import Task
from tests import spaces

SIZE = (1, 8)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "sweep.sqlite")


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.close()


def test_what_goes_wrong_with_a_point_is_its_row(processes: Processes) -> None:
    """In one process after another; a point that follows is counted as ever."""
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
def test_a_model_that_holds_itself_leaves_its_memory_to_the_next(processes: Processes) -> None:
    order = Order(pickle.dumps(spaces.circular), memory=2**28, peak=False)
    tasks = [Task({"width": width}, SIZE, Convention(), peak=False) for width in range(1, 21)]
    found = list(processes.results(order, tasks))
    assert [result["error"] for result in found] == [None] * 20
    assert [result["macs"] for result in found] == [8 * width for width in range(1, 21)]


@pytest.mark.slow
def test_points_given_at_once_are_counted_one_by_one(processes: Processes) -> None:
    """Whatever becomes of the process between them, and the one that did it is the one that is blamed."""
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


class Unreadable:
    """What can be packed, but not unpacked where it is sent."""

    def __reduce__(self) -> Any:
        return eval, ("no_such_name",)


@pytest.mark.slow
def test_a_point_that_cannot_be_read_spoils_no_other(processes: Processes) -> None:
    order = Order(pickle.dumps(spaces.troubled), seconds=3.0)
    points: list[dict[str, Any]] = [{"how": "fine"}, {"how": Unreadable()}, {"how": "fine"}]
    found = [
        result["error"] for result in processes.results(order, [Task(point, SIZE, Convention()) for point in points])
    ]
    assert found == [None, "NameError: name 'no_such_name' is not defined", None]


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
