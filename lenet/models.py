"""LeNet-5 and its depthwise separable twin, for 28x28 images of one channel and ten classes."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lenet.errors import StudyError

CLASSES = 10
KINDS = ("regular", "depthwise")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU}
POOLINGS: dict[str, Callable[[int], nn.Module]] = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}


class DepthwiseSeparable(nn.Sequential):
    """A convolution in two steps: one filter for each input channel, then a 1x1 mix of the channels.

    Args:
        in_channels, out_channels: channels before and after.
        kernel_size: side of the square filter of the depthwise step, in pixels.
        padding: zeros added to each side before it.
        batch_norm: normalise between the two steps.

    >>> DepthwiseSeparable(6, 16, 5).depthwise.groups
    6
    """

    depthwise: nn.Conv2d
    pointwise: nn.Conv2d

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, batch_norm: bool = False
    ) -> None:
        depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, padding=padding, groups=in_channels)
        steps: OrderedDict[str, nn.Module] = OrderedDict(depthwise=depthwise)
        if batch_norm:
            steps["norm"] = nn.BatchNorm2d(in_channels)
        steps["pointwise"] = nn.Conv2d(in_channels, out_channels, 1)
        super().__init__(steps)


class _LeNet(nn.Sequential):
    """LeNet-5's layers, around three convolutions of the given kind."""

    example_input_size = (1, 1, 28, 28)

    def __init__(
        self, convolution: Callable[..., nn.Module], width: float, activation: str, pooling: str, batch_norm: bool
    ) -> None:
        _known(activation, ACTIVATIONS, "activation")
        _known(pooling, POOLINGS, "pooling")
        first, second, third, hidden = (scaled(channels, width) for channels in (6, 16, 120, 84))
        layers: OrderedDict[str, nn.Module] = OrderedDict()

        def activated(name: str, number: int, layer: nn.Module, norm: nn.Module) -> None:
            layers[name] = layer
            if batch_norm and not _normed_already(layer):
                layers[f"norm{number}"] = norm
            layers[f"{activation}{number}"] = ACTIVATIONS[activation]()

        activated("conv1", 1, convolution(1, first, 5, padding=2), nn.BatchNorm2d(first))
        layers["pool1"] = POOLINGS[pooling](2)
        activated("conv2", 2, convolution(first, second, 5), nn.BatchNorm2d(second))
        layers["pool2"] = POOLINGS[pooling](2)
        activated("conv3", 3, convolution(second, third, 5), nn.BatchNorm2d(third))
        layers["flatten"] = nn.Flatten()
        activated("fc1", 4, nn.Linear(third, hidden), nn.BatchNorm1d(hidden))
        layers["fc2"] = nn.Linear(hidden, CLASSES)
        super().__init__(layers)


def _normed_already(layer: nn.Module) -> bool:
    """Whether a norm behind a layer could add nothing: all its channels are multiples of the one normed within."""
    return isinstance(layer, DepthwiseSeparable) and layer.depthwise.in_channels == 1


class Regular(_LeNet):
    """LeNet-5: images (N, 1, 28, 28) to logits (N, 10).

    Args:
        width: what every hidden layer's channels are multiplied by (6, 16, 120 and 84 at 1).
        activation: ``tanh``, ``relu`` or ``silu``.
        pooling: ``average`` or ``max``.
        batch_norm: normalise after each hidden layer; see :func:`fold`.

    Raises:
        StudyError: an activation or pooling of another name, or a width that is not above 0.

    >>> from opcount import Convention, profile
    >>> profile(Regular(), convention=Convention(bias=False)).only("conv").total
    804776
    """

    def __init__(
        self, width: float = 1.0, activation: str = "tanh", pooling: str = "average", batch_norm: bool = False
    ) -> None:
        super().__init__(nn.Conv2d, width, activation, pooling, batch_norm)


