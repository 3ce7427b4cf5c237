"""How training goes, while it goes: bars on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lenet.metrics import Epoch
from lenet.settings import Job, Settings
from lenet.training import Step


class Live:
    """A context in which :meth:`told` shows events.

    Args:
        settings: of the run.
        console: where to; whether it is a terminal decides between bars and lines.
        quiet: show nothing, in processes that do not lead.
    """

    def __init__(self, settings: Settings, console: Console, quiet: bool = False) -> None:
        self.settings, self.console, self.quiet = settings, console, quiet
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("epoch {task.fields[epoch]}/" + str(settings.epochs)),
            TextColumn("{task.fields[figures]}"),
            TextColumn("left"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self.tasks: dict[Job, TaskID] = {}

    def __enter__(self) -> Live:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def told(self, event: Step | Epoch) -> None:
        """Show a step or an epoch."""
        if self.quiet:
            return
        if isinstance(event, Step):
            figures = f"loss {event.loss:.4f}  accuracy {100 * event.accuracy:.2f} %"
            rate = f"  {event.images_per_second:,.0f} images/s"
            self._move(event.job, event.epoch, event.epoch - 1 + event.done / event.steps, figures + rate)
            return
        figures = f"test loss {event.test_loss:.4f}  accuracy {100 * event.test_accuracy:.2f} %"
        figures += f"  {event.images_per_second:,.0f} images/s"
        if self.console.is_terminal:
            self._move(event.job, event.epoch, event.epoch, figures)
        else:
            name = f"{event.job.name}  epoch {event.epoch}/{self.settings.epochs}"
            training = f"training loss {event.train_loss:.4f}  {figures}"
            self.console.print(f"{self.settings.data_name}  {name}  {training}", highlight=False, soft_wrap=True)

    def _move(self, job: Job, epoch: int, done: float, figures: str) -> None:
        if job not in self.tasks:
            label = f"{self.settings.data_name}  {job.name}"
            total = self.settings.epochs
            self.tasks[job] = self.bars.add_task(label, total=total, completed=epoch - 1, epoch=epoch, figures="")
        self.bars.update(self.tasks[job], completed=done, epoch=epoch, figures=figures)
