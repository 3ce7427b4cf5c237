"""Which convolutions can be made separable, by their numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


def why_kept(in_channels: int, out_channels: int, groups: int, kernel: Sequence[int]) -> str | None:
    """Why a convolution stays as it is; None if it can be made separable.

    A convolution of a single channel is depthwise only if a single channel comes out. With several, as in LeNet's first
    layer, it is separated in the literature too.

    >>> why_kept(64, 128, 1, (1, 1)), why_kept(32, 32, 32, (3, 3)), why_kept(1, 6, 1, (5, 5))
    ('1x1 already', 'depthwise already', None)
    """
    if prod(kernel) == 1:
        return "1x1 already"
    if groups == in_channels and (groups > 1 or out_channels == 1):
        return "depthwise already"
    return None
