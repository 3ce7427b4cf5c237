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


class Board:
    """A context in which :meth:`told` adds an epoch to the event files in ``tensorboard/``.

    Args:
        folder: the run's.
        epochs: those already there, if the run is resumed; whatever files hold beyond them is purged.

    Raises:
        StudyError: the package tensorboard is missing.
    """

    def __init__(self, folder: Path, epochs: list[Epoch]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise StudyError("--tensorboard needs tensorboard: pip install 'opcount[study]'") from error
        self.folder = folder / "tensorboard"
        self.done = {epoch.job: epoch.epoch for epoch in sorted(epochs, key=lambda epoch: epoch.epoch)}
        self.writers: dict[Job, SummaryWriter] = {}
        self._writer = SummaryWriter

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
