"""The gradient of attention: from the weights that are kept, whichever kernel PyTorch takes.

What a kernel works out again in the backward because it did not keep it (flash attention's scores) is its own affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree
from opcount.rules.attention import batch_and_positions, is_added
from opcount.rules.linear import linear_gradient_terms
from opcount.rules.reading import Given, given, held, needs_grad
from opcount.rules.registry import rule

_Needed = tuple[bool, bool, bool]
"""Whether the gradients of the query, the key and the value are asked for."""


@rule(F.scaled_dot_product_attention, phase="backward")
def attention_gradient(function: Any, call: Call) -> Iterator[Term]:
    """Of values, weights, scores, queries and keys: twice the contractions of the forward."""
    asked = given(function, call)
    needed = needs_grad(asked.query), needs_grad(asked.key), needs_grad(asked.value)
    yield from _attention(asked, call.out, needed, asked.attn_mask, (asked.dropout_p or 0.0) > 0)


@rule(
    "aten._scaled_dot_product_flash_attention_backward",
    "aten._scaled_dot_product_flash_attention_for_cpu_backward",
    "aten._scaled_dot_product_efficient_attention_backward",
    "aten._scaled_dot_product_cudnn_attention_backward",
    "aten._scaled_dot_product_fused_attention_overrideable_backward",
)
def attention_backward(operator: Any, call: Call) -> Iterator[Term]:
    """All three; those that are not wanted a kernel works out as well, but nobody asked for them."""
    asked = given(operator, call)
    gradient = asked.get("grad_out", asked.get("grad_out_"))
    needed = needs_grad(asked.query), needs_grad(asked.key), needs_grad(asked.value)
    mask = asked.get("attn_mask", asked.get("attn_bias"))
    yield from _attention(asked, gradient, needed if any(needed) else (True,) * 3, mask, (asked.dropout_p or 0.0) > 0)


def _attention(asked: Given, out: TensorSpec, needed: _Needed, mask: Tree, dropout: bool) -> Iterator[Term]:
    rows, sources = product(out.shape[:-1]), asked.key.shape[-2]
    samples = [(rows, sources, asked.key.elements, asked.value.elements)]
    if asked.query.lengths:  # of a nested tensor each sample attends to itself alone
        heads, features, width = rows // max(sum(asked.query.lengths), 1), asked.key.shape[-1], asked.value.shape[-1]
        samples = [
            (heads * own, others, heads * others * features, heads * others * width)
            for own, others in zip(asked.query.lengths, asked.key.lengths)
        ]
    for rows, sources, keys, values in samples:
        yield from attention_gradient_terms(
            rows=rows,
            sources=sources,
            features=asked.query.shape[-1],
            width=asked.value.shape[-1],
            keys=keys,
            values=values,
            needed=needed,
            mask=mask,
            dropout=dropout,
        )


def attention_gradient_terms(
    *,
    rows: int,
    sources: int,
    features: int,
    width: int,
    keys: int,
    values: int,
    needed: _Needed,
    mask: Tree = None,
    dropout: bool = False,
) -> Iterator[Term]:
    """The gradient of attention of ``rows`` query positions (heads and batch included) over ``sources`` positions.

    Args:
        features, width: sizes of a head's keys and of its values.
        keys, values: elements of the keys and of the values, which several queries' heads may share.
    """
    of_query, of_key, of_value = needed
    of_mask = is_added(mask) and needs_grad(mask)
    scores = product((rows, sources))
    if of_value:
        yield Term("dots_into", role="values", products=product((scores, width)), outputs=values)
    if not (of_query or of_key or of_mask):
        return
    yield Term("dots", role="weights", count=scores, length=width)
    if dropout:
        yield Term("multiplication", role="dropout", count=scores)
    yield Term("softmax_gradient", role="scores", rows=rows, length=sources)
    if of_mask:
        yield Term("addition", role="mask", count=scores - mask.elements)
    if of_query or of_key:
        yield Term("multiplication", role="scale", count=scores)
    if of_query:
        yield Term("dots", role="query", count=product((rows, features)), length=sources)
    if of_key:
        yield Term("dots_into", role="key", products=product((scores, features)), outputs=keys)


@rule(nn.MultiheadAttention, phase="backward")
def multihead_attention_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Through the projection out, each head, and the three projections in; returned weights are only looked at."""
    asked = given(layer, call)
    weights = [held(layer, name) for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight")]
    if held(layer, "in_proj_weight") is not None:
        weights = [held(layer, "in_proj_weight")] * 3
    yield from _multihead_gradient(
        asked,
        weights=weights,
        biases=(held(layer, "in_proj_bias"), layer.out_proj.bias),
        out=layer.out_proj.weight,
        rows=(held(layer, "bias_k"), held(layer, "bias_v")),
        zero=bool(layer.add_zero_attn),
        heads=layer.num_heads,
        width=layer.embed_dim,
        batch_first=layer.batch_first,
        dropout=call.training and layer.dropout > 0,
    )


def _multihead_gradient(
    asked: Given,
    *,
    weights: list[Tree],
    biases: tuple[Tree, Tree],
    out: Tree,
    rows: tuple[Tree, Tree],
    zero: bool,
    heads: int,
    width: int,
    batch_first: bool,
    dropout: bool,
) -> Iterator[Term]:
    inputs = (asked.query, asked.key, asked.value)
    batch, queries = batch_and_positions(asked.query, batch_first)
    keys = batch_and_positions(asked.key, batch_first)[1] + (rows[0] is not None) + zero
    projected = [any(map(needs_grad, (each, weight, biases[0]))) for each, weight in zip(inputs, weights)]
    learned = [projected[0], projected[1] or needs_grad(rows[0]), projected[2] or needs_grad(rows[1])]
    needed = any(learned), needs_grad(out), needs_grad(biases[1])
    yield from linear_gradient_terms(product((batch, queries)), width, width, needed, "output projection")
    head = width // heads
    yield from attention_gradient_terms(
        rows=product((batch, heads, queries)),
        sources=keys,
        features=head,
        width=head,
        keys=product((batch, keys, width)),
        values=product((batch, keys, width)),
        needed=(learned[0], learned[1], learned[2]),
        mask=asked.attn_mask,
        dropout=dropout,
    )
    for name, each, weight in zip(("query", "key", "value"), inputs, weights):
        wanted = needs_grad(each), needs_grad(weight), needs_grad(biases[0])
        features = each.shape[-1]
        positions = each.elements // features if features else 0
        yield from linear_gradient_terms(positions, features, width, wanted, f"{name} projection")
    for name, row in zip(("key", "value"), rows):
        if needs_grad(row):
            yield Term("sums", role=f"appended {name}", rows=width, length=batch)
