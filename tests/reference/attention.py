"""Scaled dot-product attention, multi-head attention, and the encoder layer around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.reference.activation import relu
from tests.reference.geometry import cells
from tests.reference.linear import linear
from tests.reference.machine import Array, dot, objects, total
from tests.reference.normalization import layer_norm
from tests.reference.softmax import softmax_row

Drawn = tuple[float, Array]  # dropout: p, and a uniform number per score


def _masked(score: Any, entry: Any) -> Any:
    """A float mask is added; a bool one keeps the score or puts -∞ in its place."""
    if isinstance(entry, bool | np.bool_):
        return score if entry else score.like(-math.inf)
    return score + entry


def _attend(
    queries: Array, keys: Array, values: Array, scale: float, masks: Sequence[Array], drawn: Drawn | None
) -> tuple[Array, Array]:
    """One head: q (L, E), k (S, E), v (S, Ev), masks (L, S) with True for what takes part. Its output and its weights.

    softmax(q kᵀ · scale + mask) v, with nothing skipped where a mask hides it.
    """
    output = objects((len(queries), values.shape[1]))
    weights = objects((len(queries), len(keys)))
    for i, query in enumerate(queries):
        scores = []
        for j, key in enumerate(keys):
            score = dot(list(query), list(key)) * scale
            for mask in masks:
                score = _masked(score, mask[i, j])
            scores.append(score)
        for j, weight in enumerate(softmax_row(scores)):
            weights[i, j] = weight if drawn is None else _dropped(weight, drawn[0], drawn[1][i, j])
        for e in range(values.shape[1]):
            output[i, e] = dot(list(weights[i]), list(values[:, e]))
    return output, weights


def _dropped(weight: Any, p: float, uniform: Any) -> Any:
    return weight * (0.0 if uniform < p else 1.0 / (1.0 - p))


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout_p: float = 0.0,
    uniform: Array | None = None,
) -> Array:
    """torch.nn.functional.scaled_dot_product_attention on q (..., L, E), k (..., S, E), v (..., S, Ev).

    With `enable_gqa` the third axis from the right is heads, and each key head serves as many query heads as there
    are for it. `uniform` (..., L, S) holds the random numbers of a dropout on the weights.
    """
    if enable_gqa:
        key, value = (np.repeat(array, query.shape[-3] // array.shape[-3], axis=-3) for array in (key, value))
    length, source = query.shape[-2], key.shape[-2]
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    q, k, v = (np.broadcast_to(array, (*lead, *array.shape[-2:])) for array in (query, key, value))
    masks = [] if mask is None else [np.broadcast_to(mask, (*lead, length, source))]
    if is_causal:
        masks.append(np.broadcast_to(np.tri(length, source, dtype=bool), (*lead, length, source)))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    output = objects((*lead, length, value.shape[-1]))
    for place in cells(lead):
        drawn = None if uniform is None else (dropout_p, uniform[place])
        output[place], _ = _attend(q[place], k[place], v[place], factor, [each[place] for each in masks], drawn)
    return output


def multi_head_attention(
    query: Array,
    key: Array,
    value: Array,
    *,
    heads: int,
    in_weights: Sequence[Array],
    in_bias: Array | None = None,
    out_weight: Array,
    out_bias: Array | None = None,
    bias_k: Array | None = None,
    bias_v: Array | None = None,
    add_zero_attn: bool = False,
    attn_mask: Array | None = None,
    key_padding_mask: Array | None = None,
    need_weights: bool = True,
    average: bool = True,
    dropout_p: float = 0.0,
    uniform: Array | None = None,
) -> tuple[Array, Array | None]:
    """torch.nn.MultiheadAttention on q (N, L, E), k (N, S, kdim), v (N, S, vdim).

    Three projections `in_weights`, the heads' attention, and the output's projection. `bias_k`, `bias_v` and
    `add_zero_attn` each append a source position that no mask hides. Masks are as the layer takes them, True for what
    is hidden: `attn_mask` (L, S) or (N · heads, L, S), `key_padding_mask` (N, S). Returns the output and, with
    `need_weights`, the weights: averaged over heads (N, L, S) or by head (N, heads, L, S). `uniform` (N, heads, L, S)
    draws a dropout on the weights.
    """
    biases: Any = (None, None, None) if in_bias is None else np.split(in_bias, 3)
    q, k, v = (linear(*operands) for operands in zip((query, key, value), in_weights, biases, strict=True))
    if bias_k is not None and bias_v is not None:
        k, v = _appended(k, bias_k.reshape(-1)), _appended(v, bias_v.reshape(-1))
    if add_zero_attn:
        k, v = _appended(k, _zeros(k[0, 0])), _appended(v, _zeros(v[0, 0]))
    batch, length, width = q.shape
    size, source = width // heads, k.shape[1]

    joined, by_head = objects(q.shape), objects((batch, heads, length, source))
    for n, head in cells((batch, heads)):
        part = slice(head * size, (head + 1) * size)
        masks = []
        if key_padding_mask is not None:
            masks.append(_reaching(np.broadcast_to(key_padding_mask[n], (length, key.shape[1])), source))
        if attn_mask is not None:
            masks.append(_reaching(attn_mask if attn_mask.ndim == 2 else attn_mask[n * heads + head], source))
        drawn = None if uniform is None else (dropout_p, uniform[n, head])
        joined[n, :, part], by_head[n, head] = _attend(
            q[n, :, part], k[n, :, part], v[n, :, part], 1 / math.sqrt(size), masks, drawn
        )
    output = linear(joined, out_weight, out_bias)
    if not need_weights:
        return output, None
    if not average:
        return output, by_head
    averaged = objects((batch, length, source))
    for n, i, j in cells(averaged.shape):
        averaged[n, i, j] = total(by_head[n, :, i, j]) / heads
    return output, averaged


def _appended(rows: Array, row: Array) -> Array:
    """One more source position in every sample."""
    return np.concatenate([rows, np.broadcast_to(row, (rows.shape[0], 1, rows.shape[2]))], axis=1)


def _zeros(row: Array) -> Array:
    zeros = objects(row.shape)
    for place in cells(row.shape):
        zeros[place] = row[place].like(0.0)
    return zeros


def _reaching(mask: Array, source: int) -> Array:
    """A layer's mask (L, S) as one of what takes part, appended positions included."""
    if mask.dtype == bool:
        mask = ~mask
        more: Any = True
    else:
        more = mask.flat[0].like(0.0)
    wider = np.empty((mask.shape[0], source), dtype=mask.dtype)
    wider[:] = more
    wider[:, : mask.shape[1]] = mask
    return wider


