"""By shapes alone, or for real where that is not enough: one policy for all that runs a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from opcount.errors import BackwardError, ForwardError, InputError, RuleError
from opcount.trace.sight import unobserved
from opcount.trace.standins import NeedsValues

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


_ASKED_FOR_VALUES = ("meta", "unallocated storage")
"""What PyTorch says, in one case or another, where a value of a tensor without values is asked for."""


def values_if_asked_for(run: Callable[[bool], Found]) -> Found:
    """What a run by shapes finds; one more with known values if it asks for some: those of positions and masks may do.

    Args:
        run: the run; told whether tensors that are made of known numbers keep their values.

    Raises:
        OpCountError: as the run does.
    """
    try:
        return run(False)
    except (ForwardError, BackwardError) as error:
        if not any(words in str(error).lower() for words in _ASKED_FOR_VALUES):
            raise
    try:
        return run(True)
    except NeedsValues as error:
        raise ForwardError(str(error)) from error
