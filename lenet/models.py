"""LeNet-5 and its depthwise separable twin, for 28x28 images of one channel and ten classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

CLASSES = 10


class DepthwiseSeparable(nn.Sequential):
    """A convolution in two steps: one filter for each input channel, then a 1x1 mix of the channels.

    Args:
        in_channels, out_channels: channels before and after.
        kernel_size: side of the square filter of the depthwise step, in pixels.
        padding: zeros added to each side before it.

    >>> DepthwiseSeparable(6, 16, 5).depthwise.groups
    6
    """

    depthwise: nn.Conv2d
    pointwise: nn.Conv2d

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0) -> None:
        super().__init__(
            OrderedDict(
                depthwise=nn.Conv2d(in_channels, in_channels, kernel_size, padding=padding, groups=in_channels),
                pointwise=nn.Conv2d(in_channels, out_channels, 1),
            )
        )


class _LeNet(nn.Sequential):
    """LeNet-5's layers, around three convolutions of the given kind."""

    example_input_size = (1, 1, 28, 28)

    def __init__(self, convolution: Callable[..., nn.Module]) -> None:
        super().__init__(
            OrderedDict(
                conv1=convolution(1, 6, 5, padding=2),
                tanh1=nn.Tanh(),
                pool1=nn.AvgPool2d(2),
                conv2=convolution(6, 16, 5),
                tanh2=nn.Tanh(),
                pool2=nn.AvgPool2d(2),
                conv3=convolution(16, 120, 5),
                tanh3=nn.Tanh(),
                flatten=nn.Flatten(),
                fc1=nn.Linear(120, 84),
                tanh4=nn.Tanh(),
                fc2=nn.Linear(84, CLASSES),
            )
        )


class Regular(_LeNet):
    """LeNet-5: images (N, 1, 28, 28) to logits (N, 10).

    >>> from opcount import Convention, profile
    >>> profile(Regular(), convention=Convention(bias=False)).only("conv").total
    804776
    """

    def __init__(self) -> None:
        super().__init__(nn.Conv2d)


class Depthwise(_LeNet):
    """LeNet-5 with every convolution a depthwise then a pointwise one: (N, 1, 28, 28) to (N, 10).

    >>> from opcount import Convention, profile
    >>> profile(Depthwise(), convention=Convention(bias=False)).only("conv").total
    94624
    """

    def __init__(self) -> None:
        super().__init__(DepthwiseSeparable)
