"""Whole transformer blocks, from torch, from torchvision and written by hand.

A row of D through LayerNorm: 3D products, (D-1) + D + (D-1) + 1 + D additions (the last D the bias), 2 divisions,
1 reciprocal root. Through RMSNorm: 3D products, (D-1) + 1 additions, 1 division, 1 reciprocal root.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gauntlet.case import Built, Family, module

family = Family("blocks")


# Width 16 as 2 heads of 8, L = 5, feed-forward 32, every layer with a bias: attention (four projections, two
# products), two layers, 5·32 ReLUs, two residual additions of 5·16, two norms of 5 rows.
@family.case(
    "one fused operator for the whole layer, in eval mode without gradients",
    macs=(4 * 5 * 16 * 16 + 2 * 25 * 8 + 2 * 5 * 8 * 5) + 2 * 5 * 32 * 16,
    products=2 * 25 + 2 * 5 * 3 * 16,
    additions=(
        (4 * 5 * 16 * (15 + 1) + 2 * 25 * 7 + 2 * 5 * (5 + 4) + 2 * 5 * 8 * 4)
        + (5 * 32 * (15 + 1) + 5 * 16 * (31 + 1))
        + 2 * 5 * 16
        + 2 * 5 * (15 + 16 + 15 + 1 + 16)
    ),
    divisions=2 * 25 + 2 * 5 * 2,
    comparisons=2 * 5 * 4 + 5 * 32,
    transcendentals=2 * 25 + 2 * 5,
    grad=False,
)
def encoder_layer_fused() -> Built:
    return Built(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (torch.randn(1, 5, 16),))


@family.case(
    "the same layer while gradients are recorded: another path, the same definition",
    macs=(4 * 5 * 16 * 16 + 2 * 25 * 8 + 2 * 5 * 8 * 5) + 2 * 5 * 32 * 16,
    products=2 * 25 + 2 * 5 * 3 * 16,
    additions=(
        (4 * 5 * 16 * (15 + 1) + 2 * 25 * 7 + 2 * 5 * (5 + 4) + 2 * 5 * 8 * 4)
        + (5 * 32 * (15 + 1) + 5 * 16 * (31 + 1))
        + 2 * 5 * 16
        + 2 * 5 * (15 + 16 + 15 + 1 + 16)
    ),
    divisions=2 * 25 + 2 * 5 * 2,
    comparisons=2 * 5 * 4 + 5 * 32,
    transcendentals=2 * 25 + 2 * 5,
)
def encoder_layer() -> Built:
    return Built(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (torch.randn(1, 5, 16),))


# 4 targets attend to themselves, then to 6 of memory; no biases, in the norms neither. Cross attention projects
# 4 queries, 6 keys, 6 values and 4 outputs. Three residual additions of 4·16, three norms of 4 rows.
@family.case(
    "self attention, cross attention and two lengths",
    macs=(
        (4 * 4 * 16 * 16 + 2 * 16 * 8 + 2 * 4 * 8 * 4)
        + ((4 + 6 + 6 + 4) * 16 * 16 + 2 * 24 * 8 + 2 * 4 * 8 * 6)
        + 2 * 4 * 32 * 16
    ),
    products=2 * 16 + 2 * 24 + 3 * 4 * 3 * 16,
    additions=(
        (4 * 4 * 16 * 15 + 2 * 16 * 7 + 2 * 4 * (4 + 3) + 2 * 4 * 8 * 3)
        + ((4 + 6 + 6 + 4) * 16 * 15 + 2 * 24 * 7 + 2 * 4 * (6 + 5) + 2 * 4 * 8 * 5)
        + (4 * 32 * 15 + 4 * 16 * 31)
        + 3 * 4 * 16
        + 3 * 4 * (15 + 16 + 15 + 1)
    ),
    divisions=2 * 16 + 2 * 24 + 3 * 4 * 2,
    comparisons=2 * 4 * 3 + 2 * 4 * 5 + 4 * 32,
    transcendentals=2 * 16 + 2 * 24 + 3 * 4,
)
def decoder_layer() -> Built:
    layer = nn.TransformerDecoderLayer(16, 2, 32, batch_first=True, bias=False)
    return Built(layer, (torch.randn(1, 4, 16), torch.randn(1, 6, 16)))


# As the encoder layer, with GELU for ReLU: 3 products, 1 addition and 1 erf on each of 5·32.
@family.case(
    "torchvision's ViT block",
    macs=(4 * 5 * 16 * 16 + 2 * 25 * 8 + 2 * 5 * 8 * 5) + 2 * 5 * 32 * 16,
    products=2 * 25 + 2 * 5 * 3 * 16 + 3 * 5 * 32,
    additions=(
        (4 * 5 * 16 * (15 + 1) + 2 * 25 * 7 + 2 * 5 * (5 + 4) + 2 * 5 * 8 * 4)
        + (5 * 32 * (15 + 1) + 5 * 32 + 5 * 16 * (31 + 1))
        + 2 * 5 * 16
        + 2 * 5 * (15 + 16 + 15 + 1 + 16)
    ),
    divisions=2 * 25 + 2 * 5 * 2,
    comparisons=2 * 5 * 4,
    transcendentals=2 * 25 + 2 * 5 + 5 * 32,
)
def vit_block() -> Built:
    from torchvision.models.vision_transformer import EncoderBlock

    return Built(EncoderBlock(2, 16, 32, 0.0, 0.0), (torch.randn(1, 5, 16),))


# 8x8 tokens of 16 in 4 windows of 16, 2 heads of 8, feed-forward 64. Queries are scaled before the product
# (64·16), the position bias and the shift mask are each added to 4·2·16·16 scores. The mask itself is made at every
# call: 4·16·16 differences, and each compared with 0 twice.
@family.case(
    "torchvision's Swin block: its attention is one functional call, with linear layers that are never called",
    macs=64 * 48 * 16 + 2 * (4 * 2 * 256 * 8) + 64 * 16 * 16 + 2 * 64 * 64 * 16,
    products=64 * 16 + 2 * 64 * 3 * 16 + 3 * 64 * 64,
    additions=(
        64 * 48 * (15 + 1)
        + 4 * 2 * 256 * 7
        + (4 * 2 * 256 + 4 * 256 + 4 * 2 * 256)
        + 4 * 2 * 16 * (16 + 15)
        + 4 * 2 * 16 * 8 * 15
        + 64 * 16 * (15 + 1)
        + (64 * 64 * (15 + 1) + 64 * 64 + 64 * 16 * (63 + 1))
        + 2 * 64 * 16
        + 2 * 64 * (15 + 16 + 15 + 1 + 16)
    ),
    divisions=4 * 2 * 256 + 2 * 64 * 2,
    comparisons=2 * 4 * 256 + 4 * 2 * 16 * 15,
    transcendentals=4 * 2 * 256 + 2 * 64 + 64 * 64,
)
def swin_block() -> Built:
    from torchvision.models.swin_transformer import SwinTransformerBlock

    return Built(SwinTransformerBlock(16, 2, [4, 4], [2, 2]), (torch.randn(1, 8, 8, 16),))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding: 2 products and 1 addition an element; the negation is free."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def llama_forward(self: Any, x: Tensor) -> Tensor:
    """Pre-norm, rotary, grouped-query, causal attention, then a gated feed-forward."""
    h = self.norm1(x)
    q = self.q(h).view(1, 5, 4, 4).transpose(1, 2)
    k = self.k(h).view(1, 5, 2, 4).transpose(1, 2)
    v = self.v(h).view(1, 5, 2, 4).transpose(1, 2)
    q, k = rotate(q, self.cos, self.sin), rotate(k, self.cos, self.sin)
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    x = x + self.o(out.transpose(1, 2).reshape(1, 5, 16))
    h = self.norm2(x)
    result: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
    return result


# 5 tokens of 16; 4 query heads of 4, 2 key heads; feed-forward 24. Projections of width 16, 8, 8 and 16; the rotation
# of 5·16 queries and 5·8 keys; SiLU is an exponential, an addition, a division and a product; the gate one product.
@family.case(
    "a Llama block: RMSNorm, rotary positions, grouped queries, SwiGLU",
    macs=5 * (16 + 8 + 8 + 16) * 16 + 2 * (4 * 25 * 4) + 3 * 5 * 24 * 16,
    products=2 * 5 * 3 * 16 + 2 * 5 * (16 + 8) + 4 * 25 + 2 * 5 * 24,
    additions=(
        2 * 5 * (15 + 1)
        + 5 * (16 + 8 + 8 + 16) * 15
        + 5 * (16 + 8)
        + (4 * 25 * 3 + 4 * 5 * (5 + 4) + 4 * 5 * 4 * 4)
        + (2 * 5 * 24 * 15 + 5 * 24 + 5 * 16 * 23)
        + 2 * 5 * 16
    ),
    divisions=2 * 5 + 4 * 25 + 5 * 24,
    comparisons=4 * 5 * 4,
    transcendentals=2 * 5 + 4 * 25 + 5 * 24,
)
def llama_block() -> Built:
    model = module(
        llama_forward,
        norm1=nn.RMSNorm(16),
        norm2=nn.RMSNorm(16),
        q=nn.Linear(16, 16, bias=False),
        k=nn.Linear(16, 8, bias=False),
        v=nn.Linear(16, 8, bias=False),
        o=nn.Linear(16, 16, bias=False),
        gate=nn.Linear(16, 24, bias=False),
        up=nn.Linear(16, 24, bias=False),
        down=nn.Linear(24, 16, bias=False),
    )
    angles = torch.outer(torch.arange(5.0), torch.tensor([1.0, 0.1])).repeat(1, 2)
    model.register_buffer("cos", angles.cos())
    model.register_buffer("sin", angles.sin())
    return Built(model, (torch.randn(1, 5, 16),))
