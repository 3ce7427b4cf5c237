"""Arithmetic on real and imaginary parts, where a formula's own complex form is not what happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, TensorSpec, Term, Tree, tensors


def is_complex(value: Tree) -> bool:
    """Whether an operand, tensor or Python number, is complex."""
    if isinstance(value, TensorSpec):
        return value.dtype.startswith("complex")
    return isinstance(value, complex)


def part_dtype(call: Call) -> str:
    """The type of the real numbers a call works on: half of its complex type, or its own."""
    for spec in tensors((call.args, call.kwargs, call.output)):
        if spec.dtype.startswith("complex"):
            return f"float{int(spec.dtype.removeprefix('complex')) // 2}"
    return call.dtype


def on_parts(call: Call, count: int, **operations: Any) -> Term:
    """Operations on parts, for each of ``count`` complex numbers."""
    return Term("each", dtype=part_dtype(call), count=count, **operations)


def scaling(role: str, factor: Tree, call: Call, count: int) -> Iterator[Term]:
    """The product with a scalar factor: none if it is 1, two for a complex number and a real factor."""
    if factor in (None, 1):
        return
    if call.out.dtype.startswith("complex") and not is_complex(factor):
        yield Term("each", role=role, dtype=part_dtype(call), count=count, multiplications=2)
    else:
        yield Term("multiplication", role=role, count=count)
