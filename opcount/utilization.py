"""What a count says of time: how much of a machine's peak was used, and what a whole run takes."""

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
        InputError: no time has passed, or there is no peak.

    >>> from torch import nn
    >>> import opcount
    >>> step = opcount.profile(nn.Linear(1000, 1000), (64, 1000), backward=True)
    >>> mfu(step, seconds=0.001, peak=1e12)
    0.256
    """
    if not seconds > 0 or not peak > 0:
        raise InputError(f"mfu() takes seconds and a peak in FLOP/s above 0, not {seconds!r} and {peak!r}")
    return 2 * profile.macs / seconds / peak


def whole_run(
    profile: Profile, *, samples: int | None = None, epochs: int | None = None, tokens: int | None = None
) -> OpCount:
    """What a whole run costs, from the profile of one step: so many epochs of so many samples, or so many tokens.

    A run is as many steps as it takes, the last one whole. What a step has of samples is the first size of the
    profile's first input; of tokens, its first two sizes.

    Args:
        samples, epochs: how many samples an epoch has, and how many epochs there are.
        tokens: how many tokens there are altogether.

    Raises:
        InputError: neither is given or both are, or the profile has no such sizes.

    >>> from torch import nn
    >>> import opcount
    >>> step = opcount.profile(nn.Linear(10, 5), (32, 10), backward=True, optimizer="sgd")
    >>> whole_run(step, samples=100, epochs=3).macs == 4 * 3 * step.macs
    True
    """
    by_samples = samples is not None and epochs is not None and tokens is None
    if not by_samples and not (tokens is not None and samples is None and epochs is None):
        raise InputError("whole_run() takes samples= and epochs=, or tokens=")
    sizes = profile.inputs[0] if profile.inputs else ()
    if by_samples:
        return profile.ops * (_steps(samples, sizes[:1], "samples") * _whole(epochs, "epochs"))
    return profile.ops * _steps(tokens, sizes[:2] if len(sizes) > 1 else (), "tokens")


def _steps(number: int | None, sizes: tuple[int, ...], what: str) -> int:
    each = 1
    for size in sizes:
        each *= size
    if not sizes or not each:
        raise InputError(f"the profile's first input does not say how many {what} a step has: {sizes!r}")
    return -(-_whole(number, what) // each)


def _whole(number: int | None, what: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise InputError(f"{what} is a whole number of 0 or more, not {number!r}")
    return number
