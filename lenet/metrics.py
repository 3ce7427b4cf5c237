"""What was measured after each epoch, as JSON lines in the order of the jobs, however the jobs took turns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from lenet.files import write_atomically
from lenet.settings import Job


@dataclass(frozen=True)
class Epoch:
    """One epoch of one network.

    Attributes:
        width, model, seed: the network, as in :class:`lenet.settings.Job`.
        epoch: from 1.
        train_loss, train_accuracy: means over the epoch's batches as they were learnt from, augmented and with the
            weights of that moment; the loss is the cross-entropy without smoothing or distillation.
        test_loss, test_accuracy: of the test set after the epoch, in eval mode.
        seconds: of training, without testing.
        images_per_second: training images over those seconds.
        lr: the learning rate of the epoch's last step.
    """

    width: float
    model: str
    seed: int
    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    images_per_second: float
    lr: float

    @property
    def job(self) -> Job:
        """The network it is of."""
        return Job(self.width, self.model, self.seed)


def write_metrics(folder: Path, epochs: Iterable[Epoch], jobs: list[Job]) -> None:
    """Write ``metrics.jsonl`` whole: a line an epoch, with the width if the jobs differ in it.

    Raises:
        StudyError: it cannot be written.
    """
    place = {job: index for index, job in enumerate(jobs)}
    frontier = len({job.width for job in jobs}) > 1
    lines = []
    for epoch in sorted(epochs, key=lambda epoch: (place[epoch.job], epoch.epoch)):
        line = asdict(epoch)
        width = line.pop("width")
        lines.append(json.dumps(line | ({"width": width} if frontier else {})))
    write_atomically(folder / "metrics.jsonl", "".join(f"{line}\n" for line in lines).encode())
