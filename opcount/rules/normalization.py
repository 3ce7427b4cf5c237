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
from opcount.rules.reading import Given, given, needs_grad
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


@rule(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, phase="backward")
@rule(nn.LazyBatchNorm1d, nn.LazyBatchNorm2d, nn.LazyBatchNorm3d, phase="backward")
def batch_norm_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """With running statistics a product an element; else through each channel's own mean and variance."""
    asked = given(layer, call)
    yield from _channel_gradients(
        elements=asked.input.elements,
        rows=asked.input.shape[1],
        own=_uses_its_own(layer, asked),
        scaled=asked.weight is not None,
        needed=(needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)),
    )


@rule("aten.native_batch_norm_backward", "aten.cudnn_batch_norm_backward", "aten.miopen_batch_norm_backward")
@rule("aten.batch_norm_backward")
def batch_norm_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients that its mask asks for; some kernels give all and train always."""
    asked = given(operator, call)
    yield from _channel_gradients(
        elements=asked.input.elements,
        rows=asked.input.shape[1],
        own=bool(asked.get("train", asked.get("update", True))),
        scaled=asked.weight is not None,
        needed=tuple(asked.get("output_mask", (True, True, True))),
    )


@rule(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, phase="backward")
@rule(nn.LazyInstanceNorm1d, nn.LazyInstanceNorm2d, nn.LazyInstanceNorm3d, phase="backward")
def instance_norm_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Through each channel of each sample; weight and bias gather those of the samples."""
    asked, axes = given(layer, call), axes_of(layer)
    batch, channels = batch_of(call.input, axes), call.input.shape[-axes - 1]
    own = call.training or not (layer.track_running_stats and _has_statistics(layer))
    needed = needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)
    yield from _channel_gradients(
        elements=asked.input.elements,
        rows=product((batch, channels)) if own else channels,
        own=own,
        scaled=asked.weight is not None,
        needed=needed,
    )
    for each, role in zip(needed[1:], ("weight", "shift")):
        if own and each:
            yield Term("sums", role=f"{role} over samples", rows=channels, length=batch)


def _channel_gradients(
    *, elements: int, rows: int, own: bool, scaled: bool, needed: tuple[bool, ...]
) -> Iterator[Term]:
    """Normalization with one weight a row: the sums that the weight and bias want are those that the input wants."""
    of_input, of_weight, of_bias = needed
    length = elements // rows if rows else 0
    if of_weight or (of_input and own):
        yield Term("each", role="normalized input", count=elements, multiplications=1, additions=1)
        yield Term("multiplication", role="weight", count=elements)
        yield Term("sums", role="weight", rows=rows, length=length)
    if of_bias or (of_input and own):
        yield Term("sums", role="shift", rows=rows, length=length)
    if of_input and own:
        yield Term("batch_normalization_gradient", role="input", rows=rows, length=length, scaled=scaled)
    elif of_input:
        yield Term("multiplication", role="input", count=elements)


@rule(nn.LayerNorm, phase="backward")
def layer_norm_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Through each row's mean and variance; weight and bias gather those of the rows."""
    asked = given(layer, call)
    needed = needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)
    sizes = _rows(asked)
    yield from _row_gradients(**sizes, entries=sizes["length"], weighted=asked.weight is not None, needed=needed)


@rule("aten.native_layer_norm_backward")
def layer_norm_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    sizes, needed = _rows(asked), tuple(asked.output_mask)
    yield from _row_gradients(**sizes, entries=sizes["length"], weighted=asked.weight is not None, needed=needed)


@rule(nn.GroupNorm, phase="backward")
def group_norm_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """The same of each group of channels; there is one weight and one bias a channel."""
    asked = given(layer, call)
    yield from _row_gradients(
        **per_row(asked.input, product((asked.input.shape[0], asked.num_groups))),
        entries=asked.input.shape[1],
        weighted=asked.weight is not None,
        needed=(needs_grad(asked.input), needs_grad(asked.weight), needs_grad(asked.bias)),
    )


@rule("aten.native_group_norm_backward")
def group_norm_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    yield from _row_gradients(
        **per_row(asked.input, product((asked.N, asked.group))),
        entries=asked.C,
        weighted=asked.weight is not None,
        needed=tuple(asked.output_mask),
    )


def _row_gradients(*, rows: int, length: int, entries: int, weighted: bool, needed: tuple[bool, ...]) -> Iterator[Term]:
    """Normalization with a weight that differs along a row: it multiplies the gradient before its means are taken.

    Args:
        entries: how many weights there are.
    """
    of_input, of_weight, of_bias = needed
    elements = product((rows, length))
    gathered: dict[str, Any] = {"rows": entries, "length": elements // entries if entries else 0}
    if of_input or of_weight:
        yield Term("each", role="normalized input", count=elements, multiplications=1, additions=1)
    if of_weight:
        yield Term("multiplication", role="weight", count=elements)
        yield Term("sums", role="weight", **gathered)
    if of_bias:
        yield Term("sums", role="shift", **gathered)
    if of_input:
        if weighted:
            yield Term("multiplication", role="weighted gradient", count=elements)
        yield Term("normalization_gradient", role="input", rows=rows, length=length)


@rule(nn.RMSNorm, F.rms_norm, torch.rms_norm, phase="backward")
def rms_norm_gradient(subject: Any, call: Call) -> Iterator[Term]:
    """Through each row's root mean square; the weight gathers that of the rows."""
    asked = given(subject, call)
    needed = needs_grad(asked.input), needs_grad(asked.weight)
    yield from _root_mean_square_gradients(asked, asked.weight, needed)


@rule("aten._fused_rms_norm_backward")
def rms_norm_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    yield from _root_mean_square_gradients(asked, asked.weight, tuple(asked.output_mask))


def _root_mean_square_gradients(asked: Given, weight: Tree, needed: tuple[bool, ...]) -> Iterator[Term]:
    of_input, of_weight = needed
    sizes = _rows(asked)
    elements = asked.input.elements
    if of_input or of_weight:
        yield Term("multiplication", role="normalized input", count=elements)
    if of_weight:
        yield Term("multiplication", role="weight", count=elements)
        yield Term("sums", role="weight", rows=sizes["length"], length=sizes["rows"])
    if of_input:
        if weight is not None:
            yield Term("multiplication", role="weighted gradient", count=elements)
        yield Term("root_mean_square_gradient", role="input", **sizes)
