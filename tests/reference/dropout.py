"""Dropout while training: the random numbers are an input here, so that the same mask can be drawn elsewhere."""

from __future__ import annotations

import numpy as np

from tests.reference.geometry import cells
from tests.reference.machine import Array, objects


def dropout(inputs: Array, uniform: Array, *, p: float = 0.5) -> Array:
    """x · mask, as torch.nn.Dropout: an entry of the mask is 0 where its uniform number is below p, else 1 / (1 - p).

    `uniform` has one number per entry of the mask: the input's shape, or (N, C, 1, 1) where whole channels go.
    """
    mask = objects(uniform.shape)
    for place in cells(uniform.shape):
        mask[place] = 0.0 if uniform[place] < p else 1.0 / (1.0 - p)
    spread = np.broadcast_to(mask, inputs.shape)
    output = objects(inputs.shape)
    for place in cells(inputs.shape):
        output[place] = inputs[place] * spread[place]
    return output


def alpha_dropout(inputs: Array, uniform: Array, *, p: float = 0.5) -> Array:
    """a · x + b where an element is kept, a · lower + b where it is dropped, as torch.nn.AlphaDropout.

    lower = -1.7580993408473766 is SELU's lower end; a and b, fixed by p, keep mean 0 and variance 1.
    """
    lower = -1.7580993408473766
    scale = 0.0 if p == 1 else ((1 - p) * (1 + p * lower * lower)) ** -0.5
    shift = -scale * lower * p
    mask = objects(uniform.shape)
    for place in cells(uniform.shape):
        mask[place] = (0.0, scale * lower + shift) if uniform[place] < p else (scale, shift)
    spread = np.broadcast_to(mask, inputs.shape)
    output = objects(inputs.shape)
    for place in cells(inputs.shape):
        factor, added = spread[place]
        output[place] = inputs[place] * factor + added
    return output
