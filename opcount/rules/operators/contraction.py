"""Contractions as operators: matrix products and bilinear forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.linear import bilinear_terms
from opcount.rules.reading import named
from opcount.rules.registry import rule


@rule("aten.mm", "aten.bmm", "aten.mv", "aten.dot", "aten.vdot", "aten.matmul", "aten._int_mm", "aten._scaled_mm")
def matrix_product(operator: Any, call: Call) -> Iterator[Term]:
    """One dot of the shared dimension for each output."""
    yield Term("dots", count=call.out.elements, length=call.input.shape[-1])


@rule("aten.addmm", "aten.baddbmm", "aten.addmv", "aten.addbmm", "aten._addmm_activation", "aten.addr")
def add_matrix_product(operator: Any, call: Call) -> Iterator[Term]:
    """beta·input + alpha·product: neutral factors cost nothing, and a beta of 0 leaves the input out."""
    arguments = named(operator, call)
    outputs = call.out.elements
    yield from _product(operator, arguments)
    for factor in ("alpha", "beta"):
        if arguments[factor] not in (0, 1):
            yield Term("multiplication", role=factor, count=outputs)
    if arguments["beta"] != 0:
        yield Term("addition", role="input", count=outputs)
    if operator._schema.name == "aten::_addmm_activation":
        yield Term("gelu_tanh" if arguments["use_gelu"] else "relu", count=outputs)


def _product(operator: Any, arguments: Any) -> Iterator[Term]:
    left, right = _operands(arguments)
    if operator._schema.name.removesuffix("_") == "aten::addr":  # an outer product contracts nothing
        yield Term("multiplication", count=left.elements * right.elements)
        return
    rows, length = left.shape[-2], left.shape[-1]
    columns = right.shape[-1] if len(right.shape) > 1 else 1
    batch = product(left.shape[:-2])
    if operator._schema.name.removesuffix("_") == "aten::addbmm":  # the batch is summed as well
        yield Term("dots", count=rows * columns, length=batch * length)
    else:
        yield Term("dots", count=batch * rows * columns, length=length)


def _operands(arguments: Any) -> tuple[Any, Any]:
    for left, right in (("mat1", "mat2"), ("batch1", "batch2"), ("mat", "vec"), ("vec1", "vec2")):
        if left in arguments:
            return arguments[left], arguments[right]
    raise LookupError("no operands")


@rule("aten._trilinear")
def trilinear(operator: Any, call: Call) -> Iterator[Term]:
    """x1ᵀ·W for each output and feature of x2, then a dot with x2."""
    arguments = named(operator, call)
    *_, in1, in2 = arguments["i2"].shape
    yield from bilinear_terms(call.out.elements, in1, in2)
