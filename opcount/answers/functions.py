"""Answers of functions that PyTorch would take apart into many operators."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from opcount.answers.registry import answer
from opcount.ops import Call, TensorSpec


@answer(F.linear)
def linear(function: Any, call: Call) -> TensorSpec | None:
    """Output features in the place of input features."""
    given, weight, bias = (call.argument(place, name) for place, name in enumerate(("input", "weight", "bias")))
    if not (isinstance(given, TensorSpec) and isinstance(weight, TensorSpec) and len(weight.shape) == 2):
        return None
    fits = given.shape[-1:] == weight.shape[1:] and given.dtype == weight.dtype and given.floating
    if not fits or not (bias is None or (bias.shape == weight.shape[:1] and bias.dtype == weight.dtype)):
        return None
    return TensorSpec((*given.shape[:-1], weight.shape[0]), given.dtype)


@answer(F.dropout)
def dropout(function: Any, call: Call) -> TensorSpec | None:
    """What it was given."""
    given = call.argument(0, "input")
    in_place = call.argument(3, "inplace", False)
    return given if isinstance(given, TensorSpec) and given.floating and not in_place else None


@answer(F.scaled_dot_product_attention)
def attention(function: Any, call: Call) -> TensorSpec | None:
    """The query's positions with the values' features, for heads and batch that are the same in all three."""
    query, key, value = (call.argument(place, name) for place, name in enumerate(("query", "key", "value")))
    if not all(isinstance(each, TensorSpec) and len(each.shape) >= 3 for each in (query, key, value)):
        return None
    heads = slice(None, -3 if call.argument(7, "enable_gqa", False) else -2)
    lead = query.shape[heads] == key.shape[heads] == value.shape[heads] and key.shape[:-2] == value.shape[:-2]
    inner = query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2]
    same = query.dtype == key.dtype == value.dtype and query.floating
    if not (same and lead and inner) or 0 in query.shape:
        return None
    return TensorSpec((*query.shape[:-1], value.shape[-1]), query.dtype)
