"""What a count says of time: how much of a machine's peak was used."""

from __future__ import annotations

from opcount.errors import InputError
from opcount.ops import OpCount
from opcount.result import Profile


def mfu(profile: Profile | OpCount, seconds: float, peak: float) -> float:
    """Model FLOPs utilization: the FLOPs that the model asks for over those that the machine could have done.

    FLOPs are 2 for each MAC, as in the figures of machines and of papers. A step's forward that checkpointing runs
    again is part of ``profile.backward``, so for *model* FLOPs profile the model without checkpointing; with it this is
    what is called hardware FLOPs utilization.

    Args:
        profile: of what was timed, such as one training step; or its figures.
        seconds: how long it took.
        peak: what the machine can do, in FLOP/s.

    Raises:
        InputError: no time has passed, or there is no peak; or something is not what it should be.

    >>> from torch import nn
    >>> import opcount
    >>> step = opcount.profile(nn.Linear(1000, 1000), (64, 1000), backward=True)
    >>> mfu(step, seconds=0.001, peak=1e12)
    0.256
    """
    if not isinstance(profile, (Profile, OpCount)):
        raise InputError(f"mfu() takes a profile or its figures, not {type(profile).__name__}")
    try:
        above = seconds > 0 and peak > 0
    except TypeError:
        above = False
    if not above:
        raise InputError(f"mfu() takes seconds and a peak in FLOP/s above 0, not {seconds!r} and {peak!r}")
    return 2 * profile.macs / seconds / peak
