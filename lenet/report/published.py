"""What the study that is reproduced has published, to be set beside a run's figures; none of those comes from here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

DATASET, EPOCHS, WIDTH = "mnist", 15, 1.0
TEST_IMAGES = 10_000


@dataclass(frozen=True)
class Published:
    """One network's figures in the study.

    Attributes:
        accuracy: final test accuracy, a part of 1.
        loss: final loss; of which images is not said.
        total, multiplications, additions: operations of the convolutions, without bias.
        layers: multiplications of each convolution.
        minutes: training time, about.
    """

    accuracy: float
    loss: float
    total: int
    multiplications: int
    additions: int
    layers: Mapping[str, int]
    minutes: float


STUDY = {
    "regular": Published(
        0.9887, 0.0060, 804_776, 405_600, 399_176, {"conv1": 117_600, "conv2": 240_000, "conv3": 48_000}, 2.0
    ),
    "depthwise": Published(
        0.9679, 0.0684, 94_624, 51_224, 43_400, {"conv1": 24_304, "conv2": 24_600, "conv3": 2_320}, 2.5
    ),
}

LEAST_TEST_LOSS = (1 - STUDY["regular"].accuracy) * math.log(2)
"""What the wrongly classified images alone add to the study's mean cross-entropy on test images: the right class of
each has at most half of the probability, or it would have been chosen."""