def transformer_encoder_layer(
    inputs: Array,
    *,
    attention: dict[str, Any],
    first: tuple[Array, Array | None],
    second: tuple[Array, Array | None],
    norms: Sequence[tuple[Array, Array | None]],
    norm_first: bool = False,
    **masks: Any,
) -> Array:
    """torch.nn.TransformerEncoderLayer in eval with its ReLU, on (N, L, E).

    x + attention and x + feed-forward, each normalized afterwards or, with `norm_first`, before. `attention` holds the
    parameters of `multi_head_attention`; the others are (weight, bias) of the two linear layers and the two norms.
    """

    def attend(x: Array) -> Array:
        return multi_head_attention(x, x, x, need_weights=False, **attention, **masks)[0]

    def feed_forward(x: Array) -> Array:
        hidden: Array = relu(linear(x, *first))
        return linear(hidden, *second)

    def summed(x: Array, y: Array) -> Array:
        output = objects(x.shape)
        for place in cells(x.shape):
            output[place] = x[place] + y[place]
        return output

    for block, (weight, bias) in zip((attend, feed_forward), norms, strict=True):
        if norm_first:
            inputs = summed(inputs, block(layer_norm(inputs, 1, weight, bias)))
        else:
            inputs = layer_norm(summed(inputs, block(inputs)), 1, weight, bias)
    return inputs
