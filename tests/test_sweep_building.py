"""What a point is worth: models built without drawing weights, and the peak of their activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from opcount import Convention, sweep
from opcount.sweeping.work import Task, count_point, count_quickly
from tests import spaces
from tests.test_sweep import SIZE, Here


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "sweep.sqlite")


def plain_and_quick(build: Any, **point: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    from opcount.sweeping.builder import Builder

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
    from opcount.sweeping.builder import Builder
    from opcount.sweeping.unfilled import weights_unfilled

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
