"""Small random rotations, scalings and shifts of a whole batch at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

DEGREES, SCALE, PIXELS = 4.0, 0.04, 0.7
"""The most an image is turned, grown or shrunk along each axis, and shifted."""


def affine_maps(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Random maps (N, 2, 3) for images of that side, uniform within the limits above, drawn on the CPU.

    >>> affine_maps(4, 28, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 3])
    """
    drawn = torch.rand(5, count, generator=generator) * 2 - 1
    angle = drawn[0] * math.radians(DEGREES)
    wide, high = 1 + drawn[1] * SCALE, 1 + drawn[2] * SCALE
    across, down = drawn[3:] * (2 * PIXELS / side)
    first = torch.stack([angle.cos() * wide, -angle.sin() * wide, across], 1)
    second = torch.stack([angle.sin() * high, angle.cos() * high, down], 1)
    return torch.stack([first, second], 1)


def transform(images: Tensor, maps: Tensor) -> Tensor:
    """The images (N, C, H, W) seen through the maps (N, 2, 3), bilinear, zero beyond their edges.

    >>> image = torch.rand(1, 1, 28, 28)
    >>> identity = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> torch.allclose(transform(image, identity), image, atol=1e-4)
    True
    """
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
