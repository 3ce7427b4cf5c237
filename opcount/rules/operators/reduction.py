"""Reductions: sums, means, extrema, variances, norms, softmax, sorting, cumulation, Fourier transforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, TensorSpec, Term
from opcount.rules.operators.parts import on_parts, part_dtype
from opcount.rules.reading import named
from opcount.rules.registry import rule
from opcount.rules.shapes import rows_into

_ROWWISE = {
    "sums": "sum nansum trace",
    "means": "mean nanmean",
    "products": "prod",
    "extrema": "amax amin argmax argmin max min",
    "log_sum_exp": "logsumexp",
    "variance": "var var_mean",
}
_ALONG = {
    "sorting": "sort argsort topk kthvalue median nanmedian mode _unique _unique2 unique_dim",
    "sums": "cumsum",
    "products": "cumprod",
    "extrema": "cummax cummin _cummax_helper _cummin_helper",
}


def _along(spec: TensorSpec, dim: int | None) -> dict[str, Any]:
    """Rows along one dimension; along all of them without one."""
    if dim is None or not spec.shape:
        return {"rows": 1, "length": spec.elements}
    length = spec.shape[dim]
    return {"rows": spec.elements // length if length else 0, "length": length}


def _tie_rowwise(formula: str, names: str) -> None:
    @rule(*(f"aten.{name}" for name in names.split()))
    def reduction(operator: Any, call: Call) -> Iterator[Term]:
        yield from _real_quotients(Term(formula, **rows_into(call.input, call.out)), call)


def _tie_along(formula: str, names: str) -> None:
    @rule(*(f"aten.{name}" for name in names.split()))
    def along(operator: Any, call: Call) -> Iterator[Term]:
        arguments = named(operator, call)
        dim = arguments.get("dim", -1 if "dim" not in arguments and call.out.shape else None)
        yield Term(formula, **_along(call.input, dim))


for _formula, _names in _ROWWISE.items():
    _tie_rowwise(_formula, _names)
for _formula, _names in _ALONG.items():
    _tie_along(_formula, _names)


def _real_quotients(term: Term, call: Call) -> Iterator[Term]:
    """A mean of complex numbers is divided by a real one: in each part, once."""
    if term.formula == "means" and call.input.dtype.startswith("complex"):
        yield Term("sums", **term.numbers)
        yield on_parts(call, call.out.elements, divisions=2)
    else:
        yield term


@rule("aten.aminmax", "aten._aminmax")
def both_extrema(operator: Any, call: Call) -> Iterator[Term]:
    """The smallest and the largest of each row."""
    yield Term("extrema", role="smallest", **rows_into(call.input, call.out))
    yield Term("extrema", role="largest", **rows_into(call.input, call.out))


@rule("aten.std", "aten.std_mean")
def standard_deviation(operator: Any, call: Call) -> Iterator[Term]:
    """The variance of each row, and its root."""
    yield Term("variance", **rows_into(call.input, call.out))
    yield Term("transcendental", role="root", count=call.out.elements)


@rule("aten.linalg_vector_norm", "aten.norm", "aten.native_norm")
def vector_norm(operator: Any, call: Call) -> Iterator[Term]:
    """The p-norm of each row; of complex numbers the absolute values come first."""
    arguments = named(operator, call)
    order = arguments["ord"] if "ord" in arguments else arguments["p"]
    rows = rows_into(call.input, call.out)
    if call.input.dtype.startswith("complex"):
        yield on_parts(call, call.input.elements, multiplications=2, additions=1, transcendentals=1)
    yield Term("vector_norm", dtype=part_dtype(call), **rows, norm=2.0 if order is None else float(order))


@rule("aten.count_nonzero")
def count_nonzero(operator: Any, call: Call) -> Iterator[Term]:
    """One comparison for each element; counting is on integers."""
    yield Term("comparison", dtype=call.input.dtype, count=call.input.elements)


@rule("aten.bucketize", "aten.searchsorted")
def search(operator: Any, call: Call) -> Iterator[Term]:
    """A binary search for each output, in ceil(log2 of the places it may go) comparisons: a model, as sorting is."""
    arguments = named(operator, call)
    boundaries = arguments["boundaries"] if "boundaries" in arguments else arguments["sorted_sequence"]
    values = arguments.get("self", call.input)
    length = boundaries.shape[-1] + 1
    dtype = values.dtype if isinstance(values, TensorSpec) else boundaries.dtype
    yield Term("each", dtype=dtype, count=call.out.elements, comparisons=(length - 1).bit_length())


@rule("aten._fft_c2c", "aten._fft_r2c", "aten._fft_c2r")
def fourier_transform(operator: Any, call: Call) -> Iterator[Term]:
    """A transform along each dimension in turn; a normalization divides every real number of the result once."""
    arguments = named(operator, call)
    full = call.out if operator._schema.name == "aten::_fft_c2r" else call.input
    parts = call.out.elements * (2 if call.out.dtype.startswith("complex") else 1)
    *_, last = arguments["dim"]
    for dim in arguments["dim"]:
        length = full.shape[dim]
        yield Term(
            "fourier_transform",
            dtype=part_dtype(call),  # the formula is in real arithmetic already
            rows=full.elements // length if length else 0,
            length=length,
            normalized=parts if dim == last and arguments["normalization"] else 0,
        )
