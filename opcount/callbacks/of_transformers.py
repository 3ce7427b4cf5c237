"""A callback for the Trainer of transformers."""

from __future__ import annotations

from typing import Any

from torch import nn

from opcount.callbacks.pace import PREFIX, Pace, metered
from opcount.errors import InputError, MissingExtraError
from opcount.metering import Meter
from opcount.ops import Convention

try:
    from transformers import Trainer, TrainerCallback
except ImportError:
    raise MissingExtraError("TransformersMeter needs transformers: pip install 'opcount[trainer]'") from None


class TransformersMeter(TrainerCallback):
    """Logs, whenever the Trainer logs a loss, what a step costs.

    ``opcount/macs``, ``opcount/multiplications`` and ``opcount/additions`` are those of the last step, with backward
    pass and optimizer; ``opcount/mfu`` is the model FLOPs utilization since it was last logged. They are of this
    process: of what its own batches ask of the whole model. They go where the Trainer's own figures go.

    Args:
        trainer: whose callback it is to be, as in ``trainer.add_callback(TransformersMeter(trainer))``.
        peak: what the device can do, in FLOP/s; without one no utilization is logged.
        convention: what to include where the field does not agree.

    Attributes:
        meter: that of the training; None before it starts.

    Raises:
        InputError: ``trainer`` or ``peak`` is none.
    """

    def __init__(self, trainer: Any, peak: float | None = None, *, convention: Convention = Convention()) -> None:
        if not isinstance(trainer, Trainer):
            raise InputError(
                "TransformersMeter takes the trainer it logs with: trainer.add_callback(TransformersMeter(trainer))"
            )
        self.trainer, self.convention = trainer, convention
        self.pace = Pace(peak)
        self.meter: Meter | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the meter on the model, as it is wrapped by now."""
        self.close()
        wrapped = self.trainer.model_wrapped
        model = wrapped if isinstance(wrapped, nn.Module) else self.trainer.model
        optimizer: Any = kwargs.get("optimizer")
        while hasattr(optimizer, "optimizer"):  # within what accelerate puts around it
            optimizer = optimizer.optimizer
        self.meter = metered(model, optimizer, convention=self.convention)
        self.pace.begin()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step begins."""
        self.pace.go_on()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The optimizer has made its step."""
        if self.meter is not None:
            self.pace.step(self.meter.step())

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """An evaluation is no part of a step."""
        self.pace.pause()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Log beside a loss; what is logged here does not come back to it."""
        if logs is None or "loss" not in logs or any(name.startswith(PREFIX) for name in logs):
            return
        values = self.pace.told()
        if values:
            self.trainer.log(values)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the hook off."""
        self.close()

    def close(self) -> None:
        """Take the hook off; the figures stay."""
        if self.meter is not None:
            self.meter.close()
