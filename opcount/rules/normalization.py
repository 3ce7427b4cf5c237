"""Normalization: by rows of a tensor, by running statistics, by neighbouring channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch._ops import OpOverload

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term, Tree
from opcount.rules.reading import Given, given
from opcount.rules.registry import rule
from opcount.rules.shapes import axes_of, batch_of, per_row


@rule(
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.LazyBatchNorm1d, nn.LazyBatchNorm2d, nn.LazyBatchNorm3d),
    "aten.native_batch_norm",
    "aten._native_batch_norm_legit",
    "aten._native_batch_norm_legit_functional",
    "aten._native_batch_norm_legit_no_training",
    "aten._batch_norm_with_update",
    "aten._batch_norm_with_update_functional",
    "aten._batch_norm_no_update",
    "aten.cudnn_batch_norm",
    "aten.miopen_batch_norm",
)
def batch_norm(subject: Any, call: Call) -> Iterator[Term]:
    """With running statistics one multiplication and one addition an element; else each channel is normalized."""
    asked = given(subject, call)
    tracked = asked.get("running_mean") is not None and asked.get("track_running_stats", True)
    if not _uses_its_own(subject, asked):
        yield Term("fixed_normalization", count=asked.input.elements)
        return
    channels = asked.input.shape[1]
    yield Term("normalization", **per_row(asked.input, channels))
    yield from affine_terms(asked.weight, asked.bias, asked.input.elements)
    if asked.get("training", True) and tracked and asked.input.elements:
        yield Term("running_update", role="running statistics", channels=channels)


def _uses_its_own(subject: Any, asked: Given) -> bool:
    """Whether a batch norm works out the batch's statistics; of some operators only the name says so."""
    if isinstance(subject, OpOverload):
        return bool(asked.get("training", "no" not in subject._schema.name.split("_")))
    return bool(asked.training or not _has_statistics(asked))


@rule(
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.LazyInstanceNorm1d, nn.LazyInstanceNorm2d, nn.LazyInstanceNorm3d),
)
def instance_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Each channel of each sample normalized; in eval with running statistics as a batch norm."""
    axes = axes_of(layer)
    batch, channels = batch_of(call.input, axes), call.input.shape[-axes - 1]
    tracked = layer.track_running_stats and _has_statistics(layer)
    yield from _instances(given(layer, call), batch, channels, call.training or not tracked, tracked)


@rule(F.instance_norm, torch.instance_norm)
def functional_instance_norm(function: Any, call: Call) -> Iterator[Term]:
    """The same, told whether the input's own statistics are used."""
    asked = given(function, call)
    batch, channels = asked.input.shape[:2]
    yield from _instances(asked, batch, channels, asked.use_input_stats, _has_statistics(asked))


def _instances(asked: Given, batch: int, channels: int, own: bool, tracked: bool) -> Iterator[Term]:
    """Instance norm with the input's own statistics, or with the running ones."""
    if not own:
        yield Term("fixed_normalization", count=asked.input.elements)
        return
    yield Term("normalization", **per_row(asked.input, product((batch, channels))))
    yield from affine_terms(asked.weight, asked.bias, asked.input.elements)
    if tracked and asked.input.elements:
        # What moves the running statistics is the samples' mean, and the samples' variance, averaged over the batch.
        yield Term("means", role="running statistics", rows=channels, length=batch)
        yield Term("sums", role="running statistics", rows=channels, length=batch)
        yield Term("running_update", role="running statistics", channels=channels)


@rule(nn.LayerNorm, "aten.native_layer_norm")
def layer_norm(subject: Any, call: Call) -> Iterator[Term]:
    """Each row over the last dimensions normalized, then weight and bias as far as there are."""
    asked = given(subject, call)
    yield Term("normalization", **_rows(asked))
    yield from affine_terms(asked.weight, asked.bias, asked.input.elements)


@rule(nn.RMSNorm, F.rms_norm, torch.rms_norm, "aten._fused_rms_norm")
def rms_norm(subject: Any, call: Call) -> Iterator[Term]:
    """Each row over the last dimensions divided by its root mean square, then the weight if there is one."""
    asked = given(subject, call)
    yield Term("root_mean_square_normalization", **_rows(asked))
    yield from affine_terms(asked.weight, None, asked.input.elements)


@rule(nn.GroupNorm, "aten.native_group_norm")
def group_norm(subject: Any, call: Call) -> Iterator[Term]:
    """Each group of channels of each sample normalized, then weight and bias as far as there are."""
    asked = given(subject, call)
    groups = asked.get("num_groups", asked.get("group"))
    yield Term("normalization", **per_row(asked.input, product((asked.input.shape[0], groups))))
    yield from affine_terms(asked.weight, asked.bias, asked.input.elements)


@rule(nn.LocalResponseNorm, F.local_response_norm)
def local_response_norm(subject: Any, call: Call) -> Iterator[Term]:
    """Squares once an element, summed over the neighbouring channels that exist."""
    yield from _across_channels(call, given(subject, call).size)


@rule(nn.CrossMapLRN2d)
def cross_map_response_norm(layer: Any, call: Call) -> Iterator[Term]:
    """Local response normalization over a window that is the same on both sides: an even size is one less."""
    reach = (layer.size - 1) // 2
    yield from _across_channels(call, 2 * reach + 1)


def affine_terms(weight: Tree, bias: Tree, elements: int) -> Iterator[Term]:
    """What follows a normalization: one multiplication and one addition an element, each only if there is one."""
    if weight is not None:
        yield Term("multiplication", role="weight", count=elements)
    if bias is not None:
        yield Term("addition", role="shift", count=elements)


def _across_channels(call: Call, size: int) -> Iterator[Term]:
    batch, channels, *positions = call.input.shape
    yield Term("local_response_normalization", rows=product((batch, *positions)), channels=channels, size=size)


def _rows(asked: Given) -> dict[str, Any]:
    """The rows over the normalized dimensions."""
    sizes = asked.normalized_shape
    rows = product(asked.input.shape[: len(asked.input.shape) - len(sizes)])
    return {"rows": rows, "length": product(sizes)}


def _has_statistics(asked: Any) -> bool:
    return asked.running_mean is not None and asked.running_var is not None
