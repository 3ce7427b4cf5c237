"""Embeddings: looking a vector up is free, folding a bag of them is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.registry import rule
from opcount.rules.shapes import weight_shape


@rule(nn.Embedding)
def embedding(layer: Any, call: Call) -> Iterator[Term]:
    """Free, unless the vectors that are looked up are kept to a largest norm."""
    yield from _renormalization(layer, call)


@rule(nn.EmbeddingBag)
def embedding_bag(layer: Any, call: Call) -> Iterator[Term]:
    """Each bag's vectors folded into one. Every entry is taken for valid and no bag for empty."""
    yield from _renormalization(layer, call)
    entries, (bags, features) = call.input.elements, call.output.shape
    if call.argument(2, "per_sample_weights") is not None:
        yield Term("multiplication", role="sample weights", count=product((entries, features)))
    fold = "bag_maxima" if layer.mode == "max" else "bag_sums"
    yield Term(fold, entries=entries, bags=bags, features=features)
    if layer.mode == "mean":
        yield Term("division", role="mean", count=call.output.elements)


def _renormalization(layer: Any, call: Call) -> Iterator[Term]:
    """Each vector's norm, a comparison with the largest allowed, and the vector scaled to it."""
    if layer.max_norm is None:
        return
    rows, length = call.input.elements, weight_shape(layer)[1]
    yield Term("vector_norm", role="renormalization", rows=rows, length=length, norm=layer.norm_type)
    yield Term("each", role="renormalization", count=rows, comparisons=1, divisions=1)
    yield Term("multiplication", role="renormalization", count=product((rows, length)))
