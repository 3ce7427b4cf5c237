"""Models shared out over two real processes: the whole is counted, and each rank's own part is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from opcount import OpCount

ROOT = Path(__file__).parents[1]
RANKS = 2
# Two samples through 8 -> 16 -> 4: 2·16 dots of 8 and 2·4 of 16, a bias for each output, 32 comparisons.
FIGURES = OpCount(multiplications=384, additions=384, comparisons=32, macs=384).to_dict()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not dist.is_available() or not dist.is_gloo_available(), reason="this PyTorch was built without gloo"
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank found."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests" / "distributed_worker.py")]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(RANKS), str(folder / "meeting"), str(folder / "found")],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [json.loads((folder / f"found.{rank}").read_text()) for rank in range(RANKS)]


WAYS = ["DistributedDataParallel", "within", "fully_shard", "tensor parallel", "replicated tensors"]


@pytest.mark.parametrize("rank", range(RANKS))
@pytest.mark.parametrize("way", WAYS)
def test_the_whole_is_counted_on_every_rank(found: list[dict[str, Any]], way: str, rank: int) -> None:
    assert found[rank][way]["ops"] == FIGURES
    assert found[rank][way]["execution"] == "shapes"


@pytest.mark.parametrize("way", [way for way in WAYS if way != "within"])
def test_the_rows_are_those_of_the_model_itself(found: list[dict[str, Any]], way: str) -> None:
    rows = [["", "Sequential", 0], ["0", "Linear", 144], ["1", "ReLU", 0], ["2", "Linear", 68]]
    assert found[0][way]["rows"] == rows


def test_each_way_says_whose_work_it_is(found: list[dict[str, Any]]) -> None:
    said = {way: found[0][way]["remarks"] for way in WAYS}
    assert said["DistributedDataParallel"] == ["DistributedDataParallel: what one replica does with these inputs"]
    assert said["fully_shard"] == ["fully_shard over 2 ranks: each does all of this with its own inputs"]
    # a rank holds 8 of 16 rows of the first weight, and 8 of 16 columns of the second: half of 256 and half of 128
    shared = "DTensor over 2 ranks: all ranks together; this one does 192 of the 384 MACs they share"
    assert said["tensor parallel"] == [shared]
    assert said["replicated tensors"] == ["DTensor over 2 ranks: each does all of this"]


def test_values_that_lie_on_other_ranks_are_not_fetched(found: list[dict[str, Any]]) -> None:
    assert "only a part of the parameters" in found[0]["fully_shard real"]["error"]


def test_flat_parameters_are_refused(found: list[dict[str, Any]]) -> None:
    first = found[0]["FullyShardedDataParallel"]
    assert "accelerator" in first["impossible"] if "impossible" in first else "flat pieces" in first["error"]


METERED = ["metered DistributedDataParallel", "metered fully_shard", "compiled DistributedDataParallel"]


@pytest.mark.parametrize("way", METERED)
def test_meters_count_what_each_rank_does_and_their_sum(found: list[dict[str, Any]], way: str) -> None:
    """Of each sample forward and the gradients of both weights and of the middle: 192, 192 and 64 products.

    The optimizer works on all 212 parameters, in each rank's figures: those of the whole model.
    """
    for rank, each in enumerate(one[way] for one in found):
        samples = 2 * (2 + rank)
        assert (each["counted"], each["uncounted"]) == (2, [])
        assert each["step"]["macs"] == samples * (192 + 192 + 64)
        assert each["own"]["macs"] == 3 * samples * (192 + 192 + 64) + 192
        assert each["evaluation"] == {**FIGURES, **{name: figure // 2 for name, figure in FIGURES.items()}}
        assert each["step"]["multiplications"] - each["step"]["macs"] >= 212
    sums = {name: sum(one[way]["own"][name] for one in found) for name in FIGURES}
    assert all(one[way]["whole"] == sums for one in found)


def test_losses_under_a_meter_are_those_of_training_alone(found: list[dict[str, Any]]) -> None:
    replicated, sharded, compiled = (found[0][way]["losses"] for way in METERED)
    assert replicated == pytest.approx(sharded)
    assert replicated == compiled
    assert replicated == found[0]["unmetered"]
