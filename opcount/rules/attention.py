"""Attention: projections, scores, softmax, values; the same terms whichever kernel PyTorch takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree
from opcount.rules.linear import bias_terms
from opcount.rules.normalization import affine_terms
from opcount.rules.reading import Given, given
from opcount.rules.registry import rule


@rule(
    F.scaled_dot_product_attention,
    "aten.scaled_dot_product_attention",
    "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_attention_math_for_mps",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_fused_attention_overrideable",
)
def attention(subject: Any, call: Call) -> Iterator[Term]:
    """Scores, scale, a float mask added, softmax, dropout, and the weighted values, by the query's heads."""
    asked = given(subject, call)
    rows, sources = product(call.out.shape[:-1]), asked.key.shape[-2]
    samples = [(rows, sources)]
    if asked.query.lengths:  # of a nested tensor each sample attends to itself alone
        heads = rows // max(sum(asked.query.lengths), 1)
        samples = [(heads * own, others) for own, others in zip(asked.query.lengths, asked.key.lengths)]
    mask = asked.get("attn_mask", asked.get("attn_bias"))
    for rows, sources in samples:
        yield from attention_terms(
            rows=rows,
            sources=sources,
            features=asked.query.shape[-1],
            width=asked.value.shape[-1],
            masks=int(is_added(mask)),
            dropout=(asked.dropout_p or 0.0) > 0,
        )


@rule("aten._flash_attention_forward", "aten._efficient_attention_forward")
def attention_of_positions_first(operator: Any, call: Call) -> Iterator[Term] | None:
    """Kernels that take positions before heads; sequences joined end to end are uncounted, their lengths unknown."""
    asked = given(operator, call)
    if asked.get("cum_seq_q", asked.get("cu_seqlens_q")) is not None:
        return None
    batch, queries, heads, features = asked.query.shape
    return attention_terms(
        rows=product((batch, heads, queries)),
        sources=asked.key.shape[1],
        features=features,
        width=asked.value.shape[-1],
        masks=int(is_added(asked.get("bias"))),
        dropout=asked.dropout_p > 0,
    )


@rule(nn.MultiheadAttention)
def multihead_attention(layer: Any, call: Call) -> Iterator[Term]:
    """Three projections in, attention in each head, one projection out; the weights' mean over heads if returned."""
    asked = given(layer, call)
    yield from _multihead(
        asked,
        heads=layer.num_heads,
        width=layer.embed_dim,
        batch_first=layer.batch_first,
        keys=_keys(asked, layer.batch_first) + (layer.bias_k is not None) + bool(layer.add_zero_attn),
        biases=(layer.in_proj_bias, layer.out_proj.bias),
        masks=(asked.key_padding_mask, asked.attn_mask),
        dropout=call.training and layer.dropout > 0,
    )


@rule(F.multi_head_attention_forward)
def functional_multihead_attention(function: Any, call: Call) -> Iterator[Term]:
    """The same, its weights passed in; static keys take the place of those projected."""
    asked = given(function, call)
    keys = asked.static_k.shape[1] if asked.static_k is not None else _keys(asked, batch_first=False)
    yield from _multihead(
        asked,
        heads=asked.num_heads,
        width=asked.embed_dim_to_check,
        batch_first=False,
        keys=keys + (asked.bias_k is not None) + bool(asked.add_zero_attn),
        biases=(asked.in_proj_bias, asked.out_proj_bias),
        masks=(asked.key_padding_mask, asked.attn_mask),
        dropout=asked.training and asked.dropout_p > 0,
    )


@rule("aten._native_multi_head_attention")
def native_multihead_attention(operator: Any, call: Call) -> Iterator[Term]:
    """The same in one kernel."""
    asked = given(operator, call)
    yield from _multihead(
        asked,
        heads=asked.num_head,
        width=asked.embed_dim,
        batch_first=True,
        keys=_keys(asked, batch_first=True),
        biases=(asked.qkv_bias, asked.proj_bias),
        masks=(asked.mask,),
    )


