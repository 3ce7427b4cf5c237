"""Softmax and attention: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.reference import attention, softmax
from tests.reference.checking import counted
from tests.reference.machine import Tally


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def plus(*tallies: Tally) -> Tally:
    return Tally(**{name: sum(getattr(tally, name) for tally in tallies) for name in Tally().figures()})


def dots(number: int, length: int) -> Tally:
    return Tally(number * length, number * max(length - 1, 0), macs=number * length)


def rows_of_softmax(rows: int, length: int) -> Tally:
    return Tally(0, rows * (2 * length - 1), rows * length, rows * (length - 1), rows * length)


def heads_of_attention(heads: int, queries: int, keys: int, width: int, value_width: int | None = None) -> Tally:
    """L·S dots of E, L·S products with the scale, softmax over S, L·Ev dots of S; per head."""
    scores = heads * queries * keys
    return plus(
        dots(scores, width),
        Tally(scores),
        rows_of_softmax(heads * queries, keys),
        dots(heads * queries * (width if value_width is None else value_width), keys),
    )


@pytest.mark.parametrize(("shape", "axis"), [((5,), 0), ((3, 4), 1), ((3, 4), 0), ((2, 3, 4), -2), ((2, 1), 1)])
def test_softmax_and_its_relatives(shape, axis):
    inputs = normal(*shape)
    length = shape[axis]
    rows = inputs.numel() // length
    compares, shift, sums = rows * (length - 1), rows * length, rows * (length - 1)
    expected = Tally(0, shift + sums, rows * length, compares, rows * length)
    assert counted(inputs.softmax(axis), softmax.softmax, inputs, axis) == expected
    assert counted(F.softmin(inputs, axis), softmax.softmin, inputs, axis) == expected
    logarithm = Tally(0, 2 * shift + sums, 0, compares, rows * length + rows)
    assert counted(inputs.log_softmax(axis), softmax.log_softmax, inputs, axis) == logarithm
    one = Tally(0, shift + sums + rows, 0, compares, rows * length + rows)
    assert counted(inputs.logsumexp(axis), softmax.logsumexp, inputs, axis) == one


def test_softmax_by_hand():
    row = normal(4)
    # 3 comparisons, 4 shifts, 4 exp, 3 sums, 4 quotients; the logarithm's: 4 more differences, one log, no quotient
    assert counted(row.softmax(0), softmax.softmax, row) == Tally(0, 7, 4, 3, 4)
    assert counted(row.log_softmax(0), softmax.log_softmax, row) == Tally(0, 11, 0, 3, 5)


@pytest.mark.parametrize(("lead", "queries", "keys", "width", "value_width"), [((), 2, 3, 4, 4), ((2, 3), 3, 2, 2, 5)])
def test_scaled_dot_product_attention(lead, queries, keys, width, value_width):
    q, k, v = normal(*lead, queries, width), normal(*lead, keys, width), normal(*lead, keys, value_width)
    heads = torch.Size(lead).numel()
    plain = heads_of_attention(heads, queries, keys, width, value_width)
    function = attention.scaled_dot_product_attention

    def expected(**options):
        return F.scaled_dot_product_attention(q, k, v, **options)

    assert counted(expected(), function, q, k, v) == plain
    assert counted(expected(scale=1.0), function, q, k, v, scale=1.0) == plain
    assert counted(expected(is_causal=True), function, q, k, v, is_causal=True) == plain
    hidden = torch.rand(queries, keys) > 0.4
    hidden[:, 0] = True
    assert counted(expected(attn_mask=hidden), function, q, k, v, hidden.numpy()) == plain
    added = normal(queries, keys)
    summed = plus(plain, Tally(0, heads * queries * keys))
    assert counted(expected(attn_mask=added), function, q, k, v, added) == summed


def test_attention_by_hand():
    q, k, v = normal(2, 4), normal(3, 4), normal(3, 4)
    # 6 dots of 4 (24 mul, 18 add), 6 scales, softmax of 2 rows of 3, 8 dots of 3 (24 mul, 16 add)
    spent = counted(F.scaled_dot_product_attention(q, k, v), attention.scaled_dot_product_attention, q, k, v)
    assert spent == Tally(24 + 6 + 24, 18 + 10 + 16, 6, 4, 6, macs=48)


def test_grouped_query_attention_counts_by_the_query_heads():
    q, k, v = normal(2, 4, 3, 2), normal(2, 2, 3, 2), normal(2, 2, 3, 2)
    expected = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    spent = counted(expected, attention.scaled_dot_product_attention, q, k, v, enable_gqa=True)
    assert spent == heads_of_attention(8, 3, 3, 2)


def test_dropout_on_the_scores():
    q, k, v = normal(2, 3), normal(4, 3), normal(4, 3)
    nothing_dropped = torch.ones(2, 4, dtype=torch.float64)
    options = {"dropout_p": 0.5, "uniform": nothing_dropped}
    expected = 2 * F.scaled_dot_product_attention(q, k, v)
    spent = counted(expected, attention.scaled_dot_product_attention, q, k, v, **options)
    assert spent == plus(heads_of_attention(1, 2, 4, 3), Tally(8, comparisons=8))


def parameters(layer: nn.MultiheadAttention) -> dict[str, object]:
    """A layer's parameters as the loop takes them."""
    if layer.in_proj_weight is not None:
        weights = layer.in_proj_weight.chunk(3)
    else:
        weights = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
    return {
        "heads": layer.num_heads,
        "in_weights": weights,
        "in_bias": layer.in_proj_bias,
        "out_weight": layer.out_proj.weight,
        "out_bias": layer.out_proj.bias,
        "bias_k": layer.bias_k,
        "bias_v": layer.bias_v,
        "add_zero_attn": layer.add_zero_attn,
    }


