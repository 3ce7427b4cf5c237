"""Attention layers: by hand, against loops over random configurations, and the same on every path PyTorch takes."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from opcount import Convention, OpCount, profile
from tests.agreement import normal, of, running
from tests.reference import attention

sizes = st.integers(1, 3)


def parameters(layer):
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


def masks(kind, shape):
    """No mask, one that selects (never everything), one that is added."""
    return {"none": None, "bool": torch.zeros(shape, dtype=torch.bool), "float": normal(*shape)}[kind]


@given(st.data())
def test_multi_head_attention(data):
    heads, width = data.draw(sizes), data.draw(sizes)
    embedded, batch, queries, keys = heads * width, *(data.draw(sizes) for _ in range(3))
    options = {name: data.draw(st.booleans()) for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")}
    kdim, vdim = data.draw(st.sampled_from([(embedded, embedded), (3, 5)]))
    layer = nn.MultiheadAttention(embedded, heads, kdim=kdim, vdim=vdim, **options).double()
    q, k, v = normal(batch, queries, embedded), normal(batch, keys, kdim), normal(batch, keys, vdim)
    kind = data.draw(st.sampled_from(["none", "bool", "float"]))
    padding = masks(data.draw(st.sampled_from(["none", kind])), (batch, keys))
    mask = masks(kind, data.draw(st.sampled_from([(queries, keys), (batch * heads, queries, keys)])))
    returned, average = data.draw(st.booleans()), data.draw(st.booleans())
    expected = running(
        attention.multi_head_attention,
        *(q, k, v),
        **parameters(layer),
        attn_mask=mask,
        key_padding_mask=padding,
        need_weights=returned,
        average=average,
    )
    given_inputs = (q, k, v) if layer.batch_first else tuple(x.transpose(0, 1) for x in (q, k, v))
    keywords = {"attn_mask": mask, "key_padding_mask": padding}
    assert of(layer, *given_inputs, **keywords, need_weights=returned, average_attn_weights=average) == expected
    positional = (*given_inputs, padding, returned, mask, average)
    assert of(layer, *positional) == expected


@pytest.mark.parametrize("batch_first", [False, True])
def test_an_unbatched_query_is_one_sample(batch_first):
    layer = nn.MultiheadAttention(4, 2, batch_first=batch_first)
    one = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5, 4)
    batched = tuple(x.unsqueeze(0 if batch_first else 1) for x in one)
    assert of(layer, *one) == of(layer, *batched)
    assert of(layer, *one, key_padding_mask=torch.zeros(5)) == of(layer, *batched, key_padding_mask=torch.zeros(1, 5))


def test_dropout_falls_on_the_scores_in_training_only():
    plain, dropping = nn.MultiheadAttention(4, 2), nn.MultiheadAttention(4, 2, dropout=0.5)
    inputs = torch.randn(3, 2, 4), torch.randn(5, 2, 4), torch.randn(5, 2, 4)
    scores = 2 * 2 * 3 * 5
    assert of(dropping, *inputs) == of(plain, *inputs) + OpCount(multiplications=scores, comparisons=scores)
    assert of(dropping.eval(), *inputs) == of(plain, *inputs)


def test_by_hand():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(1, 3, 4)
    macs = 4 * 3 * 4 * 4 + 2 * 9 * 2 + 2 * 3 * 2 * 3
    additions = 4 * 12 * (3 + 1) + 18 * 1 + 2 * 3 * (3 + 2) + 12 * 2
    expected = OpCount(macs + 18, additions, 18, 12, 18, macs)
    assert of(layer, x, x, x, need_weights=False) == expected
    averaged = OpCount(additions=9, divisions=9)
    assert of(layer, x, x, x) == expected + averaged
    without = profile(layer, (x, x, x), convention=Convention(bias=False)).ops
    assert without == expected + averaged + OpCount(additions=-4 * 12)


@pytest.mark.parametrize("weights", [False, True])
def test_every_path_costs_the_same(weights):
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(2, 5, 8)
    slow = of(layer, x, x, x, need_weights=weights)
    with torch.no_grad():
        assert of(layer.eval(), x, x, x, need_weights=weights) == slow
    with torch.inference_mode():
        assert of(layer, x, x, x, need_weights=weights) == slow


def encoder_layer(**options):
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options).double().eval()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_layer_is_its_parts_on_the_fused_path_too(norm_first, fused):
    layer, x = encoder_layer(norm_first=norm_first), normal(2, 3, 8)
    expected = running(
        attention.transformer_encoder_layer,
        x,
        attention=parameters(layer.self_attn),
        first=(layer.linear1.weight, layer.linear1.bias),
        second=(layer.linear2.weight, layer.linear2.bias),
        norms=[(layer.norm1.weight, layer.norm1.bias), (layer.norm2.weight, layer.norm2.bias)],
        norm_first=norm_first,
    )
    with torch.set_grad_enabled(not fused):
        assert of(layer, x) == expected


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize(("masked", "causal"), [*product([False, True], repeat=2)])
def test_an_encoder_is_its_layers(masked, causal):
    stack = nn.TransformerEncoder(encoder_layer(), 3, enable_nested_tensor=True).eval()
    x = normal(2, 3, 8)
    options = {}
    if masked:
        options["src_key_padding_mask"] = torch.tensor([[False, False, True], [False, False, False]])
    if causal:
        options |= {"mask": nn.Transformer.generate_square_subsequent_mask(3).double(), "is_causal": True}
    layer_options = {"src_mask" if name == "mask" else name: value for name, value in options.items()}
    expected = 3 * of(encoder_layer(), x, **layer_options)
    assert of(stack, x, **options) == expected
    with torch.no_grad():
        assert of(stack, x, **options) == expected


@pytest.mark.parametrize("training", [False, True])
def test_a_whole_transformer_is_its_stacks(training):
    options = {"dropout": 0.0, "batch_first": True}
    whole = nn.Transformer(8, 2, 2, 2, 12, **options).double().train(training)
    source, target = normal(2, 5, 8), normal(2, 3, 8)
    expected = of(whole.encoder, source) + of(whole.decoder, target, source)
    assert of(whole, source, target) == expected
    with torch.no_grad():
        assert of(whole, source, target) == expected
    one = whole.decoder.layers[0]
    assert of(whole.decoder, target, source) == 2 * of(one, target, source) + of(whole.decoder.norm, target)


def test_a_decoder_layer_by_its_parts():
    layer = nn.TransformerDecoderLayer(8, 2, 12, batch_first=True).double().eval()
    target, source = normal(2, 3, 8), normal(2, 5, 8)
    parts = [
        of(layer.self_attn, target, target, target, need_weights=False),
        of(layer.multihead_attn, target, source, source, need_weights=False),
        of(layer.linear1, target),
        of(layer.linear2, normal(2, 3, 12)),
        OpCount(comparisons=2 * 3 * 12),
        3 * of(layer.norm1, target),
        3 * OpCount(additions=2 * 3 * 8),
    ]
    assert of(layer, target, source) == sum(parts, OpCount())
