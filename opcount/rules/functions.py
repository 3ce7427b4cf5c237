"""Functions that PyTorch takes apart above its dispatcher, so that operators alone would not show their definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree
from opcount.rules.registry import rule
from opcount.rules.shapes import batch_of, per_axis, spatial


@rule(F.linear)
def linear(function: Any, call: Call) -> Iterator[Term]:
    """One dot of the input features for each output, and the bias."""
    yield Term("dots", count=call.out.elements, length=call.input.shape[-1])
    yield from _bias(call, call.argument(2, "bias"))


@rule(F.bilinear)
def bilinear(function: Any, call: Call) -> Iterator[Term]:
    """x1ᵀ·W for each output and feature of x2, then a dot with x2."""
    _, in1, in2 = call.argument(2, "weight").shape
    yield Term("dots", role="x1·W", count=call.out.elements * in2, length=in1)
    yield Term("dots", role="·x2", count=call.out.elements, length=in2)
    yield from _bias(call, call.argument(3, "bias"))


@rule(F.conv1d, F.conv2d, F.conv3d)
def convolution(function: Any, call: Call) -> Iterator[Term]:
    """One dot of C_in/groups x kernel for each output."""
    weight = call.argument(1, "weight").shape
    axes = len(weight) - 2
    groups, dilation = call.argument(6, "groups", 1), per_axis(call.argument(5, "dilation", 1), axes)
    padding = call.argument(4, "padding", 0)
    if isinstance(padding, str):  # "same" puts the odd element behind
        added = [gap * (size - 1) if padding == "same" else 0 for gap, size in zip(dilation, weight[2:])]
        padding = tuple(size // 2 for size in added)
    yield Term(
        "convolution",
        batch=batch_of(call.out, axes),
        in_channels=weight[1] * groups,
        out_channels=weight[0],
        groups=groups,
        kernel=weight[2:],
        input=spatial(call.argument(0, "input"), axes),
        output=spatial(call.out, axes),
        stride=per_axis(call.argument(3, "stride", 1), axes),
        padding=per_axis(padding, axes),
        dilation=dilation,
    )
    yield from _bias(call, call.argument(2, "bias"))


@rule(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
def transposed_convolution(function: Any, call: Call) -> Iterator[Term]:
    """Every input element times C_out/groups filters, added where it lands."""
    weight, groups = call.argument(1, "weight").shape, call.argument(6, "groups", 1)
    axes = len(weight) - 2
    yield Term(
        "transposed_convolution",
        batch=batch_of(call.out, axes),
        in_channels=weight[0],
        out_channels=weight[1] * groups,
        groups=groups,
        kernel=weight[2:],
        input=spatial(call.argument(0, "input"), axes),
        stride=per_axis(call.argument(3, "stride", 1), axes),
        dilation=per_axis(call.argument(7, "dilation", 1), axes),
    )
    yield from _bias(call, call.argument(2, "bias"))


@rule(F.scaled_dot_product_attention)
def attention(function: Any, call: Call) -> Iterator[Term]:
    """Scores, scale, a float mask added, softmax, dropout, and the weighted values, by the query's heads."""
    query, key, value = (call.argument(index, name) for index, name in enumerate(("query", "key", "value")))
    length, features = query.shape[-2:]
    sources, width = key.shape[-2], value.shape[-1]
    rows = product(call.out.shape[:-2]) * length
    mask, dropout = call.argument(3, "attn_mask"), call.argument(4, "dropout_p", 0.0)
    yield from attention_terms(rows, sources, features, width, masks=int(is_added(mask)), dropout=dropout > 0)


def attention_terms(
    rows: int, sources: int, features: int, width: int, *, masks: int = 0, dropout: bool = False
) -> Iterator[Term]:
    """Attention of ``rows`` query positions (heads and batch included) over ``sources`` positions.

    Args:
        features, width: sizes of a head's keys and of its values.
        masks: how many float masks are added to the scores.
    """
    scores = rows * sources
    yield Term("dots", role="scores", count=scores, length=features)
    yield Term("multiplication", role="scale", count=scores)
    if masks:
        yield Term("addition", role="mask", count=masks * scores)
    yield Term("softmax", role="weights", rows=rows, length=sources)
    if dropout:
        yield Term("each", role="dropout", count=scores, comparisons=1, multiplications=1)
    yield Term("dots", role="values", count=rows * width, length=sources)


def is_added(mask: Tree) -> bool:
    """Whether a mask is added to the scores: a boolean one only selects."""
    return isinstance(mask, TensorSpec) and mask.floating


@rule(F.rms_norm)
def root_mean_square_norm(function: Any, call: Call) -> Iterator[Term]:
    """Rows over the normalized dimensions, weight where given."""
    length = product(call.argument(1, "normalized_shape"))
    elements = call.input.elements
    yield Term("root_mean_square_normalization", rows=elements // length if length else 0, length=length)
    if call.argument(2, "weight") is not None:
        yield Term("multiplication", role="weight", count=elements)


@rule(F.dropout, F.alpha_dropout)
def dropout(function: Any, call: Call) -> Iterator[Term]:
    """In training a mask entry for each element."""
    if call.argument(2, "training", function is F.dropout):
        extra: dict[str, Any] = {"additions": 1} if function is F.alpha_dropout else {}
        yield Term("each", count=call.out.elements, comparisons=1, multiplications=1, **extra)


@rule(F.dropout1d, F.dropout2d, F.dropout3d, F.feature_alpha_dropout)
def feature_dropout(function: Any, call: Call) -> Iterator[Term]:
    """In training a mask entry for each channel, and a multiplication for each element."""
    default = function is not F.feature_alpha_dropout
    if not call.argument(2, "training", default):
        return
    shape = call.input.shape
    unbatched = {F.dropout1d: 2, F.dropout3d: 4}.get(function)
    channels = shape[0] if len(shape) == unbatched else product(shape[:2])
    extra: dict[str, Any] = {} if default else {"additions": 1}
    yield Term("each", role="mask", count=channels, comparisons=1)
    yield Term("each", count=call.out.elements, multiplications=1, **extra)


@rule(F.selu, torch.selu, torch.selu_)
def selu(function: Any, call: Call) -> Iterator[Term]:
    """scale·(max(0, x) + min(0, alpha·(exp(x) - 1)))."""
    yield Term("selu", count=call.out.elements)


@rule(F.relu6)
def relu6(function: Any, call: Call) -> Iterator[Term]:
    """min(max(0, x), 6)."""
    yield Term("relu6", count=call.out.elements)


def _bias(call: Call, bias: Tree) -> Iterator[Term]:
    if bias is not None:
        yield Term("bias", role="bias", count=call.out.elements)
