"""The design space that ``benchmarks.sweep`` counts, in a module that other processes can import."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn

WIDTHS = tuple(round(0.25 + 0.05 * step, 2) for step in range(20))
RESOLUTIONS = (96, 128, 160, 192, 224)
DEPTHS = (0.6, 0.8, 1.0, 1.2, 1.4)
EXPANSIONS = (3, 4, 5, 6)
KERNELS = (3, 5, 7, (3, 5), (5, 7))
SETTING = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _even(channels: float) -> int:
    return max(8, int(channels + 4) // 8 * 8)


def _convolution(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outside)]


class Inverted(nn.Module):
    """An inverted residual: expand, depthwise, project."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inside * expansion
        layers = [*_convolution(inside, hidden, 1), nn.ReLU6()] if expansion > 1 else []
        layers += [*_convolution(hidden, hidden, kernel, stride, hidden), nn.ReLU6(), *_convolution(hidden, outside, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def mobilenet(width: float, depth: float, expansion: int, kernel: Any, **_: int) -> nn.Module:
    """A network in the manner of MobileNet V2; kernels alternate where there are two."""
    kernels = itertools.cycle(kernel if isinstance(kernel, tuple) else (kernel,))
    inside = _even(32 * width)
    layers: list[nn.Module] = [*_convolution(3, inside, 3, 2), nn.ReLU6()]
    for factor, channels, repeats, stride in SETTING:
        for index in range(max(1, round(repeats * depth))):
            outside = _even(channels * width)
            expand = 1 if factor == 1 else expansion
            layers.append(Inverted(inside, outside, next(kernels), stride if index == 0 else 1, expand))
            inside = outside
    last = _even(1280 * max(1.0, width))
    layers += [*_convolution(inside, last, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, 1000)]
    return nn.Sequential(*layers).eval()


def size(resolution: int, **_: Any) -> tuple[int, ...]:
    """One image of the point's resolution."""
    return (1, 3, resolution, resolution)


def tiny(width: int) -> nn.Module:
    """Next to nothing."""
    return nn.Linear(1, width % 97 + 1)


def points(many: int) -> list[dict[str, Any]]:
    """That many points, spread over the whole space of 10,000."""
    axes = dict(width=WIDTHS, resolution=RESOLUTIONS, depth=DEPTHS, expansion=EXPANSIONS, kernel=KERNELS)
    whole = [dict(zip(axes, each)) for each in itertools.product(*axes.values())]
    return [whole[index * len(whole) // many] for index in range(min(many, len(whole)))]
