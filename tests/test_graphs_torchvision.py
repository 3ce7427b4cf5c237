"""torchvision's classification models: live, exported, from an archive, and as ONNX by both exporters.

The smallest of each family, of which the others are more and wider layers. All of them are counted by
``python -m benchmarks.graphs``, whose committed result ``test_graphs_constants.py`` reads.
"""

from __future__ import annotations

import re

import pytest
from torchvision import models

from benchmarks.graphs import count

pytestmark = pytest.mark.slow

FAMILIES = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18"),
    *("resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32"),
    "wide_resnet50_2",
)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_way_of_counting_agrees(name: str) -> None:
    row = count(name, largest=1000)
    assert row.exported
    assert row.archived
    assert set(row.onnx) == {"dynamo", "TorchScript"}
    for found in row.onnx.values():  # but for folded norms, their biases, constants, and where attention has its scale
        assert not found["left"], found
        assert not found["uncounted"]


def test_every_family_is_there() -> None:
    """A model of another family than those above is a new one, to be added here."""
    families = {family(name) for name in FAMILIES}
    assert [name for name in models.list_models(module=models) if family(name) not in families] == []


def family(name: str) -> str:
    """The letters that a name begins with."""
    return re.match("[a-z]+", name)[0]  # type: ignore[index]
