"""What other counters report, and why: against their real figures, and against figures derived by hand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opcount
from benchmarks.versus import ASKS, MODELS, measure
from opcount.cli import main
from opcount.errors import InputError, OpCountError
from opcount.reconciling import TOOLS, Reconciliation, reconcile
from opcount.reconciling.reconciliation import between
from opcount.reconciling.witness import witness
from opcount.targets import known_input, load

RECORDED = json.loads((Path(__file__).parents[1] / "benchmarks" / "results" / "versus.json").read_text())["tools"]
EVERY_DAY = ("lenet.models:Depthwise", "torchvision.models:resnet50", "torchvision.models:vit_b_32")
IMPORTED_AS = {"flopcounter": "torch", "ptflops-aten": "ptflops"}


def reconciled(target: str) -> dict[str, Reconciliation]:
    found = load(target)
    root = witness(found.model, known_input(found))
    return {name: between(root, tool, target, ()) for name, tool in TOOLS.items()}


@pytest.mark.parametrize(
    "target",
    [target if target in EVERY_DAY else pytest.param(target, marks=pytest.mark.slow) for target in MODELS],
)
def test_every_tool_is_explained_to_the_last_unit(target: str) -> None:
    """The recorded figure is what the tool really said; nothing is put down to an unnamed cause."""
    pytest.importorskip("torchvision")
    for name, found in reconciled(target).items():
        assert found.reported == RECORDED[name]["figures"][target], name
        assert sum(item.amount for item in found.items) == found.reported - found.macs
        assert not [item.reason for item in found.items if "otherwise" in item.reason]


def test_the_five_figures_of_resnet50() -> None:
    """4.089, 4.0892, 4.1115, 4.1324 and 4.1337 G: 53 norms of 11,113,984 elements together, and what else there is."""
    found = reconciled("torchvision.models:resnet50")
    items = {name: {item.reason: item.amount for item in each.items} for name, each in found.items()}
    assert {name: each.reported for name, each in found.items()} == {
        "calflops": 4_089_184_256,
        "deepspeed": 4_089_184_256,
        "flopcounter": 2 * 4_089_184_256,
        "ptflops-aten": 4_089_185_256,
        "torchinfo": 4_089_238_376,
        "fvcore": 4_111_512_576,
        "ptflops": 4_132_436_968,
        "thop": 4_133_742_592,
    }
    assert items["fvcore"] == {
        "batch norm, 2 an element": 2 * 11_113_984,
        "adaptive average pooling, 1 an input element": 2048 * 49,
    }
    assert items["thop"] == {
        "BatchNorm2d, 4 an element": 4 * 11_113_984,
        "adaptive average pooling, 1 an element read and 1 an output": 2048 * 49 + 2048,
    }
    assert items["ptflops"]["ReLU, 1 an element"] == 9_608_704
    assert items["ptflops"]["relu again, as the function that a counted layer calls"] == 9_608_704
    assert items["ptflops-aten"] == {"bias, 1 an output": 1000}
    assert items["torchinfo"]["BatchNorm2d: its parameters once a sample"] == 2 * 26_560
    assert items["flopcounter"] == {"two FLOPs for each MAC": 4_089_184_256}


class Shared(nn.Module):
    """One layer that two parents hold, called once through each."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(10, 10, bias=False)
        self.first, self.second = nn.Sequential(layer), nn.Sequential(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


class Products(nn.Module):
    """The same product by a sign, by a function and by a method."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ x.mT + torch.matmul(x, x.mT) + x.matmul(x.mT)


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x)


class SelfAttention(nn.Module):
    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.layer, self.weights = nn.MultiheadAttention(16, 2, batch_first=True), weights

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x, x, x, need_weights=self.weights)


CASES: list[tuple[Callable[[], nn.Module], Any, dict[str, int]]] = [
    # 36 outputs of 8 channels, 27 taps: 7,776 MACs; 288 biases, 224 parameters of which 8 biases x 36
    (lambda: nn.Conv2d(3, 8, 3), (1, 3, 8, 8), {"fvcore": 7776, "thop": 7776, "ptflops": 8064, "ptflops-aten": 8064,
     "torchinfo": 8064, "flopcounter": 15552, "calflops": 7776, "deepspeed": 7776}),
    # "same" padding: 64 outputs of 8 channels, 27 taps; fvcore does not know the traced name
    (lambda: nn.Conv2d(3, 8, 3, padding="same", bias=False), (1, 3, 8, 8), {"fvcore": 0, "thop": 13824,
     "flopcounter": 27648, "calflops": 13824}),
    # an even kernel: 8x8 outputs of 16 taps x 3 x 8; the two work out 7x7 outputs
    (lambda: nn.Conv2d(3, 8, 4, padding="same", bias=False), (1, 3, 8, 8), {"thop": 24576, "calflops": 18816,
     "deepspeed": 18816}),
    # in groups of 4: 16 positions x 8 x 2 x 9 = 2,304; calflops divides by the groups twice: 16 x 8 x (2 // 4) x 9
    (lambda: nn.ConvTranspose2d(8, 8, 3, groups=4, bias=False), (1, 8, 4, 4), {"fvcore": 2304, "thop": 2304,
     "ptflops": 2304, "calflops": 0, "deepspeed": 2304, "torchinfo": 144 * 36, "flopcounter": 4608}),
    # rows of 7: 2 x 7 x 16 x 4 = 896 MACs, 56 biases; torchinfo sees 2 samples of 68 parameters
    (lambda: nn.Linear(16, 4), (2, 7, 16), {"fvcore": 896, "thop": 896, "torchinfo": 136, "calflops": 896,
     "ptflops": (896 + 56) // 2, "ptflops-aten": 952, "flopcounter": 1792}),
    # 256 elements: no MACs at all
    (lambda: nn.BatchNorm2d(4), (1, 4, 8, 8), {"fvcore": 512, "thop": 1024, "ptflops": 512, "ptflops-aten": 0,
     "torchinfo": 8, "flopcounter": 0, "calflops": 0, "deepspeed": 0}),
    # 20 elements, by the hook and by the function again
    (lambda: nn.ReLU(), (1, 20), {"fvcore": 0, "thop": 0, "ptflops": 40, "torchinfo": 0}),
    # 4x4 to 4x4, windows of 3 with padding: 144 read, 16 written; 16 in by the hook and again by the function
    (lambda: nn.AvgPool2d(3, 1, 1), (1, 1, 4, 4), {"fvcore": 0, "thop": 160, "ptflops": 32}),
    # two calls of 100 MACs; held in two places
    (Shared, (1, 10), {"fvcore": 200, "thop": 200, "ptflops": 400, "calflops": 400, "deepspeed": 200,
     "torchinfo": 200, "flopcounter": 400}),
    # 2 x 5 x 5 x 7 = 350 each: the sign escapes ptflops and calflops; no layer has a parameter
    (Products, (2, 5, 7), {"fvcore": 1050, "thop": 1050, "ptflops": 700, "ptflops-aten": 1050, "calflops": 700,
     "deepspeed": 1050, "flopcounter": 2100, "torchinfo": 0}),
    # 2 heads, 8 positions of 4: 2 x 2 x 64 x 4 = 1,024
    (Attention, (1, 2, 8, 4), {"fvcore": 0, "thop": 1024, "ptflops": 0, "ptflops-aten": 0, "calflops": 0,
     "deepspeed": 1024, "torchinfo": 0}),
    # 5 positions of 16: projections 4 x 5 x 256 = 5,120, two products 2 x 2 x 25 x 8 = 800, softmax 10 rows of 5
    (lambda: SelfAttention(False), (1, 5, 16), {"fvcore": 5120, "thop": 5920 + 140, "calflops": 5120,
     "deepspeed": 5920, "torchinfo": 0, "ptflops-aten": 5120 + 320, "ptflops": 5920 + 80 + 50 + 4 * 80}),
    # weights returned: the two products are functions that ptflops counts beside the layer, and so is the softmax
    (lambda: SelfAttention(True), (1, 5, 16), {"fvcore": 5920, "ptflops": 5920 + 80 + 50 + 4 * 80 + 800 + 50,
     "flopcounter": 2 * 5920}),
    # 20 steps of 4 gates, 16 x (8 + 16): 30,720; thop adds 3 x 16 a gate and 4 x 16 a step for the rest
    (lambda: nn.LSTM(8, 16), (10, 2, 8), {"fvcore": 0, "thop": 20 * (4 * (384 + 48) + 64), "calflops": 0,
     "deepspeed": 0, "torchinfo": 20 * (4 * 384 + 128), "ptflops-aten": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("build", "size", "said"), CASES)
def test_figures_derived_by_hand(build: Callable[[], nn.Module], size: Any, said: dict[str, int]) -> None:
    for name, figure in said.items():
        found = reconcile(build(), size, name)
        assert found.reported == figure, name
        assert sum(item.amount for item in found.items) == found.difference


def test_items_name_the_cause() -> None:
    attention = reconcile(SelfAttention(False), (1, 5, 16), "fvcore")
    assert [(item.reason, item.amount, item.paths) for item in attention.items] == [
        ("MultiheadAttention: its two products not seen, only its projections", -800, ("layer",))
    ]
    shared = reconcile(Shared(), (1, 10), "calflops")
    assert [(item.reason, item.amount) for item in shared.items] == [
        ("layers that several paths lead to, added up once for each", 200)
    ]
    batch = reconcile(nn.Linear(16, 4, bias=False), (4, 16), "ptflops")
    assert [(item.reason, item.amount) for item in batch.items] == [("layers for one sample of the batch", -192)]


def test_a_tool_that_fails_is_said_to() -> None:
    with pytest.raises(OpCountError, match="calflops fails on this model: it takes no convolution of an unbatched"):
        reconcile(nn.Conv2d(3, 8, 3), (3, 8, 8), "calflops")


def test_the_model_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert opcount.reconcile(model, (2, 3, 8, 8), "thop").reported == 2 * 7776 + 4 * 2 * 8 * 36
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ASKS)
def test_the_tool_itself_says_so(name: str) -> None:
    """Where a tool is installed, in the release that its convention was read from, it is asked."""
    if importlib.util.find_spec(IMPORTED_AS.get(name, name)) is None:
        pytest.skip(f"{name} is not installed")
    pytest.importorskip("torchvision")
    target = "torchvision.models:resnet18"
    assert reconciled(target)[name].reported == measure(name, target)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lenet.models:Regular", "--versus", "thop"]) == 0
    shown = capsys.readouterr().out
    assert "average pooling, 1 an element read and 1 an output" in shown
    assert "416,520" in shown
    assert "ultralytics-thop 2.2.3" in shown


def test_the_command_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "versus.json"
    assert main(["lenet.models:Regular", "--versus", "ptflops", "-o", str(path)]) == 0
    data = json.loads(path.read_text())
    assert data["schema"] == "opcount-versus/1"
    assert data["macs"] + sum(item["amount"] for item in data["items"]) == data["reported"]
    assert data["difference"] == data["reported"] - data["macs"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--versus", "fvcor"], "there is no tool 'fvcor'; did you mean fvcore"),
        (
            ["--versus", "x"],
            "(tools: fvcore, thop, ptflops, ptflops-aten, torchinfo, flopcounter, calflops, deepspeed)",
        ),
        (["--versus", "thop", "--format", "csv"], "--versus is not written as csv"),
        (["--versus", "thop", "--no-padding"], "leave --no-bias and --no-padding out"),
        (["--versus", "thop", "--tree"], "--tree is about the table of layers"),
    ],
)
def test_what_cannot_be_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lenet.models:Regular", *words]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_tool_is_an_input_error() -> None:
    with pytest.raises(InputError, match="there is no tool"):
        reconcile(nn.ReLU(), (1, 2), "none")
