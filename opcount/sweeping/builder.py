"""Building the model of a point as fast as can be, and as anyone would where that could be told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from opcount.sweeping.templates import templates_used
from opcount.sweeping.unfilled import weights_unfilled


class Builder:
    """Calls a builder without filling weights, for as long as that cannot be told from calling it plainly.

    A builder that draws other numbers from PyTorch's generator, or that seeds it, may decide by them what it builds,
    and it would draw others if the weights had not been skipped. Such a builder is called plainly, from then on.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build, self.plainly = build, False

    def quick(self, point: dict[str, Any]) -> Any:
        """The model without initial weights; None if the builder has to be called plainly."""
        if self.plainly:
            return None
        before = torch.get_rng_state()
        try:
            with weights_unfilled(), templates_used():
                model = self.build(**point)
        except Exception:  # it may have read what was not filled: the plain call tells
            return None
        if not torch.equal(before, torch.get_rng_state()):
            self.plainly = True
            return None
        return model