class Depthwise(_LeNet):
    """LeNet-5 with every convolution a depthwise then a pointwise one: (N, 1, 28, 28) to (N, 10).

    Args:
        width, activation, pooling, batch_norm: as of :class:`Regular`; batch norm stands behind both steps of a
            convolution, but behind the first alone where that has one channel.

    Raises:
        StudyError: as :class:`Regular` does.

    >>> from opcount import Convention, profile
    >>> profile(Depthwise(), convention=Convention(bias=False)).only("conv").total
    94624
    """

    def __init__(
        self, width: float = 1.0, activation: str = "tanh", pooling: str = "average", batch_norm: bool = False
    ) -> None:
        def separable(in_channels: int, out_channels: int, kernel_size: int, padding: int = 0) -> nn.Module:
            return DepthwiseSeparable(in_channels, out_channels, kernel_size, padding, batch_norm)

        super().__init__(separable, width, activation, pooling, batch_norm)


def build(
    kind: str,
    *,
    width: float = 1.0,
    activation: str = "tanh",
    pooling: str = "average",
    batch_norm: bool = False,
) -> Regular | Depthwise:
    """The network of the given kind.

    Args:
        kind: ``regular`` or ``depthwise``.
        width, activation, pooling, batch_norm: as of :class:`Regular`.

    Raises:
        StudyError: there is no such kind, activation or pooling, or the width is not above 0.

    >>> build("depthwise", width=0.5).conv2.pointwise
    Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
    """
    _known(kind, KINDS, "model")
    model = Regular if kind == "regular" else Depthwise
    return model(width, activation, pooling, batch_norm)


def scaled(channels: int, width: float) -> int:
    """Channels at a width multiplier: rounded, at least 1.

    Raises:
        StudyError: the width is not a finite number above 0.

    >>> [scaled(channels, 0.25) for channels in (6, 16, 120)]
    [2, 4, 30]
    """
    if not 0 < width < float("inf"):
        raise StudyError(f"a width multiplier is a number above 0, such as 0.5, not {width}")
    return max(1, round(channels * width))


def fold(model: nn.Module) -> nn.Module:
    """A copy in eval mode with every batch norm folded into the layer before it: the same outputs, no batch norm.

    Args:
        model: convolutions, linear layers and batch norms in (nested) ``nn.Sequential``; it is not touched.

    Raises:
        StudyError: a batch norm does not follow a convolution or linear layer.

    >>> [type(layer).__name__ for layer in fold(Regular(batch_norm=True))][:3]
    ['Conv2d', 'Tanh', 'AvgPool2d']
    """
    folded = copy.deepcopy(model).eval()
    before: tuple[nn.Module, str, nn.Module] | None = None
    for parent, name, layer in list(_leaves(folded)):
        if not isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            before = (parent, name, layer)
            continue
        owner, place, fused = _fused(before, name, layer)
        owner._modules[place] = fused
        del parent._modules[name]
        before = (owner, place, fused)
    return folded


def _leaves(parent: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """The layers in the order in which they run, each with its parent and its name there."""
    for name, child in parent.named_children():
        if isinstance(child, nn.Sequential):
            yield from _leaves(child)
        else:
            yield parent, name, child


def _fused(
    before: tuple[nn.Module, str, nn.Module] | None, name: str, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> tuple[nn.Module, str, nn.Module]:
    """The layer before a batch norm with the norm in its weights, and where it stands."""
    if before is not None:
        parent, place, layer = before
        if isinstance(layer, nn.Conv2d):
            return parent, place, fuse_conv_bn_eval(layer, norm)
        if isinstance(layer, nn.Linear):
            return parent, place, fuse_linear_bn_eval(layer, norm)
    raise StudyError(f"{name} follows no convolution and no linear layer that it could be folded into")


def _known(name: str, names: Iterable[str], what: str) -> None:
    """Refuse a name that is not among those."""
    if name not in names:
        raise StudyError(f"there is no {what} {name!r}; there are {', '.join(names)}")
