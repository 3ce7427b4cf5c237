"""What of a graph depends on no input, found by following them; and the committed result of all of torchvision."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("torchvision", reason="the benchmark under test counts its models")

from benchmarks import constants
from benchmarks.environment import RESULTS
from benchmarks.graphs import as_onnx, compared
from opcount import OpCount, profile

SIZE = (2, 6, 8)


class Biased(nn.Module):
    """Adds what a perceptron makes of a fixed table, and a mask that is made of the input's shape alone."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.rand(6 * 40, 4) + 0.1)
        self.perceptron = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 8, bias=False))
        self.weight = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = self.perceptron(self.table).view(40, 6, 8)[0]
        mask = x.new_zeros(6)
        mask[2:4] = 1.0
        mask = mask.unsqueeze(0) - mask.unsqueeze(1)
        mask = mask.masked_fill(mask != 0, -100.0).sum(1)
        return self.weight(x) + table + mask[:, None]


class Written(nn.Module):
    """A tensor that is made of a shape, and then written into."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x.new_zeros(2, 6, 8)
        first = out[0]
        first.copy_(x[0])
        return (out * 2.0) + torch.ones(6, 8).exp()


def exported(model: nn.Module) -> Any:
    return torch.export.export(model.eval(), (torch.zeros(SIZE),))


def test_what_no_input_reaches_by_hand() -> None:
    """The perceptron's 240 rows; 36 differences, 36 comparisons with 0 and six sums of six for the mask."""
    found = constants.total(constants.of_program(exported(Biased())))
    rows = 240
    dots = rows * (4 * 10 + 10 * 8)
    assert (found.macs, found.multiplications) == (dots, dots)
    assert found.additions == rows * (10 * (3 + 1) + 8 * 9) + 36 + 6 * 5
    assert found.comparisons == rows * 10 + 36
    assert (found.divisions, found.transcendentals) == (0, 0)


def test_what_is_written_into_depends_on_what_was_written() -> None:
    found = constants.total(constants.of_program(exported(Written())))
    assert found == OpCount(transcendentals=48)


def test_a_graph_without_such_a_part() -> None:
    program = exported(nn.Linear(8, 4))
    assert constants.of_program(program) is None
    assert constants.total(None) == OpCount()


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
def test_what_an_exporter_works_out_beforehand_is_all_that_differs(dynamo: bool) -> None:
    pytest.importorskip("onnx", reason="models are exported")
    pytest.importorskip("onnxscript", reason="models are exported")
    model = Biased().eval()
    program = exported(model)
    written = as_onnx(program if dynamo else model, SIZE, dynamo=dynamo)
    found = compared(profile(model, SIZE), constants.of_program(program), written)
    assert not found["left"], found
    assert not found["uncounted"]


def committed() -> dict[str, Any]:
    """What ``python -m benchmarks.graphs --write`` found, by name."""
    return {row["name"]: row for row in json.loads((RESULTS / "graphs.json").read_text("utf-8"))}


def test_every_classifier_that_was_counted_agrees() -> None:
    """The committed result: live, exported, from an archive, and as ONNX by both exporters but for what is named."""
    for name, row in committed().items():
        assert row["exported"], name
        assert row["archived"], name
        assert set(row["onnx"]) == {"dynamo", "TorchScript"}, name
        for found in row["onnx"].values():
            assert not found["left"], name
            assert not found["uncounted"], name


@pytest.mark.slow
def test_every_classifier_of_torchvision_was_counted() -> None:
    """It takes an hour to make, so a release of torchvision with other models fails here and not every day."""
    from torchvision import models

    assert sorted(set(models.list_models(module=models)) - set(committed())) == []
