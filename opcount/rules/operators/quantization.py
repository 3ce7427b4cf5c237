"""Numbers brought to a grid of whole numbers and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, Term
from opcount.rules.registry import rule

_FLOAT = "float32"


@rule("aten.quantize_per_tensor", "aten.quantize_per_channel", "aten.quantize_per_tensor_dynamic")
def quantize(operator: Any, call: Call) -> Iterator[Term]:
    """clip(round(x / scale) + zero_point): a quotient, a sum, a comparison for each end."""
    yield Term("each", dtype=_FLOAT, count=call.input.elements, additions=1, divisions=1, comparisons=2)


@rule("aten.dequantize")
def dequantize(operator: Any, call: Call) -> Iterator[Term]:
    """(q - zero_point) * scale."""
    yield Term("each", dtype=_FLOAT, count=call.input.elements, additions=1, multiplications=1)


@rule(
    "aten.fake_quantize_per_tensor_affine_cachemask",
    "aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
    "aten.fake_quantize_per_channel_affine_cachemask",
)
def fake_quantize(operator: Any, call: Call) -> Iterator[Term]:
    """There and back."""
    yield Term("each", count=call.out.elements, multiplications=1, additions=2, divisions=1, comparisons=2)
