"""Pooling over fixed and adaptive windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.ops import Call, Term
from opcount.rules.reading import given
from opcount.rules.registry import free, rule
from opcount.rules.shapes import axes_of, per_axis, planes_of, spatial


def _between(subject: Any, call: Call) -> dict[str, Any]:
    """Planes, and their size before and after."""
    axes = axes_of(subject)
    return {"planes": planes_of(call.out, axes), "input": spatial(call.input, axes), "output": spatial(call.out, axes)}


def _windows(subject: Any, call: Call, *options: str) -> dict[str, Any]:
    """The numbers that pooling over fixed windows has beside; windows touch where no stride is given."""
    asked, axes = given(subject, call), axes_of(subject)
    kernel = per_axis(asked.kernel_size, axes)
    stride = per_axis(asked.stride, axes) if asked.stride else kernel
    more = {option: per_axis(getattr(asked, option), axes) for option in options}
    return {**_between(subject, call), "kernel": kernel, "stride": stride, **more}


@rule(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
@rule("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d")
def average_pool(subject: Any, call: Call) -> Iterator[Term]:
    """The sum of each window's real elements and one division, whatever it is divided by."""
    yield Term("average_pool", **_windows(subject, call, "padding"))


@rule(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
@rule("aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d", "aten.mkldnn_max_pool2d", "aten.mkldnn_max_pool3d")
@rule("aten.max_pool1d_with_indices", "aten.max_pool2d_with_indices", "aten.max_pool3d_with_indices")
def max_pool(subject: Any, call: Call) -> Iterator[Term]:
    """Each window's real elements compared; indices come with it."""
    yield Term("max_pool", **_windows(subject, call, "padding", "dilation"))


@rule(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
@rule("aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d")
@rule("aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d", "aten.mkldnn_adaptive_avg_pool2d")
def adaptive_average_pool(subject: Any, call: Call) -> Iterator[Term]:
    """The sum of each true window and one division."""
    yield Term("adaptive_average_pool", **_between(subject, call))


@rule(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
@rule("aten.adaptive_max_pool1d", "aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")
def adaptive_max_pool(subject: Any, call: Call) -> Iterator[Term]:
    """The elements of each true window compared."""
    yield Term("adaptive_max_pool", **_between(subject, call))


@rule(nn.LPPool1d, nn.LPPool2d, nn.LPPool3d, F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)
def power_average_pool(subject: Any, call: Call) -> Iterator[Term]:
    """x^p once for each input element, each window's sum, one root."""
    yield Term("power_average_pool", **_windows(subject, call), norm=given(subject, call).norm_type)


@rule(nn.FractionalMaxPool2d, nn.FractionalMaxPool3d, "aten.fractional_max_pool2d", "aten.fractional_max_pool3d")
def fractional_max_pool(subject: Any, call: Call) -> Iterator[Term]:
    """Whole windows compared, wherever they start."""
    axes = axes_of(subject)
    kernel = per_axis(given(subject, call).kernel_size, axes)
    yield Term("fractional_max_pool", planes=planes_of(call.out, axes), kernel=kernel, output=spatial(call.out, axes))


free(nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d, "aten.max_unpool2d", "aten.max_unpool3d")


@rule(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, phase="backward")
def average_pool_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each output's gradient divided and added to its window."""
    yield Term("average_pool_gradient", **_windows(layer, call, "padding"))


@rule(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, phase="backward")
def max_pool_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each output's gradient put where its maximum came from."""
    yield Term("max_pool_gradient", **_windows(layer, call, "padding", "dilation"))


@rule(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, phase="backward")
def adaptive_average_pool_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each output's gradient divided and added to its true window."""
    yield Term("adaptive_average_pool_gradient", **_between(layer, call))


@rule(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, phase="backward")
def adaptive_max_pool_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each output's gradient put where its maximum came from."""
    yield Term("adaptive_max_pool_gradient", **_between(layer, call))


def _back(operator: Any, call: Call) -> Call:
    """A backward operator's call as that of the pooling it belongs to."""
    asked = given(operator, call)
    return Call((asked.input,), {}, asked.grad_output)


@rule("aten.avg_pool2d_backward", "aten.avg_pool3d_backward")
def average_pool_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("average_pool_gradient", **_windows_back(operator, call, "padding"))


@rule("aten.max_pool2d_with_indices_backward", "aten.max_pool3d_with_indices_backward")
def max_pool_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("max_pool_gradient", **_windows_back(operator, call, "padding", "dilation"))


def _windows_back(operator: Any, call: Call, *options: str) -> dict[str, Any]:
    asked, axes = given(operator, call), axes_of(operator)
    kernel = per_axis(asked.kernel_size, axes)
    stride = per_axis(asked.stride, axes) if asked.stride else kernel
    more = {option: per_axis(getattr(asked, option), axes) for option in options}
    return {**_between(operator, _back(operator, call)), "kernel": kernel, "stride": stride, **more}


@rule("aten._adaptive_avg_pool2d_backward", "aten._adaptive_avg_pool3d_backward")
def adaptive_average_pool_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("adaptive_average_pool_gradient", **_between(operator, _back(operator, call)))


@rule("aten.adaptive_max_pool2d_backward", "aten.adaptive_max_pool3d_backward")
def adaptive_max_pool_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("adaptive_max_pool_gradient", **_between(operator, _back(operator, call)))


@rule("aten.fractional_max_pool2d_backward", "aten.fractional_max_pool3d_backward")
def fractional_max_pool_backward(operator: Any, call: Call) -> Iterator[Term]:
    """Windows may overlap, wherever they start: one addition an output."""
    yield Term("addition", count=given(operator, call).grad_output.elements)
