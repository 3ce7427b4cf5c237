"""Embeddings: looking a vector up is free, folding a bag of them is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.reading import Given, given
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
