"""Embeddings: looking a vector up is free, folding a bag of them is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.reading import Given, given, needs_grad
from opcount.rules.registry import free, rule

_MODES = ("sum", "mean", "max")
"""An operator's modes, in the order of its numbers for them."""

free("aten.embedding")


@rule(nn.Embedding)
def embedding(layer: Any, call: Call) -> Iterator[Term]:
    """Free, unless the vectors that are looked up are kept to a largest norm."""
    yield from _renormalized(given(layer, call))


@rule(nn.EmbeddingBag)
def embedding_bag(layer: Any, call: Call) -> Iterator[Term]:
    """Each bag's vectors folded into one. Every entry is taken for valid and no bag for empty."""
    asked = given(layer, call)
    yield from _renormalized(asked)
    yield from _bags(asked, call, asked.input.elements, asked.mode)


@rule("aten._embedding_bag", "aten._embedding_bag_forward_only")
def embedding_bag_operator(operator: Any, call: Call) -> Iterator[Term]:
    """Each bag's vectors folded into one."""
    asked = given(operator, call)
    yield from _bags(asked, call, asked.indices.elements, _MODES[asked.mode])


@rule("aten.embedding_renorm")
def renormalization(operator: Any, call: Call) -> Iterator[Term]:
    """Each vector that is looked up kept to a largest norm."""
    asked = given(operator, call)
    yield from renormalization_terms(asked.indices.elements, asked.input.shape[1], asked.norm_type)


def _bags(asked: Given, call: Call, entries: int, mode: str) -> Iterator[Term]:
    bags, features = call.out.shape
    if asked.per_sample_weights is not None:
        yield Term("multiplication", role="sample weights", count=product((entries, features)))
    yield Term("bag_maxima" if mode == "max" else "bag_sums", entries=entries, bags=bags, features=features)
    if mode == "mean":
        yield Term("division", role="mean", count=call.out.elements)


def _renormalized(asked: Given) -> Iterator[Term]:
    if asked.max_norm is not None:
        yield from renormalization_terms(asked.input.elements, asked.weight.shape[1], asked.norm_type)


def renormalization_terms(rows: int, length: int, norm: float) -> Iterator[Term]:
    """Each vector's norm, a comparison with the largest allowed, and the vector scaled to it."""
    yield Term("vector_norm", role="renormalization", rows=rows, length=length, norm=float(norm))
    yield Term("each", role="renormalization", count=rows, comparisons=1, divisions=1)
    yield Term("multiplication", role="renormalization", count=product((rows, length)))


@rule(nn.Embedding, phase="backward")
def embedding_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Each vector's gradient added to the row it was looked up from; a sparse one is a list of them, which is free."""
    asked = given(layer, call)
    if needs_grad(asked.weight) and not asked.sparse:
        yield from _put_back(call.out.elements, asked.scale_grad_by_freq)


@rule("aten.embedding_dense_backward")
def embedding_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    asked = given(operator, call)
    yield from _put_back(asked.grad_output.elements, asked.scale_grad_by_freq)


def _put_back(values: int, by_frequency: bool) -> Iterator[Term]:
    if by_frequency:
        yield Term("division", role="frequency", count=values)
    yield Term("addition", role="rows", count=values)


@rule("aten._embedding_bag_dense_backward", "aten._embedding_bag_backward")
def embedding_bag_backward(operator: Any, call: Call) -> Iterator[Term]:
    """Each bag's gradient added to the rows of its entries: divided first for a mean, times the samples' weights."""
    asked = given(operator, call)
    features = asked.grad.shape[-1]
    mode, entries = _MODES[asked.mode], asked.indices.elements
    if mode == "mean":
        yield Term("division", role="mean", count=asked.grad.elements)
    values = asked.grad.elements if mode == "max" else product((entries, features))
    if asked.per_sample_weights is not None:
        yield Term("multiplication", role="sample weights", count=values)
    yield from _put_back(values, asked.scale_grad_by_freq)


@rule("aten._embedding_bag_per_sample_weights_backward")
def sample_weights_backward(operator: Any, call: Call) -> Iterator[Term]:
    """For each entry its vector by its bag's gradient."""
    asked = given(operator, call)
    features = asked.grad.shape[-1]
    yield Term("multiplication", count=product((call.out.elements, features)))
    yield Term("sums", rows=call.out.elements, length=features)
