"""Reductions: sums, means, extrema, variances, norms, softmax, sorting, cumulation, Fourier transforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from opcount.ops import Call, TensorSpec, Term
from opcount.rules.embedding import renormalization_terms
from opcount.rules.operators.parts import on_parts, part_dtype
from opcount.rules.reading import named
from opcount.rules.registry import rule
from opcount.rules.shapes import per_row, rows_into

_ROWWISE = {
    "sums": "sum nansum",
    "means": "mean",
    "products": "prod",
    "extrema": "amax amin argmax argmin",
    "log_sum_exp": "logsumexp",
}
_ALONG = {
    "sorting": "sort argsort topk kthvalue median nanmedian mode unique_dim",
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


@rule(torch.nanmean, torch.Tensor.nanmean, "aten.nanmean")
def mean_without_nan(subject: Any, call: Call) -> Iterator[Term]:
    """As if no value were missing."""
    yield from _real_quotients(Term("means", **rows_into(call.input, call.out)), call)


def _real_quotients(term: Term, call: Call) -> Iterator[Term]:
    """A mean of complex numbers is divided by a real one: in each part, once."""
    if term.formula == "means" and call.input.dtype.startswith("complex"):
        yield Term("sums", **term.numbers)
        yield on_parts(call, call.out.elements, divisions=2)
    else:
        yield term


@rule("aten.mean", phase="backward")
def mean_gradient(operator: Any, call: Call) -> Iterator[Term]:
    """The gradient of each mean divided once, and handed to all that went into it."""
    yield Term("division", count=call.out.elements)


@rule("aten.aminmax", "aten._aminmax")
def both_extrema(operator: Any, call: Call) -> Iterator[Term]:
    """The smallest and the largest of each row."""
    yield Term("extrema", role="smallest", **rows_into(call.input, call.out))
    yield Term("extrema", role="largest", **rows_into(call.input, call.out))


@rule("aten.max", "aten.min")
def extremum(operator: Any, call: Call) -> Iterator[Term]:
    """The largest or smallest of each row; of two tensors, of each pair."""
    if operator._overloadname == "other":
        yield Term("comparison", count=call.out.elements)
    else:
        yield Term("extrema", **rows_into(call.input, call.out))


@rule("aten.trace")
def trace(operator: Any, call: Call) -> Iterator[Term]:
    """The sum of the diagonal."""
    yield Term("sums", rows=1, length=min(call.input.shape))


@rule("aten.var", "aten.var_mean", "aten.std", "aten.std_mean")
def variance(operator: Any, call: Call) -> Iterator[Term]:
    """The variance of each row, for a standard deviation its root; of complex numbers that of both parts, added."""
    rows, parts = rows_into(call.input, call.out), part_dtype(call)
    yield Term("variance", dtype=parts, **rows)
    if call.input.dtype.startswith("complex"):
        yield Term("variance", role="imaginary part", dtype=parts, **rows)
        yield Term("addition", role="parts", dtype=parts, count=rows["rows"])
    if "std" in operator._schema.name:
        yield Term("transcendental", role="root", dtype=parts, count=rows["rows"])


@rule("aten.logcumsumexp", "aten._logcumsumexp")
def cumulative_log_sum_exp(operator: Any, call: Call) -> Iterator[Term]:
    """exp of each element, running sums, log of each."""
    yield Term("each", count=call.out.elements, transcendentals=2)
    yield Term("sums", **_along(call.input, named(operator, call)["dim"]))


@rule("aten._unique", "aten._unique2")
def unique(operator: Any, call: Call) -> Iterator[Term]:
    """All elements sorted."""
    yield Term("sorting", rows=1, length=call.input.elements)


@rule("aten.unique_consecutive")
def unique_consecutive(operator: Any, call: Call) -> Iterator[Term]:
    """Each element compared with the one before; along a dimension, each slice."""
    yield Term("extrema", **_along(call.input, named(operator, call)["dim"]))


@rule("aten.renorm")
def renormalized(operator: Any, call: Call) -> Iterator[Term]:
    """Each slice along a dimension kept to a largest norm."""
    arguments = named(operator, call)
    rows = call.input.shape[arguments["dim"]]
    yield from renormalization_terms(rows, per_row(call.input, rows)["length"], arguments["p"])


@rule("aten.linalg_vector_norm", "aten.norm", "aten.native_norm")
def vector_norm(operator: Any, call: Call) -> Iterator[Term]:
    """The p-norm of each row; of complex numbers the absolute values come first."""
    arguments = named(operator, call)
    order = arguments["ord"] if "ord" in arguments else arguments["p"]
    rows = rows_into(call.input, call.out)
    if call.input.dtype.startswith("complex"):
        yield on_parts(call, call.input.elements, multiplications=2, additions=1, transcendentals=1)
    yield Term("vector_norm", dtype=part_dtype(call), **rows, norm=2.0 if order is None else float(order))


@rule("aten.count_nonzero", "aten.nonzero", "aten.nonzero_static")
def nonzero(operator: Any, call: Call) -> Iterator[Term]:
    """One comparison for each element; counting and placing is on integers."""
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


@rule("aten.histc")
def histogram(operator: Any, call: Call) -> Iterator[Term]:
    """The bin of each value, (x - min)·(bins/(max - min)), if it lies between the two; counting is on integers."""
    values, arguments = call.input.elements, named(operator, call)
    yield Term("each", role="bins", count=values, multiplications=1, additions=1, comparisons=2)
    if arguments["min"] == arguments["max"]:  # then they are the smallest and the largest value there is
        yield Term("comparison", role="range", count=2 * max(values - 1, 0))


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
