"""Attention: projections, scores, softmax, values; the same terms whichever kernel PyTorch takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree
from opcount.rules.functions import attention_terms
from opcount.rules.registry import rule


@rule(nn.MultiheadAttention)
def multihead_attention(layer: Any, call: Call) -> Iterator[Term]:
    """Three projections in, attention in each head, one projection out; the weights' mean over heads if returned."""
    query, key, value = (call.argument(place, name) for place, name in enumerate(("query", "key", "value")))
    width, heads = layer.embed_dim, layer.num_heads
    for role, given in (("query", query), ("key", key), ("value", value)):
        yield from _projection(role, given, width, layer.in_proj_bias is not None)
    batch, queries, keys = _sizes(layer, query, key)
    keys += (layer.bias_k is not None) + bool(layer.add_zero_attn)
    masks = call.argument(3, "key_padding_mask"), call.argument(5, "attn_mask")
    yield from attention_terms(
        rows=product((batch, heads, queries)),
        sources=keys,
        features=width // heads,
        width=width // heads,
        masks=sum(map(_is_added, masks)),
        dropout=call.training and layer.dropout > 0,
    )
    yield from _projection("output", query, width, layer.out_proj.bias is not None)
    if call.argument(4, "need_weights", True) and call.argument(6, "average_attn_weights", True):
        yield Term("means", role="averaged weights", rows=product((batch, queries, keys)), length=heads)


def _projection(role: str, given: TensorSpec, width: int, bias: bool) -> Iterator[Term]:
    """Every vector of a tensor projected to the attention's width."""
    outputs = product((*given.shape[:-1], width))
    yield Term("dots", role=f"{role} projection", count=outputs, length=given.shape[-1])
    if bias:
        yield Term("bias", role="bias", count=outputs)


def _sizes(layer: Any, query: TensorSpec, key: TensorSpec) -> tuple[int, int, int]:
    """Samples, queries and keys; an unbatched query is one sample."""
    if len(query.shape) == 2:
        return 1, query.shape[0], key.shape[0]
    batch, sequence = (0, 1) if layer.batch_first else (1, 0)
    return query.shape[batch], query.shape[sequence], key.shape[sequence]


def _is_added(mask: Tree) -> bool:
    return isinstance(mask, TensorSpec) and mask.floating
