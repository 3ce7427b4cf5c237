"""Out of sight: a count within the forward of a model that is being counted is none of that model's doing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import _pop_mode, _push_mode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode_stack


class Observing:
    """Marks what a count looks on by: its modes, and what stands in for the forward of layers."""

    __slots__ = ()


class ObservingMode(Observing, TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode by which a count looks on."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: wrapping the method would import the compiler, a second or so, for code that is never compiled."""
        return False


@contextmanager
def unobserved() -> Iterator[None]:
    """Out of sight of the counts that this one happens within: their modes are off, as are those around them."""
    if not any(isinstance(mode, Observing) for mode in _get_current_dispatch_mode_stack()):
        yield
        return
    depth = torch._C._len_torch_function_stack()
    modes = [_pop_mode() for _ in range(depth)]  # type: ignore[no-untyped-call]
    try:
        with _disable_current_modes():
            yield
    finally:
        for mode in reversed(modes):
            _push_mode(mode)  # type: ignore[no-untyped-call]
