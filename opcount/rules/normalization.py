"""Normalization layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.registry import rule
from opcount.rules.shapes import batch_of, entry_of, per_row

_INSTANCE_AXES: dict[type[nn.Module], int] = {
    nn.InstanceNorm1d: 1,
    nn.InstanceNorm2d: 2,
    nn.InstanceNorm3d: 3,
    nn.LazyInstanceNorm1d: 1,
    nn.LazyInstanceNorm2d: 2,
    nn.LazyInstanceNorm3d: 3,
}


@rule(
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.LazyBatchNorm1d, nn.LazyBatchNorm2d, nn.LazyBatchNorm3d),
)
def batch_norm(layer: Any, call: Call) -> Iterator[Term]:
    """With running statistics one multiplication and one addition an element; else each channel is normalized."""
    if not call.training and _has_statistics(layer):
        yield Term("fixed_normalization", count=call.input.elements)
        return
    channels = call.input.shape[1]
    yield Term("normalization", **per_row(call.input, channels))
    yield from _affine(layer, call)
    if _updates_statistics(layer, call):
        yield Term("running_update", role="running statistics", channels=channels)


@rule(*_INSTANCE_AXES)
def instance_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Each channel of each sample normalized; in eval with running statistics as a batch norm."""
    if not call.training and layer.track_running_stats and _has_statistics(layer):
        yield Term("fixed_normalization", count=call.input.elements)
        return
    axes = entry_of(layer, _INSTANCE_AXES)
    batch, channels = batch_of(call.input, axes), call.input.shape[-axes - 1]
    yield Term("normalization", **per_row(call.input, product((batch, channels))))
    yield from _affine(layer, call)
    if _updates_statistics(layer, call):
        # What moves the running statistics is the samples' mean, and the samples' variance, averaged over the batch.
        yield Term("means", role="running statistics", rows=channels, length=batch)
        yield Term("sums", role="running statistics", rows=channels, length=batch)
        yield Term("running_update", role="running statistics", channels=channels)


@rule(nn.LayerNorm)
def layer_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Each row over the layer's last dimensions normalized, then weight and bias as far as it has them."""
    rows = product(call.input.shape[: len(call.input.shape) - len(layer.normalized_shape)])
    yield Term("normalization", rows=rows, length=product(layer.normalized_shape))
    yield from _affine(layer, call)


@rule(nn.GroupNorm)
def group_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Each group of channels of each sample normalized, then weight and bias as far as it has them."""
    groups = product((call.input.shape[0], layer.num_groups))
    yield Term("normalization", **per_row(call.input, groups))
    yield from _affine(layer, call)


@rule(nn.RMSNorm)
def rms_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Each row over the layer's last dimensions divided by its root mean square, then the weight if it has one."""
    rows = product(call.input.shape[: len(call.input.shape) - len(layer.normalized_shape)])
    yield Term("root_mean_square_normalization", rows=rows, length=product(layer.normalized_shape))
    if layer.weight is not None:
        yield Term("multiplication", role="weight", count=call.output.elements)


@rule(nn.LocalResponseNorm)
def local_response_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Squares once an element, summed over the neighbouring channels that exist."""
    yield from _across_channels(call, layer.size)


@rule(nn.CrossMapLRN2d)
def cross_map_response_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Local response normalization over a window that is the same on both sides: an even size is one less."""
    reach = (layer.size - 1) // 2
    yield from _across_channels(call, 2 * reach + 1)


def _across_channels(call: Call, size: int) -> Iterator[Term]:
    batch, channels, *positions = call.input.shape
    yield Term("local_response_normalization", rows=product((batch, *positions)), channels=channels, size=size)


def _affine(layer: Any, call: Call) -> Iterator[Term]:
    if layer.weight is not None:
        yield Term("multiplication", role="weight", count=call.input.elements)
    if layer.bias is not None:
        yield Term("addition", role="shift", count=call.input.elements)


def _has_statistics(layer: Any) -> bool:
    return layer.running_mean is not None and layer.running_var is not None


def _updates_statistics(layer: Any, call: Call) -> bool:
    return bool(call.training and layer.track_running_stats and _has_statistics(layer) and call.input.elements)
