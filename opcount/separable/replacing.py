"""A copy of a model in which every convolution that can be is a depthwise and a pointwise one."""

from __future__ import annotations

import copy
import inspect
import reprlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from opcount.errors import InputError, OpCountError
from opcount.separable.eligible import why_kept
from opcount.trace.run import too_deep


class SeparableConv2d(nn.Sequential):
    """A convolution in two steps: filters for each input channel alone, then a 1x1 mix of the channels.

    Takes (N, C_in, H, W) or (C_in, H, W) to what ``nn.Conv2d`` with the same arguments takes it to.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as of
            ``nn.Conv2d``. Padding and stride are the first step's; groups are also the second step's, so that a group
            of outputs still sees only its group of inputs. With ``bias`` both steps have one.
        multiplier: how many filters each input channel has in the first step.
        device, dtype: of the weights.

    >>> layer = SeparableConv2d(8, 16, 3, padding=1)
    >>> layer.depthwise.groups, layer.pointwise.kernel_size
    (8, (1, 1))
    """

    depthwise: nn.Conv2d
    pointwise: nn.Conv2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Any = "zeros",
        *,
        multiplier: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        width = in_channels * multiplier
        place = {"bias": bias, "device": device, "dtype": dtype}
        depthwise = nn.Conv2d(
            *(in_channels, width, kernel_size, stride, padding, dilation, in_channels),
            padding_mode=padding_mode,
            **place,
        )
        pointwise = nn.Conv2d(width, out_channels, 1, groups=groups, **place)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=pointwise))
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = depthwise.kernel_size, depthwise.stride, depthwise.dilation
        self.padding, self.padding_mode = depthwise.padding, padding_mode


@dataclass(frozen=True)
class Separated:
    """A model whose convolutions were made separable.

    Attributes:
        model: the copy.
        replaced: the paths of the convolutions that are separable now.
        kept: the paths of those that stayed, each with the reason.
    """

    model: nn.Module
    replaced: tuple[str, ...]
    kept: Mapping[str, str] = field(default_factory=dict)


def separate(model: nn.Module, multiplier: int = 1) -> Separated:
    """A copy of a model with a :class:`SeparableConv2d` of the same output shape for every eligible ``nn.Conv2d``.

    Grouped convolutions and any stride, padding, dilation, padding mode, bias, dtype and device are followed. What is
    1x1 or depthwise already stays, and so does a subclass with a forward of its own. New weights are initialised as
    PyTorch initialises them; training mode and ``requires_grad`` are taken over. The model itself is not touched.

    Args:
        model: any module.
        multiplier: filters for each input channel in the depthwise step.

    Raises:
        InputError: ``model`` is not a module, or the multiplier is not 1 or more.
        OpCountError: the model cannot be copied.

    >>> separated = separate(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)))
    >>> separated.replaced, separated.kept
    (('0',), {'1': '1x1 already'})
    >>> separated.model[0]
    SeparableConv2d(
      (depthwise): Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), groups=3)
      (pointwise): Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
    )
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"separate() takes an nn.Module, not {type(model).__name__} {reprlib.repr(model)}")
    if not isinstance(multiplier, int) or multiplier < 1:
        raise InputError(f"a channel multiplier is a whole number of 1 or more, not {multiplier!r}")
    try:
        root = copy.deepcopy(model)
    except RecursionError as error:
        raise too_deep(model) from error
    except Exception as error:
        raise OpCountError(f"{type(model).__name__} cannot be copied: {type(error).__name__}: {error}") from error
    made: dict[nn.Module, nn.Module] = {}
    kept: dict[str, str] = {}
    replaced: list[str] = []
    for path, layer in list(root.named_modules()):
        if isinstance(layer, nn.Conv2d):
            reason = _why_kept(layer)
            if reason is None:
                made[layer] = _separable(layer, multiplier)
                replaced.append(path)
            else:
                kept[path] = reason
    for parent in list(root.modules()):
        for name, child in parent._modules.items():
            if child in made:
                parent._modules[name] = made[child]
    return Separated(made.get(root, root), tuple(replaced), kept)


def _why_kept(layer: nn.Conv2d) -> str | None:
    if is_lazy(layer.weight):
        return "not initialised yet: call the model once"
    if parametrize.is_parametrized(layer) or "weight" not in layer._parameters:
        return "its weight is computed from other parameters"
    kind = type(layer)
    if "forward" in vars(layer) or kind.forward is not nn.Conv2d.forward or _own_helper(layer):
        return f"{kind.__name__} has a forward of its own"
    return why_kept(layer.in_channels, layer.out_channels, layer.groups, layer.kernel_size)


def _own_helper(layer: nn.Conv2d) -> bool:
    plain = inspect.getattr_static(nn.Conv2d, "_conv_forward")
    return inspect.getattr_static(layer, "_conv_forward") is not plain


def _separable(layer: nn.Conv2d, multiplier: int) -> SeparableConv2d:
    new = SeparableConv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        layer.dilation,  # type: ignore[arg-type]
        layer.groups,
        layer.bias is not None,
        layer.padding_mode,
        multiplier=multiplier,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )
    return new.train(layer.training).requires_grad_(layer.weight.requires_grad)
