"""torchvision's classification models: live, exported, from an archive, and as ONNX by both exporters."""

from __future__ import annotations

import pytest
from torchvision import models

from benchmarks.graphs import count

pytestmark = pytest.mark.slow

LARGEST = 30
"""Million parameters up to which ONNX is written: larger ones are the same layers, wider and more often."""


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_every_way_of_counting_agrees(name: str) -> None:
    row = count(name, LARGEST)
    assert row.exported
    assert row.archived
    for found in row.onnx.values():  # but for folded norms, their biases, and where attention has its scale
        assert not found["left"], found
        assert not found["uncounted"]
