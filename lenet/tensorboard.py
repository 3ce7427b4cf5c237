"""The metrics as TensorBoard's event files, a run of TensorBoard for each network."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lenet.errors import StudyError
from lenet.metrics import Epoch
from lenet.settings import Job

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FIGURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "images_per_second", "lr")


def summary_writer() -> type[SummaryWriter]:
    """PyTorch's writer of event files.

    Raises:
        StudyError: the package tensorboard, which it needs, is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise StudyError("--tensorboard needs tensorboard: pip install 'opcount[study]'") from error
    return SummaryWriter


class Board:
    """A context in which :meth:`told` adds an epoch to the event files in ``tensorboard/``.

    Args:
        folder: the run's.
        epochs: those already there, if the run is resumed; whatever files hold beyond them is purged.

    Raises:
        StudyError: the package tensorboard is missing.
    """

    def __init__(self, folder: Path, epochs: list[Epoch]) -> None:
        self.folder = folder / "tensorboard"
        self.done = {epoch.job: epoch.epoch for epoch in sorted(epochs, key=lambda epoch: epoch.epoch)}
        self.writers: dict[Job, SummaryWriter] = {}
        self._writer = summary_writer()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self.writers.values():
            writer.close()

    def told(self, epoch: Epoch) -> None:
        """Add an epoch."""
        job = epoch.job
        if job not in self.writers:
            begun = self.done.get(job)
            self.writers[job] = self._writer(
                str(self.folder / job.name), purge_step=begun + 1 if begun is not None else None
            )
        for figure in FIGURES:
            self.writers[job].add_scalar(figure, getattr(epoch, figure), epoch.epoch)
        self.writers[job].flush()
