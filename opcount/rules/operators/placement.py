"""Values put in place: free, unless they meet what is there already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, TensorSpec, Term
from opcount.rules.operators.parts import scaling
from opcount.rules.reading import given
from opcount.rules.registry import rule

_STEPS = {
    **dict.fromkeys(("sum", "mean", "add"), "addition"),
    **dict.fromkeys(("prod", "multiply"), "multiplication"),
    **dict.fromkeys(("amax", "amin"), "comparison"),
}


@rule("aten.index_add", "aten.scatter_add")
def add_at(operator: Any, call: Call) -> Iterator[Term]:
    """One addition for each value put in place; alpha other than 1 multiplies first."""
    asked = given(operator, call)
    count = (asked.index if operator._schema.name.endswith("scatter_add") else asked.source).elements
    yield from scaling("alpha", asked.get("alpha", 1), call, count)
    yield Term("addition", count=count)


@rule("aten.index_put", "aten._index_put_impl", "aten._unsafe_index_put", "aten._unsafe_masked_index_put_accumulate")
def put_at(operator: Any, call: Call) -> Iterator[Term]:
    """Accumulating is one addition for each value."""
    asked = given(operator, call)
    if asked.get("accumulate", True):
        yield Term("addition", count=asked.values.elements)


@rule("aten.put")
def put(operator: Any, call: Call) -> Iterator[Term]:
    """Accumulating is one addition for each value."""
    asked = given(operator, call)
    if asked.accumulate:
        yield Term("addition", count=asked.source.elements)


@rule("aten.scatter", "aten.scatter_reduce", "aten.index_reduce")
def reduce_at(operator: Any, call: Call) -> Iterator[Term]:
    """With a reduction one sum, product or comparison for each value; a mean divides each position once."""
    asked = given(operator, call)
    reduce = asked.get("reduce")
    if reduce is None:
        return
    values = asked.source if operator._schema.name.startswith("aten::index") else asked.index
    yield Term(_STEPS[reduce], count=values.elements)
    if reduce == "mean":
        yield Term("division", count=call.out.elements)


@rule("aten.bincount")
def bincount(operator: Any, call: Call) -> Iterator[Term]:
    """Counting is on integers; weights are added up, one addition each."""
    weights = given(operator, call).weights
    if isinstance(weights, TensorSpec):
        yield Term("addition", dtype=weights.dtype, count=weights.elements)
