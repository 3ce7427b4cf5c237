"""What a model returns on shapes alone, which a count keeps for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from opcount.profiler import profile


def returned(model: nn.Module, given: Mapping[str, Any], method: str = "forward") -> Any:
    """What a model, or one of its methods, returns on shapes, where opcount's own run by shapes gets through.

    Args:
        given: keyword arguments, as :func:`opcount.profile` takes them.

    Raises:
        ForwardError: it asks for values.

    >>> returned(nn.Linear(8, 4), {"input": (2, 8)}).shape
    torch.Size([2, 4])
    """
    kept: list[Any] = []
    profile(_Recording(model, kept.append, method).eval(), given, execution="shapes")
    return kept[-1]


class _Recording(nn.Module):
    """Hands on what a model returns; a count runs a copy of the model, but whom it is handed to stays the same."""

    def __init__(self, model: nn.Module, keep: Callable[[Any], None], method: str) -> None:
        super().__init__()
        self.model, self.keep, self.method = model, keep, method

    def forward(self, **given: Any) -> Any:
        output = self.model(**given) if self.method == "forward" else getattr(self.model, self.method)(**given)
        self.keep(output)
        return output
