"""Pooling over fixed and adaptive windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.ops import Call, Term
from opcount.rules.registry import free, rule
from opcount.rules.shapes import entry_of, per_axis, planes_of, spatial

_AXES: dict[type[nn.Module], int] = {
    kind: axes
    for axes, kinds in enumerate(
        (
            (nn.AvgPool1d, nn.MaxPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, nn.LPPool1d),
            (
                nn.AvgPool2d,
                nn.MaxPool2d,
                nn.AdaptiveAvgPool2d,
                nn.AdaptiveMaxPool2d,
                nn.LPPool2d,
                nn.FractionalMaxPool2d,
            ),
            (
                nn.AvgPool3d,
                nn.MaxPool3d,
                nn.AdaptiveAvgPool3d,
                nn.AdaptiveMaxPool3d,
                nn.LPPool3d,
                nn.FractionalMaxPool3d,
            ),
        ),
        start=1,
    )
    for kind in kinds
}


def _between(layer: Any, call: Call) -> dict[str, Any]:
    """Planes, and their size before and after."""
    axes = entry_of(layer, _AXES)
    return {
        "planes": planes_of(call.out, axes),
        "input": spatial(call.input, axes),
        "output": spatial(call.out, axes),
    }


def _windows(layer: Any, call: Call) -> dict[str, Any]:
    """The numbers that pooling over fixed windows has beside; windows touch where the layer gives no stride."""
    axes = entry_of(layer, _AXES)
    kernel = per_axis(layer.kernel_size, axes)
    stride = kernel if layer.stride is None else per_axis(layer.stride, axes)
    return {**_between(layer, call), "kernel": kernel, "stride": stride}


@rule(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
def average_pool(layer: Any, call: Call) -> Iterator[Term]:
    """The sum of each window's real elements and one division, whatever it is divided by."""
    yield Term("average_pool", **_windows(layer, call), padding=per_axis(layer.padding, entry_of(layer, _AXES)))


@rule(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
def max_pool(layer: Any, call: Call) -> Iterator[Term]:
    """Each window's real elements compared; indices come with it."""
    axes = entry_of(layer, _AXES)
    padding, dilation = per_axis(layer.padding, axes), per_axis(layer.dilation, axes)
    yield Term("max_pool", **_windows(layer, call), padding=padding, dilation=dilation)


@rule(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
def adaptive_average_pool(layer: Any, call: Call) -> Iterator[Term]:
    """The sum of each true window and one division."""
    yield Term("adaptive_average_pool", **_between(layer, call))


@rule(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
def adaptive_max_pool(layer: Any, call: Call) -> Iterator[Term]:
    """The elements of each true window compared."""
    yield Term("adaptive_max_pool", **_between(layer, call))


@rule(nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
def power_average_pool(layer: Any, call: Call) -> Iterator[Term]:
    """x^p once for each input element, each window's sum, one root."""
    yield Term("power_average_pool", **_windows(layer, call), norm=layer.norm_type)


@rule(nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
def fractional_max_pool(layer: Any, call: Call) -> Iterator[Term]:
    """Whole windows compared, wherever they start."""
    axes = entry_of(layer, _AXES)
    kernel = per_axis(layer.kernel_size, axes)
    yield Term("fractional_max_pool", planes=planes_of(call.out, axes), kernel=kernel, output=spatial(call.out, axes))


free(nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d)
