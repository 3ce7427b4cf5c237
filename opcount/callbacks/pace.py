"""What is logged of a training's steps, and the clock for it."""

from __future__ import annotations

import time
import warnings
from typing import Any

from torch import nn

from opcount.errors import InputError
from opcount.metering import Meter, meter
from opcount.ops import OpCount
from opcount.utilization import mfu

PREFIX = "opcount/"


def metered(model: nn.Module, optimizer: Any, **options: Any) -> Meter:
    """A meter; without the optimizer's steps, and a warning, if these are not of parameters of the model as it is."""
    try:
        return meter(model, optimizer=optimizer, **options)
    except InputError as error:
        if optimizer is None:
            raise
        found = meter(model, **options)
        warnings.warn(f"the optimizer's steps are not counted: {error}", stacklevel=3)
        return found


class Pace:
    """How fast steps come, since something was last said of them.

    The clock is that of the wall, without evaluations: a step is as long as it takes until the next one ends.

    Args:
        peak: what the machine can do, in FLOP/s; without one there is no utilization to tell.

    Raises:
        InputError: it is no peak.
    """

    def __init__(self, peak: float | None) -> None:
        if peak is not None and not peak > 0:
            raise InputError(f"peak= is what the machine can do in FLOP/s, as in 312e12, not {peak!r}")
        self.peak = peak
        self.begin()

    def begin(self) -> None:
        """The clock runs, from 0."""
        self._seconds, self._since = 0.0, time.perf_counter()
        self._steps, self._done, self._last = 0, OpCount(), OpCount()
        self._runs = True

    def pause(self) -> None:
        """What follows is no part of a step."""
        if self._runs:
            self._seconds += time.perf_counter() - self._since
            self._runs = False

    def go_on(self) -> None:
        """A step follows."""
        if not self._runs:
            self._since, self._runs = time.perf_counter(), True

    def step(self, cost: OpCount) -> None:
        """A step has ended."""
        self._steps += 1
        self._last = cost
        self._done += cost

    def told(self) -> dict[str, float]:
        """What to log: the last step's operations, and the utilization in all steps since it was asked for last."""
        if not self._steps:
            return {}
        running = self._runs
        self.pause()
        values: dict[str, float] = {
            f"{PREFIX}{name}": getattr(self._last, name) for name in ("macs", "multiplications", "additions")
        }
        if self.peak is not None and self._seconds > 0:
            values[f"{PREFIX}mfu"] = mfu(self._done, self._seconds, self.peak)
        self.begin()
        if not running:
            self.pause()
        return values
