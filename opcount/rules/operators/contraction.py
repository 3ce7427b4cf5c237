"""Contractions as operators: matrix products and bilinear forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.linear import bias_terms, bilinear_terms
from opcount.rules.operators.parts import scaling
from opcount.rules.reading import named
from opcount.rules.registry import rule


@rule("aten.mm", "aten.bmm", "aten.mv", "aten.dot", "aten.vdot", "aten.matmul", "aten._int_mm", "aten._scaled_mm")
@rule("aten._weight_int8pack_mm", "aten._weight_int4pack_mm", "aten._weight_int4pack_mm_for_cpu")
def matrix_product(operator: Any, call: Call) -> Iterator[Term]:
    """One dot of the shared dimension for each output; scales of packed weights are as fixed as the weights."""
    yield Term("dots", count=call.out.elements, length=call.input.shape[-1])
    yield from bias_terms(named(operator, call).get("bias"), call.out.elements)


@rule(torch.linalg.vecdot, "aten.linalg_vecdot")
def vector_dots(subject: Any, call: Call) -> Iterator[Term]:
    """One dot along a dimension for each output."""
    arguments = named(subject, call)
    yield Term("dots", count=call.out.elements, length=arguments["x"].shape[arguments["dim"]])


@rule("transformers.grouped_mm_fallback")
def fallback_of_grouped_product(operator: Any, call: Call) -> Iterator[Term]:
    """transformers' own grouped product, for where PyTorch's will not do: each row with its group's matrix."""
    yield Term("dots", count=call.out.elements, length=call.input.shape[-1])


@rule("aten._grouped_mm", "aten._scaled_grouped_mm")
def grouped_matrix_product(operator: Any, call: Call) -> Iterator[Term]:
    """One dot for each output. Where the groups share out the dots' length, none of them is empty."""
    arguments = named(operator, call)
    left, right, outputs = arguments["self"].shape, arguments["mat2"].shape, call.out.elements
    if len(left) == len(right) == 2:
        groups = call.out.shape[0]
        length, longer = divmod(left[-1], groups)  # so many groups are one longer: the sum is the same whichever
        yield Term("dots", count=outputs // groups * (groups - longer), length=length)
        yield Term("dots", count=outputs // groups * longer, length=length + 1)
    else:
        yield Term("dots", count=outputs, length=left[-1])
    yield from bias_terms(arguments.get("bias"), outputs)


@rule("aten.addmm", "aten.baddbmm", "aten.addmv", "aten.addbmm", "aten._addmm_activation", "aten.addr")
def add_matrix_product(operator: Any, call: Call) -> Iterator[Term]:
    """beta·input + alpha·product: neutral factors cost nothing, and a beta of 0 leaves the input out."""
    arguments = named(operator, call)
    outputs = call.out.elements
    yield from _product(operator, arguments)
    for factor in ("alpha", "beta"):
        if arguments[factor] != 0:
            yield from scaling(factor, arguments[factor], call, outputs)
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
