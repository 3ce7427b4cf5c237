"""Losses as operators: the formula of each element, then the reduction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, TensorSpec, Term
from opcount.rules.operators.signature import named
from opcount.rules.registry import rule
from opcount.rules.shapes import broadcast

_NONE, _MEAN, _SUM = 0, 1, 2

_POINTWISE = {
    "aten.mse_loss": "squared_error",
    "aten.smooth_l1_loss": "smooth_absolute_error",
    "aten.huber_loss": "huber_error",
    "aten.soft_margin_loss": "soft_margin",
    "aten.binary_cross_entropy": "binary_cross_entropy",
    "aten.binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
}


@rule(*_POINTWISE)
def pointwise_loss(operator: Any, call: Call) -> Iterator[Term]:
    """The loss's formula for each pair of elements, its weights, and the reduction."""
    arguments = named(operator, call)
    count = broadcast(arguments["self"].shape, arguments["target"].shape).elements
    formula = _POINTWISE[operator._schema.name.replace("::", ".")]
    yield Term("absolute_error" if arguments.get("beta", 1) == 0 else formula, count=count)
    for option in ("weight", "pos_weight"):
        if isinstance(arguments.get(option), TensorSpec):
            yield Term("multiplication", role=option.replace("_", " "), count=count)
    yield from _reduced(arguments["reduction"], count)


@rule("aten.nll_loss_forward", "aten.nll_loss2d_forward")
def negative_log_likelihood(operator: Any, call: Call) -> Iterator[Term]:
    """Picking the target's entry is free; a weight is one product, and the mean divides by the weights' sum."""
    arguments = named(operator, call)
    count, weighted = arguments["target"].elements, arguments["weight"] is not None
    if weighted:
        yield Term("multiplication", role="class weight", count=count)
    yield from _reduced(arguments["reduction"], count)
    if weighted and arguments["reduction"] == _MEAN:
        yield Term("sums", role="weights", rows=1, length=count)


def _reduced(reduction: int, count: int) -> Iterator[Term]:
    if reduction != _NONE:
        yield Term("sums" if reduction == _SUM else "means", role="reduction", rows=1, length=count)
