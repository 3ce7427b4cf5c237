"""Mixtures of experts: stacked in one module or a module each, active and as if every expert ran."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn import functional as F

from opcount import profile
from opcount.experts import Experts, experts
from opcount.result import Profile
from opcount.targets import Knobs, Target, counted, load

TOKENS, HIDDEN, INNER, WORDS, LAYERS = 5, 32, 48, 64, 2
BASE = dict(num_hidden_layers=LAYERS, hidden_size=HIDDEN, intermediate_size=INNER, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=WORDS)  # fmt: skip
EACH = 3 * HIDDEN * INNER  # a gated expert's weights, and its products for a token

# name: its fields, how many of how many experts, what the field is called, parameters of an expert, layers of experts
MODELS: dict[str, tuple[dict[str, Any], int, int, str, int, int]] = {
    "MixtralForCausalLM": ({"num_local_experts": 8}, 2, 8, "num_experts_per_tok", EACH, 2),
    "Qwen2MoeForCausalLM": (
        {"num_experts": 6, "moe_intermediate_size": INNER, "shared_expert_intermediate_size": 16},
        4, 6, "num_experts_per_tok", EACH, 2,
    ),
    "Qwen3MoeForCausalLM": (
        {"num_experts": 16, "moe_intermediate_size": 24}, 3, 16, "num_experts_per_tok", 3 * HIDDEN * 24, 2,
    ),
    "GptOssForCausalLM": (
        {"head_dim": 8, "num_local_experts": 4}, 1, 4, "num_experts_per_tok", EACH + 2 * INNER + HIDDEN, 2,
    ),
    "DeepseekV3ForCausalLM": (
        {"n_routed_experts": 8, "n_shared_experts": 1, "moe_intermediate_size": 24, "first_k_dense_replace": 1,
         "n_group": 1, "topk_group": 1, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4,
         "qk_nope_head_dim": 4, "v_head_dim": 8, "num_key_value_heads": 4},
        2, 8, "num_experts_per_tok", 3 * HIDDEN * 24, 1,
    ),
    "OlmoeForCausalLM": ({"num_experts": 8}, 2, 8, "num_experts_per_tok", EACH, 2),
}  # fmt: skip


def built(name: str, chosen: int) -> tuple[Target, Profile]:
    pytest.importorskip("transformers", reason="its models are built")
    fields, _, _, field, _, _ = MODELS[name]
    target = load(f"transformers:{name}", {**BASE, **fields, field: chosen}, knobs=Knobs(seq=TOKENS))
    return target, counted(target)


@pytest.mark.parametrize("name", MODELS)
def test_active_parameters_by_hand(name: str) -> None:
    _, some, many, _, each, layers = MODELS[name]
    target, found = built(name, some)
    mixed = experts(target.model, found)
    assert mixed is not None
    assert mixed.chosen == ((some, many),)
    assert mixed.total == found.params
    assert mixed.active == found.params - layers * (many - some) * each


@pytest.mark.parametrize("name", MODELS)
def test_every_expert_costs_what_it_does_where_every_expert_is_chosen(name: str) -> None:
    """The second way: the same model that sends each token to all of its experts, counted as any other."""
    _, some, many, _, each, layers = MODELS[name]
    target, found = built(name, some)
    mixed = experts(target.model, found)
    whole, all_of_them = built(name, many)
    assert mixed is not None
    assert (mixed.macs, mixed.every) == (found.macs, all_of_them.macs)
    products = each - (2 * INNER + HIDDEN if name.startswith("Gpt") else 0)  # but for biases
    assert mixed.every - mixed.macs == layers * TOKENS * (many - some) * products
    assert experts(whole.model, all_of_them) is None  # none of them waits


def test_mixtral_by_hand() -> None:
    target, found = built("MixtralForCausalLM", 2)
    attention = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * 16 + 2 * TOKENS * HIDDEN
    active = TOKENS * (LAYERS * (attention + HIDDEN * 8 + 2 * EACH) + HIDDEN * WORDS)
    assert found.macs == active == 138_880
    mixed = experts(target.model, found)
    assert mixed is not None
    assert mixed.every == active + LAYERS * TOKENS * 6 * EACH == 415_360
    assert str(mixed).endswith("parameters active for a token (2 of 8 experts); 415,360 MACs with all")


def test_experts_of_switch_that_are_a_module_each() -> None:
    """Two experts in every second block, one for a token, in a loop over those that were hit; run for real."""
    pytest.importorskip("transformers", reason="its models are built")
    fields = dict(d_model=HIDDEN, d_kv=8, d_ff=INNER, num_heads=4, vocab_size=WORDS, num_layers=2,
                  num_decoder_layers=2, num_experts=4, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1,
                  expert_capacity=TOKENS)  # fmt: skip
    target = load("transformers:SwitchTransformersForConditionalGeneration", fields, knobs=Knobs(seq=TOKENS))
    found = counted(target)
    assert found.execution == "real"
    mixed = experts(target.model, found)
    layers = sum(record.type == "SwitchTransformersExperts" for record in found.layers)
    assert layers > 0
    assert mixed is not None
    assert mixed.chosen == ((1, 4),)
    assert mixed.active == found.params - layers * 3 * 2 * HIDDEN * INNER
    assert mixed.every - mixed.macs == layers * 3 * TOKENS * 2 * HIDDEN * INNER


class Gated(nn.Module):
    """One expert."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = (
            nn.Linear(*sizes, bias=False) for sizes in ((hidden, inner), (inner, hidden), (hidden, inner))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Routed(nn.Module):
    """A loop over experts, each of which gets the tokens that a mask picks for it."""

    def __init__(self, hidden: int, inner: int, many: int, some: int, skips: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(hidden, many, bias=False)
        self.experts = nn.ModuleList(Gated(hidden, inner) for _ in range(many))
        self.some, self.skips = some, skips

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        weights, chosen = self.gate(flat).softmax(-1).topk(self.some)
        out = torch.zeros_like(flat)
        mask = F.one_hot(chosen, len(self.experts)).permute(2, 1, 0)
        for place, expert in enumerate(self.experts):
            rank, token = torch.where(mask[place])
            if self.skips and not len(token):
                continue
            out.index_add_(0, token, expert(flat[token]) * weights[token, rank, None])
        return out.reshape(x.shape)


@given(
    sizes=st.tuples(*(st.integers(1, 6) for _ in range(4))),
    many=st.integers(2, 6),
    data=st.data(),
    skips=st.booleans(),
)
@settings(max_examples=25)
def test_experts_in_a_list_by_hand(sizes: tuple[int, ...], many: int, data: st.DataObject, skips: bool) -> None:
    """Whichever experts the router picks, all of them together get tokens times experts chosen."""
    batch, tokens, hidden, inner = sizes
    some = data.draw(st.integers(1, many - 1))
    model = nn.Sequential(Routed(hidden, inner, many, some, skips), Routed(hidden, inner, many, some, skips))
    found = profile(model, (batch, tokens, hidden))
    routing, each = batch * tokens * hidden * many, 3 * hidden * inner
    assert found.execution == "real"
    assert found.macs == 2 * (routing + batch * tokens * some * each)
    assert experts(model, found) == Experts(
        total=found.params,
        active=2 * (hidden * many + some * each),
        chosen=((some, many),),
        macs=found.macs,
        every=2 * (routing + batch * tokens * many * each),
    )


def test_a_list_that_is_no_mixture() -> None:
    """Blocks one after another are not experts, whatever they are called; neither are members of different kinds."""

    class Chain(nn.Module):
        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            self.experts = nn.ModuleList(layers)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.experts:
                x = layer(x)
            return x

    alike, different = Chain(nn.Linear(4, 4), nn.Linear(4, 4)), Chain(nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    for model in (alike, different, nn.ModuleList([nn.Linear(4, 4)])):
        if isinstance(model, Chain):
            assert experts(model, profile(model, (3, 4))) is None
