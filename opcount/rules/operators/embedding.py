"""Bags of embeddings as operators, and embeddings kept to a largest norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, Term
from opcount.rules.operators.signature import named
from opcount.rules.registry import rule

_SUM, _MEAN, _MAX = 0, 1, 2


@rule("aten._embedding_bag", "aten._embedding_bag_forward_only")
def embedding_bag(operator: Any, call: Call) -> Iterator[Term]:
    """Each bag's vectors folded into one. Every entry is taken for valid and no bag for empty."""
    arguments = named(operator, call)
    entries, (bags, features), mode = arguments["indices"].elements, call.out.shape, arguments["mode"]
    if arguments["per_sample_weights"] is not None:
        yield Term("multiplication", role="sample weights", count=entries * features)
    fold = "bag_maxima" if mode == _MAX else "bag_sums"
    yield Term(fold, entries=entries, bags=bags, features=features)
    if mode == _MEAN:
        yield Term("division", role="mean", count=call.out.elements)


@rule("aten.embedding_renorm")
def renormalization(operator: Any, call: Call) -> Iterator[Term]:
    """Each vector's norm, a comparison with the largest allowed, and the vector scaled to it."""
    arguments = named(operator, call)
    rows, length = arguments["indices"].elements, arguments["self"].shape[1]
    yield Term("vector_norm", role="renormalization", rows=rows, length=length, norm=float(arguments["norm_type"]))
    yield Term("each", role="renormalization", count=rows, comparisons=1, divisions=1)
    yield Term("multiplication", role="renormalization", count=rows * length)
