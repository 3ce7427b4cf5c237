"""Peak activation memory against PyTorch's live tensors: torchvision's models, and what short-cuts would hide."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("torchvision")

from benchmarks import zoo
from opcount import memory
from tests.reference.liveness import high_water
from tests.test_torchvision import CLASSIFICATION

EVERYDAY = ["densenet121", "googlenet", "mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5", "swin_t"]
EVERYDAY += ["squeezenet1_1", "vit_b_32"]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def weights_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """What weights are drawn as takes most of the time and says nothing of memory."""
    for name in filter(lambda name: name.endswith("_") and name[0] != "_", dir(nn.init)):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


def check(name: str, family: str, mode: str = "shapes") -> None:
    """Shapes alone say to the byte what a real run of the model itself had alive."""
    torch.manual_seed(zoo.SEED)
    model, inputs = zoo.build(name, family)
    found = memory(model, inputs)
    assert found.execution.mode == mode
    torch.manual_seed(zoo.SEED)
    args = tensors_for(inputs)
    assert high_water(model, *args) == (found.peak_activations, sum(found.activations.values()))


def tensors_for(inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, tuple) and all(isinstance(size, int) for size in inputs):
        return (torch.randn(inputs),)
    return tuple(value if not isinstance(value, tuple) else torch.randn(value) for value in inputs)


@pytest.mark.parametrize("name", EVERYDAY)
def test_a_classifier(name: str) -> None:
    check(name, "classification")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CLASSIFICATION) - set(EVERYDAY)))
def test_every_other_classifier(name: str) -> None:
    check(name, "classification")


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names("segmentation"))
def test_every_segmentation_model(name: str) -> None:
    check(name, "segmentation")


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names("detection"))
def test_every_detector(name: str) -> None:
    """Their forward asks for values, so that a clone is run."""
    check(name, "detection", "real")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*zoo.names("video"), *zoo.names("optical_flow")])
def test_every_video_and_flow_model(name: str) -> None:
    check(name, "optical_flow" if name.startswith("raft") else "video")