@rule("aten._transformer_encoder_layer_fwd")
def encoder_layer(operator: Any, call: Call) -> Iterator[Term]:
    """A whole encoder layer in one kernel: self-attention, two linear layers, two norms, two residual additions."""
    asked = given(operator, call)
    source, width, hidden = asked.src, asked.embed_dim, asked.ffn_weight_1.shape[0]
    elements = source.elements
    rows = elements // width if width else 0
    itself = Given({"query": source, "key": source, "value": source, "need_weights": False})
    yield from _multihead(
        itself,
        heads=asked.num_heads,
        width=width,
        batch_first=True,
        keys=_keys(itself, batch_first=True),
        biases=(asked.qkv_bias, asked.proj_bias),
        masks=(asked.mask,),
    )
    yield from _projected("feed forward in", product((rows, hidden)), width, asked.ffn_bias_1)
    yield Term("gelu" if asked.use_gelu else "relu", count=product((rows, hidden)))
    yield from _projected("feed forward out", elements, hidden, asked.ffn_bias_2)
    for norm in ("1", "2"):
        yield Term("addition", role="residual", count=elements)
        yield Term("normalization", rows=rows, length=width)
        yield from affine_terms(asked.get(f"norm_weight_{norm}"), asked.get(f"norm_bias_{norm}"), elements)


def attention_terms(
    rows: int, sources: int, features: int, width: int, *, masks: int = 0, dropout: bool = False
) -> Iterator[Term]:
    """Attention of ``rows`` query positions (heads and batch included) over ``sources`` positions.

    Args:
        features, width: sizes of a head's keys and of its values.
        masks: how many float masks are added to the scores.
    """
    scores = product((rows, sources))
    yield Term("dots", role="scores", count=scores, length=features)
    yield Term("multiplication", role="scale", count=scores)
    if masks:
        yield Term("addition", role="mask", count=masks * scores)
    yield Term("softmax", role="weights", rows=rows, length=sources)
    if dropout:
        yield Term("each", role="dropout", count=scores, comparisons=1, multiplications=1)
    yield Term("dots", role="values", count=product((rows, width)), length=sources)


def is_added(mask: Tree) -> bool:
    """Whether a mask is added to the scores: a boolean one only selects."""
    return isinstance(mask, TensorSpec) and mask.floating


def _multihead(
    asked: Given,
    *,
    heads: int,
    width: int,
    batch_first: bool,
    keys: int,
    biases: tuple[Tree, Tree],
    masks: tuple[Tree, ...],
    dropout: bool = False,
) -> Iterator[Term]:
    """Attention with its projections, whoever was asked for it.

    Args:
        keys: positions attended to, those beside the key's own included.
        biases: of the projections in and of the one out; None for none.
    """
    query = asked.query
    for role in ("query", "key", "value"):
        tensor = getattr(asked, role)
        outputs = product((*tensor.shape[:-1], width))
        yield from _projected(f"{role} projection", outputs, tensor.shape[-1], biases[0])
    batch, queries = batch_and_positions(query, batch_first)
    head = width // heads
    yield from attention_terms(
        rows=product((batch, heads, queries)),
        sources=keys,
        features=head,
        width=head,
        masks=sum(map(is_added, masks)),
        dropout=dropout,
    )
    yield from _projected("output projection", product((batch, queries, width)), width, biases[1])
    if asked.need_weights and asked.average_attn_weights:
        yield Term("means", role="averaged weights", rows=product((batch, queries, keys)), length=heads)


def _projected(role: str, outputs: int, length: int, bias: Tree) -> Iterator[Term]:
    yield Term("dots", role=role, count=outputs, length=length)
    yield from bias_terms(bias, outputs)


def _keys(asked: Given, batch_first: bool) -> int:
    return batch_and_positions(asked.key, batch_first)[1]


def batch_and_positions(tensor: TensorSpec, batch_first: bool) -> tuple[int, int]:
    """Samples, and positions of each; what is not batched is one sample."""
    if len(tensor.shape) == 2:
        return 1, tensor.shape[0]
    first, second, _ = tensor.shape
    return (first, second) if batch_first else (second, first)
