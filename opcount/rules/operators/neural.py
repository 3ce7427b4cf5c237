"""Operators that stand for whole layers: norms, pools, dropout, resampling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term, Tree
from opcount.rules.operators.signature import named
from opcount.rules.registry import rule
from opcount.rules.shapes import planes_of, spatial


@rule("aten.native_layer_norm")
def layer_norm(operator: Any, call: Call) -> Iterator[Term]:
    """Rows over the normalized dimensions, weight and bias where given."""
    arguments = named(operator, call)
    length = product(arguments["normalized_shape"])
    elements = arguments["input"].elements
    yield Term("normalization", rows=elements // length if length else 0, length=length)
    yield from _affine(arguments, elements)


@rule("aten.native_group_norm")
def group_norm(operator: Any, call: Call) -> Iterator[Term]:
    """Rows over the channels of a group, weight and bias where given."""
    arguments = named(operator, call)
    elements = arguments["input"].elements
    rows = arguments["N"] * arguments["group"]
    yield Term("normalization", rows=rows, length=elements // rows if rows else 0)
    yield from _affine(arguments, elements)


@rule("aten._fused_rms_norm")
def root_mean_square_norm(operator: Any, call: Call) -> Iterator[Term]:
    """Rows over the normalized dimensions, weight where given."""
    arguments = named(operator, call)
    length = product(arguments["normalized_shape"])
    elements = arguments["input"].elements
    yield Term("root_mean_square_normalization", rows=elements // length if length else 0, length=length)
    yield from _affine(arguments, elements)


@rule(
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
def batch_norm(operator: Any, call: Call) -> Iterator[Term]:
    """Running statistics fold into one multiplication and one addition; a batch's own are worked out."""
    arguments = named(operator, call)
    image = arguments["input"]
    training = arguments.get("training", "no" not in operator._schema.name.split("_"))
    if not training:
        yield Term("fixed_normalization", count=image.elements)
        return
    channels = image.shape[1]
    yield Term("normalization", rows=channels, length=image.elements // channels if channels else 0)
    yield from _affine(arguments, image.elements)
    if arguments.get("running_mean") is not None:
        yield Term("running_update", role="running statistics", channels=channels)


def _affine(arguments: Any, elements: int) -> Iterator[Term]:
    if arguments.get("weight") is not None:
        yield Term("multiplication", role="weight", count=elements)
    if arguments.get("bias") is not None:
        yield Term("addition", role="shift", count=elements)


_AXES = {f"{axes}d": axes for axes in (1, 2, 3)}


def _axes(operator: Any) -> int:
    """How many spatial dimensions the operator's name says."""
    name = operator._schema.name
    return next(axes for suffix, axes in _AXES.items() if suffix in name)


def _sizes(value: Tree, axes: int, otherwise: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """A size for each axis: the operator may leave it out, or give one for all."""
    given = tuple(value or ())
    if not given:
        return otherwise if otherwise is not None else (0,) * axes
    return given * axes if len(given) == 1 else given


def _windows(operator: Any, call: Call) -> dict[str, Any]:
    arguments, axes = named(operator, call), _axes(operator)
    kernel = _sizes(arguments["kernel_size"], axes)
    return {
        "planes": planes_of(call.out, axes),
        "kernel": kernel,
        "input": spatial(call.input, axes),
        "output": spatial(call.out, axes),
        "stride": _sizes(arguments["stride"], axes, otherwise=kernel),
        "padding": _sizes(arguments["padding"], axes),
    }


@rule("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d")
def average_pool(operator: Any, call: Call) -> Iterator[Term]:
    """The sum of each window's real elements and one division."""
    yield Term("average_pool", **_windows(operator, call))


@rule(
    "aten.max_pool1d",
    "aten.max_pool1d_with_indices",
    "aten.max_pool2d",
    "aten.max_pool2d_with_indices",
    "aten.max_pool3d",
    "aten.max_pool3d_with_indices",
)
def max_pool(operator: Any, call: Call) -> Iterator[Term]:
    """Each window's real elements compared."""
    axes = _axes(operator)
    gaps = _sizes(named(operator, call)["dilation"], axes, otherwise=(1,) * axes)
    yield Term("max_pool", **_windows(operator, call), dilation=gaps)


def _adaptive(operator: Any, call: Call) -> dict[str, Any]:
    axes = _axes(operator)
    return {
        "planes": planes_of(call.out, axes),
        "input": spatial(call.input, axes),
        "output": spatial(call.out, axes),
    }


@rule(
    "aten.adaptive_avg_pool1d",
    "aten._adaptive_avg_pool2d",
    "aten.adaptive_avg_pool2d",
    "aten._adaptive_avg_pool3d",
    "aten.adaptive_avg_pool3d",
)
def adaptive_average_pool(operator: Any, call: Call) -> Iterator[Term]:
    """The sum of each true window and one division."""
    yield Term("adaptive_average_pool", **_adaptive(operator, call))


@rule("aten.adaptive_max_pool1d", "aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")
def adaptive_max_pool(operator: Any, call: Call) -> Iterator[Term]:
    """The elements of each true window compared."""
    yield Term("adaptive_max_pool", **_adaptive(operator, call))


@rule("aten.fractional_max_pool2d", "aten.fractional_max_pool3d")
def fractional_max_pool(operator: Any, call: Call) -> Iterator[Term]:
    """Whole windows compared, wherever they start."""
    axes = _axes(operator)
    kernel = _sizes(named(operator, call)["kernel_size"], axes)
    yield Term("fractional_max_pool", planes=planes_of(call.out, axes), kernel=kernel, output=spatial(call.out, axes))


@rule("aten.native_dropout")
def dropout(operator: Any, call: Call) -> Iterator[Term]:
    """In training one comparison draws each mask entry and one multiplication applies it."""
    if named(operator, call)["train"]:
        yield Term("each", count=call.out.elements, comparisons=1, multiplications=1)
