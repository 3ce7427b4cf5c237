"""Attention as operators: the kernels PyTorch chooses among, all by the one definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term
from opcount.rules.functions import attention_terms, is_added
from opcount.rules.operators.signature import named
from opcount.rules.registry import rule


@rule(
    "aten.scaled_dot_product_attention",
    "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_fused_attention_overrideable",
)
def attention(operator: Any, call: Call) -> Iterator[Term]:
    """Heads and batch lead, positions and features follow, whichever kernel it is."""
    arguments = named(operator, call)
    query, key, value = arguments["query"], arguments["key"], arguments["value"]
    mask = arguments.get("attn_mask", arguments.get("attn_bias"))
    yield from attention_terms(
        rows=product(call.out.shape[:-1]),
        sources=key.shape[-2],
        features=query.shape[-1],
        width=value.shape[-1],
        masks=int(is_added(mask)),
        dropout=(arguments.get("dropout_p") or 0.0) > 0,
    )


@rule("aten._native_multi_head_attention")
def multihead_attention(operator: Any, call: Call) -> Iterator[Term]:
    """Self-attention in one kernel: three projections in, attention in each head, one projection out."""
    arguments = named(operator, call)
    query, key, heads = arguments["query"], arguments["key"], arguments["num_head"]
    yield from _self_attention(query, key, heads, is_added(arguments["mask"]))
    if arguments["need_weights"] and arguments["average_attn_weights"]:
        rows = product((*query.shape[:2], key.shape[1]))
        yield Term("means", role="averaged weights", rows=rows, length=heads)


@rule("aten._transformer_encoder_layer_fwd")
def encoder_layer(operator: Any, call: Call) -> Iterator[Term]:
    """A whole encoder layer in one kernel: self-attention, two linear layers, two norms, two residual additions."""
    arguments = named(operator, call)
    source, hidden = arguments["src"], arguments["ffn_weight_1"].shape[0]
    elements, width = source.elements, arguments["embed_dim"]
    rows = elements // width if width else 0
    yield from _self_attention(source, source, arguments["num_heads"], is_added(arguments["mask"]))
    yield from _linear("feed forward in", rows * hidden, width)
    yield Term("gelu" if arguments["use_gelu"] else "relu", count=rows * hidden)
    yield from _linear("feed forward out", elements, hidden)
    yield Term("addition", role="residual", count=2 * elements)
    yield Term("normalization", rows=2 * rows, length=width)
    yield Term("multiplication", role="weight", count=2 * elements)
    yield Term("addition", role="shift", count=2 * elements)


def _self_attention(query: TensorSpec, key: TensorSpec, heads: int, masked: bool) -> Iterator[Term]:
    batch, length, width = query.shape
    for role, given in (("query", query), ("key", key), ("value", key)):
        yield from _linear(f"{role} projection", given.elements, width)
    head = width // heads
    rows = product((batch, heads, length))
    yield from attention_terms(rows=rows, sources=key.shape[1], features=head, width=head, masks=int(masked))
    yield from _linear("output projection", query.elements, width)


def _linear(role: str, outputs: int, length: int) -> Iterator[Term]:
    yield Term("dots", role=role, count=outputs, length=length)
    yield Term("bias", role="bias", count=outputs)
