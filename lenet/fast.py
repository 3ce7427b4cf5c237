"""The same networks, arranged for how fast one core of a CPU trains them.

PyTorch's convolutions are made for many channels; LeNet-5 has one, six and sixteen, and spends most of its time where
that is slow: in the gradients of convolutions, in pooling, in tanh. Here images are the innermost dimension, a
convolution is one product of matrices for each group, and it gives the four pixels of each pooling window apart, so
that pooling is a mean over four contiguous blocks.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F

Model = TypeVar("Model", bound=nn.Module)
WINDOW = 2
"""The side of a pooling window."""


def arrange(model: Model) -> Model:
    """The model itself with another way through its layers: weights, names and, but for rounding, results stay.

    Args:
        model: of :mod:`lenet.models`, folded or not, on the CPU; it is not what operations are counted on.

    >>> from lenet.models import build
    >>> model, images = build("depthwise"), torch.rand(2, 1, 28, 28)
    >>> expected = model(images)
    >>> torch.allclose(arrange(model)(images), expected, atol=1e-6)
    True
    """
    model.forward = MethodType(_forward, model)
    return model


def use_one_core() -> None:
    """Let this process compute with one thread, and its C library keep what is freed.

    Sums in another order would be other sums, and the same memory is wanted again a step later: fresh pages cost a
    fault each. Only GNU's library can be told to keep it.
    """
    torch.set_num_threads(1)
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 1 << 25)
        mallopt(trim_threshold, 1 << 30)


def _forward(model: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, 10) for images (N, 1, 28, 28)."""
    maps = images.permute(1, 2, 3, 0).contiguous()
    for layer in _steps(model):
        maps = _through(layer, maps)
    return maps.t()


def _steps(layer: nn.Module) -> Iterator[nn.Module]:
    """The layers in their order, those within others too."""
    for inner in layer.children():
        yield from _steps(inner) if isinstance(inner, nn.Sequential) else (inner,)


def _through(layer: nn.Module, maps: Tensor) -> Tensor:
    """What a layer makes of maps (C, H, W, N), of (C, 4, H/2, W/2, N) before pooling, or of (C, N) after flattening."""
    if isinstance(layer, nn.Conv2d):
        return _convolve(layer, maps)
    if isinstance(layer, nn.Linear):
        return torch.addmm(layer.bias.unsqueeze(1), layer.weight, maps)
    if isinstance(layer, nn.AvgPool2d):
        return maps.mean(1)
    if isinstance(layer, nn.MaxPool2d):
        return maps.max(1).values
    if isinstance(layer, nn.BatchNorm2d):
        normed: Tensor = layer(maps.view(1, len(maps), 1, -1))
        return normed.view_as(maps)
    if isinstance(layer, nn.BatchNorm1d):
        normed = layer(maps.unsqueeze(0))
        return normed.squeeze(0)
    if isinstance(layer, nn.Tanh):
        tanh: Tensor = _Tanh.apply(maps)
        return tanh
    result: Tensor = maps.flatten(0, 2) if isinstance(layer, nn.Flatten) else layer(maps)
    return result


def _convolve(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """A convolution of one pixel, of the whole image, or of one before pooling."""
    weight, groups, side = layer.weight, layer.groups, layer.kernel_size[0]
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
    if side == 1:
        return _product(weight.view(1, len(weight), -1), bias, maps.flatten(1)).view(-1, *maps.shape[1:])
    if side == maps.shape[1] and not layer.padding[0]:
        pixels = maps.reshape(groups, -1, maps.shape[-1])
        return _product(weight.view(groups, -1, pixels.shape[1]), bias, pixels).view(-1, 1, 1, maps.shape[-1])
    pad = int(layer.padding[0])
    windows = _Windows.apply(F.pad(maps, (0, 0, pad, pad, pad, pad)), side + 1)
    filters = weight.flatten(2) @ _places(side).to(weight)
    filters = filters.view(len(weight), -1, WINDOW**2, (side + 1) ** 2).transpose(1, 2)
    pixels = windows.view(groups, -1, windows[0, 0, 0].numel())
    biases = bias.unsqueeze(1).expand(-1, WINDOW**2)
    product = _product(filters.reshape(groups, -1, pixels.shape[1]), biases, pixels)
    return product.view(-1, WINDOW**2, *windows.shape[3:])


def _product(weight: Tensor, bias: Tensor, maps: Tensor) -> Tensor:
    """(G, M, N) from weights (G, M, K), biases for the G·M rows, and maps (G, K, N) or, for one group, (K, N)."""
    if len(weight) == 1:
        return torch.addmm(bias.reshape(-1, 1), weight.squeeze(0), maps.view(-1, maps.shape[-1]))
    return torch.baddbmm(bias.reshape(len(weight), -1, 1), weight, maps)


@functools.cache
def _places(side: int) -> Tensor:
    """What puts a filter (side²) at the four places it has in a window larger by one: (side², 4·(side + 1)²)."""
    filters = torch.eye(side**2).view(-1, side, side)
    return torch.stack([F.pad(filters, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)], 1).flatten(1)


class _Windows(Function):
    """The windows (C, S, S, H', W', N) of side S in maps (C, H, W, N), two pixels apart; S, H and W are even."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, side: int) -> Tensor:
        ctx.shape = channels, height, width, count = maps.shape
        shape = (channels, side, side, (height - side) // WINDOW + 1, (width - side) // WINDOW + 1, count)
        over, down, right, along = maps.stride()
        return maps.as_strided(shape, (over, down, right, WINDOW * down, WINDOW * right, along)).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        channels, height, width, count = ctx.shape
        half, high, wide = gradient.shape[1] // WINDOW, *gradient.shape[3:5]
        maps = gradient.new_zeros(channels, height // WINDOW, WINDOW, width // WINDOW, WINDOW, count)
        parts = gradient.view(channels, half, WINDOW, half, WINDOW, high, wide, count)
        parts = parts.permute(1, 3, 0, 5, 2, 6, 4, 7)
        for down in range(half):  # as_strided's own gradient adds value by value
            for right in range(half):
                maps[:, down : down + high, :, right : right + wide] += parts[down, right]
        return maps.view(ctx.shape), None


class _Tanh(Function):
    """tanh(x) = 2σ(2x) − 1, for which PyTorch takes less than half the time."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        result = values.mul(2).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, result)  # type: ignore[no-any-return]
