"""torchvision's models: the exact integers that are kept, the published figures, and two counts that agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("torchvision")

from benchmarks import zoo
from opcount import audit

GOLDEN = {
    entry["name"]: entry
    for entry in json.loads((Path(zoo.__file__).parent / "results" / "zoo.json").read_text(encoding="utf-8"))["models"]
}
CLASSIFICATION = [name for name, entry in GOLDEN.items() if entry["family"] == "classification"]
EVERYDAY = [
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "maxvit_t"),
    *("mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet50"),
    *("resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32"),
]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


def check(name: str, family: str) -> None:
    """By layers and by operators the same figures, module by module, and the ones that are kept."""
    torch.manual_seed(zoo.SEED)
    model, inputs = zoo.build(name, family)
    if family not in ("detection", "optical_flow"):
        model.to("meta")
    with torch.no_grad():
        both = audit(model, inputs)
    assert both.disagreements == ()
    assert both.by_layers.complete
    assert both.by_operators.complete
    if family != "detection":  # which depends on random weights, and so on the build of PyTorch
        assert both.by_layers.ops.to_dict() == GOLDEN[name]["figures"]
        assert both.by_layers.params == GOLDEN[name]["params"]
    assert both.by_layers.macs == both.by_operators.macs


@pytest.mark.parametrize("name", EVERYDAY)
def test_a_model_of_each_family(name: str) -> None:
    check(name, "classification")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CLASSIFICATION) - set(EVERYDAY)))
def test_every_other_classification_model(name: str) -> None:
    check(name, "classification")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "family"),
    [(name, entry["family"]) for name, entry in GOLDEN.items() if entry["family"] != "classification"],
)
def test_every_model_of_the_other_families(name: str, family: str) -> None:
    check(name, family)


def test_every_published_figure_is_met() -> None:
    """As the zoo was last written: within the rounding of the published digits, but for detection's random regions."""
    judged: list[dict[str, Any]] = [entry for entry in GOLDEN.values() if entry["published_gmacs"] is not None]
    off = [e["name"] for e in judged if abs(e["figures"]["macs"] / 1e9 - e["published_gmacs"]) > 0.0005 + 1e-9]
    assert len(judged) > 100
    assert all(GOLDEN[name]["family"] == "detection" for name in off)
    assert not any(entry["uncounted"] for entry in GOLDEN.values())


def test_the_zoo_is_complete() -> None:
    """Every model that torchvision lists was counted."""
    listed = {name for family in zoo.FAMILIES for name in zoo.names(family)}
    assert set(GOLDEN) == listed
