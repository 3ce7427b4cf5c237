"""Work that is no contraction: it must not enter the MACs, and has figures of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gauntlet.case import Built, Family, module

family = Family("elementwise")


@family.case("an activation is a comparison an element", macs=0, comparisons=20)
def relu() -> Built:
    return Built(nn.Sequential(nn.ReLU()), (torch.randn(1, 20),))


# 8·8·8 outputs, each scaled and shifted by the norm, then compared with zero.
@family.case(
    "the usual trio: norm and activation are no MACs",
    macs=8 * 64 * (3 * 9),
    products=8 * 64,
    additions=8 * 64 * (3 * 9 - 1) + 8 * 64,
    comparisons=8 * 64,
)
def conv_norm_relu() -> Built:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return Built(model, (torch.randn(1, 3, 8, 8),))


# 4 channels of 2·9 = 18 elements. Mean: 17 additions, 1 division; centre: 18; variance: 18 products, 17 additions,
# 1 division; epsilon: 1; reciprocal root: 1; scale: 18; weight: 18; bias: 18. Running statistics: 4 products,
# 2 additions, 1 division.
@family.case(
    "a batch norm in training mode computes its statistics",
    macs=0,
    products=4 * (3 * 18 + 4),
    additions=4 * (17 + 18 + 17 + 1 + 18 + 2),
    divisions=4 * (1 + 1 + 1),
    transcendentals=4,
    training=True,
)
def batch_norm_training() -> Built:
    return Built(nn.Sequential(nn.BatchNorm2d(4)), (torch.randn(2, 4, 3, 3),))


# 2·5 rows of 16: mean, centre, variance, epsilon, reciprocal root, scale, weight, bias.
@family.case(
    "a layer norm has parameters and contracts nothing",
    macs=0,
    products=10 * 3 * 16,
    additions=10 * (15 + 16 + 15 + 1 + 16),
    divisions=10 * 2,
    transcendentals=10,
)
def layer_norm() -> Built:
    return Built(nn.Sequential(nn.LayerNorm(16)), (torch.randn(2, 5, 16),))


# 2·3 rows of 7.
@family.case(
    "a softmax is no MAC",
    macs=0,
    additions=6 * (7 + 6),
    divisions=6 * 7,
    comparisons=6 * 6,
    transcendentals=6 * 7,
)
def softmax() -> Built:
    return Built(nn.Sequential(nn.Softmax(-1)), (torch.randn(2, 3, 7),))


# Windows of 3 at 0, 2 and 4 of 6 columns: the last has 2 taps. (3+3+2)² taps in 9 windows, 2 channels.
@family.case(
    "pooling with ceil_mode: the last windows are smaller",
    macs=0,
    additions=2 * ((3 + 3 + 2) ** 2 - 9),
    divisions=2 * 9,
)
def avg_pool_ceil() -> Built:
    return Built(nn.Sequential(nn.AvgPool2d(3, 2, ceil_mode=True)), (torch.randn(1, 2, 6, 6),))


# Along an axis of 4 the windows hold 2, 3, 3 and 2 values.
@family.case(
    "pooling with padding: windows at the border hold fewer values",
    macs=0,
    additions=(2 + 3 + 3 + 2) ** 2 - 16,
    divisions=16,
)
def avg_pool_padded() -> Built:
    return Built(nn.Sequential(nn.AvgPool2d(3, 1, 1)), (torch.randn(1, 1, 4, 4),))


# 5 to 3: windows of 2, 3 and 2. 8 to 3: windows of 3, 4 and 3. Two channels.
@family.case(
    "adaptive pooling with windows of unequal size",
    macs=0,
    additions=2 * ((2 + 3 + 2) * (3 + 4 + 3) - 9),
    divisions=2 * 9,
)
def adaptive_pool_unequal() -> Built:
    return Built(nn.Sequential(nn.AdaptiveAvgPool2d(3)), (torch.randn(1, 2, 5, 8),))


# Windows of 3 from -1, 1 and 3: 2, 3 and 3 values. One comparison less than values, for each of 9 windows.
@family.case("max pooling compares", macs=0, comparisons=2 * ((2 + 3 + 3) ** 2 - 9))
def max_pool() -> Built:
    return Built(nn.Sequential(nn.MaxPool2d(3, 2, padding=1)), (torch.randn(1, 2, 6, 6),))


@family.case("nearest-neighbour upsampling of a batch copies", macs=0)
def upsample_nearest() -> Built:
    return Built(nn.Sequential(nn.Upsample(scale_factor=2)), (torch.randn(4, 3, 4, 4),))


# Each of 2·3·8·8 outputs is a weighted sum of 4 neighbours.
@family.case(
    "bilinear upsampling of a batch: the weights are interpolation's, not the model's",
    macs=0,
    products=4 * (2 * 3 * 64),
    additions=3 * (2 * 3 * 64),
)
def upsample_bilinear() -> Built:
    return Built(nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear")), (torch.randn(2, 3, 4, 4),))


@family.case("a table lookup computes nothing, however large the table", macs=0)
def embedding() -> Built:
    return Built(nn.Sequential(nn.Embedding(100, 16)), (torch.randint(100, (2, 7)),))


# Two bags of five rows of 16.
@family.case("a bag of embeddings adds rows", macs=0, additions=2 * (5 - 1) * 16)
def embedding_bag() -> Built:
    return Built(nn.Sequential(nn.EmbeddingBag(100, 16, mode="sum")), (torch.randint(100, (2, 5)),))


@family.case("x + 2x written with operators", macs=0, products=20, additions=20)
def scaled_residual() -> Built:
    def forward(_: Any, x: Tensor) -> Tensor:
        return x + x * 2.0

    return Built(module(forward), (torch.randn(1, 20),))


@family.case("a product and a sum that make no contraction", macs=0, products=3 * 7, additions=3 * (7 - 1))
def product_then_sum() -> Built:
    def forward(_: Any, x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum(-1)

    return Built(module(forward), (torch.randn(3, 7), torch.randn(3, 7)))


@family.case("an outer product is products, not MACs", macs=0, products=5 * 7)
def outer_product() -> Built:
    def forward(_: Any, x: Tensor, y: Tensor) -> Tensor:
        return torch.outer(x, y)

    return Built(module(forward), (torch.randn(5), torch.randn(7)))


# 30·26 pairs: 4 differences, 4 squares, 3 additions, 1 root.
@family.case(
    "distances are defined by differences, though a kernel may use a matmul",
    macs=0,
    products=30 * 26 * 4,
    additions=30 * 26 * (4 + 3),
    transcendentals=30 * 26,
)
def pairwise_distances() -> Built:
    def forward(_: Any, x: Tensor, y: Tensor) -> Tensor:
        return torch.cdist(x, y)

    return Built(module(forward), (torch.randn(30, 4), torch.randn(26, 4)))


# Pooling: 8·15 additions and 8 divisions. Down to 2: dots of 8 and biases, 2 ReLUs. Up to 8: dots of 2 and biases,
# 8 sigmoids (exponential, addition, division). Then a product for each of 8·16 elements.
@family.case(
    "squeeze and excitation: tiny convolutions among pooling, sigmoid and a product",
    macs=2 * 8 + 8 * 2,
    products=8 * 16,
    additions=8 * 15 + (2 * 7 + 2) + (8 * 1 + 8) + 8,
    divisions=8 + 8,
    comparisons=2,
    transcendentals=8,
)
def squeeze_excitation() -> Built:
    from torchvision.ops import SqueezeExcitation

    return Built(SqueezeExcitation(8, 2), (torch.randn(1, 8, 4, 4),))
