"""Attention: the fused call, the layer in its variants, and the blocks that transformers are made of.

The parts, for h heads, L queries, S keys and width E a head: h·L·S dots of E, a product each for the scale,
h·L softmaxes over S (S-1 comparisons, S differences, S exponentials, S-1 sums, S quotients), h·L·E dots of S.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gauntlet.case import Built, Family, module, weight

family = Family("attention")


def self_attention(self: Any, x: Tensor) -> Tensor:
    """Forward of a model whose ``attention`` layer attends from its input to itself, without weights."""
    output: Tensor = self.attention(x, x, x, need_weights=False)[0]
    return output


# h = 2, L = S = 8, E = 4.
@family.case(
    "the fused call is one operator, and on the CPU one of its own",
    macs=2 * 64 * 4 + 2 * 8 * 4 * 8,
    products=2 * 64,
    additions=2 * 64 * (4 - 1) + 2 * 8 * (8 + 7) + 2 * 8 * 4 * (8 - 1),
    divisions=2 * 64,
    comparisons=2 * 8 * 7,
    transcendentals=2 * 64,
)
def sdpa() -> Built:
    def forward(_: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    return Built(module(forward), tuple(torch.randn(3, 1, 2, 8, 4)))


@family.case(
    "three fused calls: the last costs as much as the first",
    macs=3 * (2 * 64 * 4 + 2 * 8 * 4 * 8),
    products=3 * 2 * 64,
    additions=3 * (2 * 64 * (4 - 1) + 2 * 8 * (8 + 7) + 2 * 8 * 4 * (8 - 1)),
    divisions=3 * 2 * 64,
    comparisons=3 * 2 * 8 * 7,
    transcendentals=3 * 2 * 64,
)
def sdpa_repeated() -> Built:
    def forward(_: Any, x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.scaled_dot_product_attention(x, x, x)
        return x

    return Built(module(forward), (torch.randn(1, 2, 8, 4),))


@family.case(
    "a causal mask hides scores and saves none of the definition's work",
    macs=2 * 64 * 4 + 2 * 8 * 4 * 8,
    products=2 * 64,
    additions=2 * 64 * (4 - 1) + 2 * 8 * (8 + 7) + 2 * 8 * 4 * (8 - 1),
    divisions=2 * 64,
    comparisons=2 * 8 * 7,
    transcendentals=2 * 64,
)
def sdpa_causal() -> Built:
    def forward(_: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return Built(module(forward), tuple(torch.randn(3, 1, 2, 8, 4)))


# Four query heads share two key heads; each of the four computes its own 6x6 scores of width 8.
@family.case(
    "grouped queries: the work follows the query heads",
    macs=4 * 36 * 8 + 4 * 6 * 8 * 6,
    products=4 * 36,
    additions=4 * 36 * (8 - 1) + 4 * 6 * (6 + 5) + 4 * 6 * 8 * (6 - 1),
    divisions=4 * 36,
    comparisons=4 * 6 * 5,
    transcendentals=4 * 36,
)
def sdpa_grouped_query() -> Built:
    def forward(_: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    return Built(module(forward), (torch.randn(1, 4, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)))


# 2·3 heads, L = 5, S = 7, width 4 for the scores and 6 for the values; the mask is one addition a score.
@family.case(
    "other lengths, another value width and a float mask, which is added",
    macs=6 * 35 * 4 + 6 * 5 * 6 * 7,
    products=6 * 35,
    additions=6 * 35 * (4 - 1) + 6 * 35 + 6 * 5 * (7 + 6) + 6 * 5 * 6 * (7 - 1),
    divisions=6 * 35,
    comparisons=6 * 5 * 6,
    transcendentals=6 * 35,
)
def sdpa_cross_mask() -> Built:
    def forward(self: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)

    inputs = (torch.randn(2, 3, 5, 4), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 6))
    return Built(module(forward, mask=weight(5, 7)), inputs)


# L = 6, width 16 as 2 heads of 8: two linear layers around the two products.
@family.case(
    "attention written out with matmul and softmax",
    macs=6 * 48 * 16 + 2 * 36 * 8 + 2 * 6 * 8 * 6 + 6 * 16 * 16,
    products=2 * 36,
    additions=6 * 48 * 15 + 2 * 36 * 7 + 2 * 6 * (6 + 5) + 2 * 6 * 8 * 5 + 6 * 16 * 15,
    divisions=2 * 36,
    comparisons=2 * 6 * 5,
    transcendentals=2 * 36,
)
def attention_by_hand() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(1, 6, 3, 2, 8).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q, k.transpose(-2, -1)) * 8**-0.5
        out = torch.matmul(scores.softmax(-1), v)
        result: Tensor = self.out(out.transpose(1, 2).reshape(1, 6, 16))
        return result

    model = module(forward, qkv=nn.Linear(16, 48, bias=False), out=nn.Linear(16, 16, bias=False))
    return Built(model, (torch.randn(1, 6, 16),))


# q and k pass a ReLU (6·4 each). k.T v: 4·5 dots of 6. q by that: 6·5 dots of 4. The sum of the keys: 4·(6-1)
# additions; q by it: 6 dots of 4; then one division for each of 6·5 outputs.
@family.case(
    "linear attention: the same inputs, another order of the products",
    macs=4 * 5 * 6 + 6 * 5 * 4 + 6 * 4,
    additions=4 * 5 * (6 - 1) + 6 * 5 * (4 - 1) + 4 * (6 - 1) + 6 * (4 - 1),
    divisions=6 * 5,
    comparisons=2 * 6 * 4,
)
def linear_attention() -> Built:
    def forward(_: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = q.relu(), k.relu()
        context = torch.einsum("nd,ne->de", k, v)
        out = torch.einsum("nd,de->ne", q, context)
        return out / torch.einsum("nd,d->n", q, k.sum(0)).unsqueeze(1)

    return Built(module(forward), (torch.rand(6, 4), torch.rand(6, 4), torch.rand(6, 5)))


# Width 16 as 2 heads of 8, L = 5: three projections in, one out. The averaged weights of 2 heads that are
# returned cost 1 addition and 1 division for each of 5·5 scores.
@family.case(
    "the layer with its averaged weights: out_proj is never called as a module",
    macs=4 * 5 * 16 * 16 + 2 * 25 * 8 + 2 * 5 * 8 * 5,
    products=2 * 25,
    additions=4 * 5 * 16 * 15 + 2 * 25 * 7 + 2 * 5 * (5 + 4) + 2 * 5 * 8 * 4 + 25 * (2 - 1),
    divisions=2 * 25 + 25,
    comparisons=2 * 5 * 4,
    transcendentals=2 * 25,
)
def mha() -> Built:
    def forward(self: Any, x: Tensor) -> Any:
        return self.attention(x, x, x)

    return Built(
        module(forward, attention=nn.MultiheadAttention(16, 2, bias=False, batch_first=True)),
        (torch.randn(1, 5, 16),),
    )


# As above with a bias on each of the 4·5·16 projected values, and no weights to average.
@family.case(
    "the layer's own fused path, taken in eval mode without gradients",
    macs=4 * 5 * 16 * 16 + 2 * 25 * 8 + 2 * 5 * 8 * 5,
    products=2 * 25,
    additions=4 * 5 * 16 * (15 + 1) + 2 * 25 * 7 + 2 * 5 * (5 + 4) + 2 * 5 * 8 * 4,
    divisions=2 * 25,
    comparisons=2 * 5 * 4,
    transcendentals=2 * 25,
    grad=False,
)
def mha_fused() -> Built:
    return Built(
        module(self_attention, attention=nn.MultiheadAttention(16, 2, batch_first=True)),
        (torch.randn(1, 5, 16),),
    )


# L = 5, S = 7. Queries 16->16 on 5, keys 8->16 and values 12->16 on 7, output 16->16 on 5.
@family.case(
    "keys and values of other widths and another length",
    macs=5 * 16 * 16 + 7 * 16 * 8 + 7 * 16 * 12 + 2 * 35 * 8 + 2 * 5 * 8 * 7 + 5 * 16 * 16,
    products=2 * 35,
    additions=5 * 16 * 15 + 7 * 16 * 7 + 7 * 16 * 11 + 2 * 35 * 7 + 2 * 5 * (7 + 6) + 2 * 5 * 8 * 6 + 5 * 16 * 15,
    divisions=2 * 35,
    comparisons=2 * 5 * 6,
    transcendentals=2 * 35,
)
def mha_kdim_vdim() -> Built:
    def forward(self: Any, q: Tensor, k: Tensor, v: Tensor) -> Any:
        return self.attention(q, k, v, need_weights=False)

    layer = nn.MultiheadAttention(16, 2, kdim=8, vdim=12, bias=False, batch_first=True)
    return Built(
        module(forward, attention=layer),
        (torch.randn(1, 5, 16), torch.randn(1, 7, 8), torch.randn(1, 7, 12)),
    )


# A learned key and a zero key join the 5: S = 7. Every projection has a bias.
@family.case(
    "bias_kv and zero attention: two more keys than the input has",
    macs=4 * 5 * 16 * 16 + 2 * 35 * 8 + 2 * 5 * 8 * 7,
    products=2 * 35,
    additions=4 * 5 * 16 * (15 + 1) + 2 * 35 * 7 + 2 * 5 * (7 + 6) + 2 * 5 * 8 * 6,
    divisions=2 * 35,
    comparisons=2 * 5 * 6,
    transcendentals=2 * 35,
)
def mha_bias_kv() -> Built:
    layer = nn.MultiheadAttention(16, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True)
    return Built(module(self_attention, attention=layer), (torch.randn(1, 5, 16),))
