"""By shapes alone, or for real where that is not enough: one policy for all that runs a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from opcount.errors import BackwardError, ForwardError, InputError, RuleError
from opcount.trace.sight import unobserved

Found = TypeVar("Found")


def shapes_or_real(execution: str, by_shapes: Callable[[], Found], by_running: Callable[[str], Found]) -> Found:
    """What a run finds, out of sight of the counts that it happens within.

    Args:
        execution: ``"auto"``, ``"shapes"`` or ``"real"``.
        by_shapes: the run that computes nothing.
        by_running: the run on values; told why shapes were not enough, which is empty if nobody tried.

    Raises:
        OpCountError: as the runs do. What the user or a rule got wrong is wrong either way, and not tried again.
    """
    with unobserved():
        if execution == "real":
            return by_running("")
        try:
            return by_shapes()
        except (InputError, RuleError):
            raise
        except Exception as error:
            if execution == "shapes":
                kind = BackwardError if isinstance(error, BackwardError) else ForwardError
                raise kind(f"shapes alone are not enough: {error}; execution='real' runs the model") from error
            reason = str(error).partition("\n")[0]
        return by_running(reason)