def projection(rows: int, outputs: int, inputs: int, bias: bool) -> Tally:
    return plus(dots(rows * outputs, inputs), Tally(0, rows * outputs if bias else 0))


@pytest.mark.parametrize(
    ("bias", "add_bias_kv", "add_zero_attn", "sizes"),
    [*itertools.product([True, False], [True, False], [True, False], [{}]), (True, True, True, {"kdim": 3, "vdim": 5})],
)
@pytest.mark.parametrize("heads", [1, 2])
def test_multi_head_attention(heads, bias, add_bias_kv, add_zero_attn, sizes):
    options = {"bias": bias, "add_bias_kv": add_bias_kv, "add_zero_attn": add_zero_attn, "batch_first": True}
    layer = nn.MultiheadAttention(4, heads, **options, **sizes).double()
    batch, queries, keys = 2, 3, 2
    kdim, vdim = sizes.get("kdim", 4), sizes.get("vdim", 4)
    q, k, v = normal(batch, queries, 4), normal(batch, keys, kdim), normal(batch, keys, vdim)
    source = keys + add_bias_kv + add_zero_attn
    spent = plus(
        projection(batch * queries, 4, 4, bias),
        projection(batch * keys, 4, kdim, bias),
        projection(batch * keys, 4, vdim, bias),
        heads_of_attention(batch * heads, queries, source, 4 // heads),
        projection(batch * queries, 4, 4, bias),
    )
    given = parameters(layer)
    output, averaged = layer(q, k, v)
    averages = Tally(0, batch * queries * source * (heads - 1), batch * queries * source)
    assert counted((output, averaged), attention.multi_head_attention, q, k, v, **given) == plus(spent, averages)
    both = layer(q, k, v, average_attn_weights=False)
    assert counted(both, attention.multi_head_attention, q, k, v, average=False, **given) == spent
    alone = counted((output, None), attention.multi_head_attention, q, k, v, need_weights=False, **given)
    assert alone == spent


def test_masks_of_multi_head_attention():
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True).double()
    x, given = normal(2, 3, 4), parameters(layer)
    causal = torch.ones(3, 3, dtype=torch.bool).triu(1)
    padding = torch.tensor([[False, False, True], [False, False, False]])

    def spend(**masks):
        expected = layer(x, x, x, need_weights=False, **masks)
        masks = {name: mask.numpy() if mask.dtype == torch.bool else mask for name, mask in masks.items()}
        return counted(expected, attention.multi_head_attention, x, x, x, need_weights=False, **masks, **given)

    free = spend()
    assert spend(attn_mask=causal) == free
    assert spend(key_padding_mask=padding, attn_mask=causal) == free
    # heads · N · L · S, the appended position among S
    added = Tally(0, 2 * 2 * 3 * 4)
    assert spend(attn_mask=normal(3, 3)) == plus(free, added)
    assert spend(attn_mask=normal(4, 3, 3)) == plus(free, added)
    assert spend(attn_mask=normal(3, 3), key_padding_mask=normal(2, 3)) == plus(free, added, added)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_an_encoder_layer_is_its_parts_on_the_fused_path_too(norm_first, fused):
    layer = nn.TransformerEncoderLayer(4, 2, 6, norm_first=norm_first, batch_first=True).double().eval()
    x = normal(2, 3, 4)
    with torch.set_grad_enabled(not fused):
        expected = layer(x)
    given = parameters(layer.self_attn)
    spent = counted(
        expected,
        attention.transformer_encoder_layer,
        x,
        attention=given,
        first=(layer.linear1.weight, layer.linear1.bias),
        second=(layer.linear2.weight, layer.linear2.bias),
        norms=[(layer.norm1.weight, layer.norm1.bias), (layer.norm2.weight, layer.norm2.bias)],
        norm_first=norm_first,
    )
    norm = Tally(6 * 12, 6 * 15, 6 * 2, transcendentals=6)
    assert spent == plus(
        *[projection(6, 4, 4, True)] * 4,
        heads_of_attention(4, 3, 3, 2),
        projection(6, 6, 4, True),
        Tally(comparisons=36),
        projection(6, 4, 6, True),
        *[Tally(0, 24), norm] * 2,
    )
