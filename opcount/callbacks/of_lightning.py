"""A callback for Lightning's Trainer."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from torch import nn

from opcount.callbacks.pace import Pace, metered
from opcount.errors import InputError, MissingExtraError
from opcount.metering import Meter
from opcount.ops import Convention

try:
    from lightning.pytorch import Callback
except ImportError:
    raise MissingExtraError("LightningMeter needs lightning: pip install 'opcount[lightning]'") from None


class LightningMeter(Callback):
    """Logs, with each of a Trainer's loggers and as often as it logs, what a step costs.

    ``opcount/macs``, ``opcount/multiplications`` and ``opcount/additions`` are those of the last step, with backward
    pass and optimizer; ``opcount/mfu`` is the model FLOPs utilization since it was last logged. They are of this
    process: of what its own batches ask of the whole model.

    What is counted is ``training_step``, by the shapes of its batch, on a stand-in of the module that is attached to no
    trainer; nothing is put on the module itself.

    Args:
        peak: what the device can do, in FLOP/s; without one no utilization is logged.
        of: instead of ``training_step``, count the calls of the part of the module with this path, such as ``"net"``,
            and their backward passes: for steps that need their trainer, or values. One hook is put on that part.
        convention: what to include where the field does not agree.

    Attributes:
        meter: that of the training; None before it starts.

    Raises:
        InputError: ``peak`` is none, or the module has no such part.

    >>> from lightning.pytorch import Trainer
    >>> trainer = Trainer(callbacks=[LightningMeter(peak=312e12)], logger=False, enable_checkpointing=False,
    ...                   accelerator="cpu", enable_progress_bar=False, enable_model_summary=False)
    """

    def __init__(
        self, peak: float | None = None, *, of: str | None = None, convention: Convention = Convention()
    ) -> None:
        self.pace = Pace(peak)
        self.of, self.convention = of, convention
        self.meter: Meter | None = None
        self._seen = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the meter."""
        self.close()
        optimizers = trainer.optimizers
        if len(optimizers) > 1:
            warnings.warn(f"the steps of {len(optimizers)} optimizers are not counted, only the passes", stacklevel=2)
        given: dict[str, Any] = {"convention": self.convention}
        optimizer = optimizers[0] if len(optimizers) == 1 else None
        if self.of is not None:
            self.meter = metered(_part(pl_module, self.of), optimizer, **given)
        else:
            self.meter = metered(_TrainingStep(pl_module), optimizer, loss=_loss, hook=False, **given)
        self._seen = trainer.global_step
        self.pace.begin()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Show the batch to the meter."""
        self.pace.go_on()
        if self.meter is not None and self.of is None:
            self.meter.observe((batch,), training=True)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End the step, if the optimizer made one, and log."""
        if self.meter is None or trainer.global_step == self._seen:
            return
        self._seen = trainer.global_step
        self.pace.step(self.meter.step())
        if trainer.loggers and self.meter.steps % trainer.log_every_n_steps == 0:
            values = self.pace.told()
            for logger in trainer.loggers:
                logger.log_metrics(values, step=trainer.global_step)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """What follows is no part of a step."""
        self.pace.pause()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the hook off, if there is one."""
        self.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Take the hook off, if there is one."""
        self.close()

    def close(self) -> None:
        """Take the hook off, if there is one; the figures stay."""
        if self.meter is not None:
            self.meter.close()


class _TrainingStep(nn.Module):
    """A module's ``training_step`` as a forward; the module is attached to no trainer, and logs nothing."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = copy.copy(module)  # which leaves its trainer behind, and shares its layers
        self.module.log = self.module.log_dict = _nothing
        takes = inspect.signature(module.training_step).parameters
        self.more = (0,) if len(takes) > 1 else ()

    def forward(self, batch: Any) -> Any:
        """What ``training_step`` returns of a batch."""
        return self.module.training_step(batch, *self.more)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Logs nothing."""


def _loss(output: Any) -> Any:
    """The loss among what ``training_step`` may return."""
    return output.get("loss") if isinstance(output, Mapping) else output


def _part(module: Any, path: str) -> nn.Module:
    try:
        part: nn.Module = module.get_submodule(path)
    except AttributeError:
        names = ", ".join(name for name, _ in module.named_children()) or "no parts"
        raise InputError(f"{type(module).__name__} has no part {path!r}; it has {names}") from None
    return part
