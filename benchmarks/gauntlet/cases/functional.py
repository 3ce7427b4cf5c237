"""Contractions that no layer stands for: functional calls, operators and einsum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gauntlet.case import Built, Family, module, weight

family = Family("functional")


@family.case("F.linear on a parameter: no layer to hook", macs=4 * 20 * 10, additions=4 * 20 * (10 - 1))
def functional_linear() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.linear(x, self.w)

    return Built(module(forward, w=weight(20, 10)), (torch.randn(4, 10),))


@family.case("F.conv2d with groups: no layer to hook", macs=6 * 36 * (2 * 9), additions=6 * 36 * (2 * 9 - 1))
def functional_conv2d() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.conv2d(x, self.w, padding=1, groups=2)

    return Built(module(forward, w=weight(6, 2, 3, 3)), (torch.randn(1, 4, 6, 6),))


# 14 = (6-1)·2+4 positions before cropping, each reached.
@family.case(
    "F.conv_transpose1d with padding: no layer to hook, and cropped",
    macs=3 * 6 * 4 * 4,
    additions=3 * 6 * 4 * 4 - 4 * 14,
)
def functional_conv_transpose() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.conv_transpose1d(x, self.w, stride=2, padding=1)

    return Built(module(forward, w=weight(3, 4, 4)), (torch.randn(1, 3, 6),))


@family.case("the @ operator between activations", macs=2 * 5 * 5 * 7, additions=2 * 5 * 5 * (7 - 1))
def matmul_operator() -> Built:
    def forward(_: Any, x: Tensor) -> Tensor:
        return x @ x.transpose(1, 2)

    return Built(module(forward), (torch.randn(2, 5, 7),))


@family.case("torch.bmm", macs=3 * 4 * 6 * 5, additions=3 * 4 * 6 * (5 - 1))
def batched_matmul() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.bmm(x, self.w)

    return Built(module(forward, w=weight(3, 5, 6)), (torch.randn(3, 4, 5),))


# (4,1,2,3) @ (5,3,6) is 4·5 products of 2x3 by 3x6.
@family.case(
    "batch dimensions that broadcast against each other",
    macs=(4 * 5) * 2 * 6 * 3,
    additions=(4 * 5) * 2 * 6 * (3 - 1),
)
def broadcast_matmul() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.matmul(x, self.w)

    return Built(module(forward, w=weight(5, 3, 6)), (torch.randn(4, 1, 2, 3),))


@family.case("einsum with one contracted index", macs=2 * 3 * 5 * 4, additions=2 * 3 * 5 * (4 - 1))
def einsum() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.einsum("bik,bjk->bij", x, self.w)

    return Built(module(forward, w=weight(2, 5, 4)), (torch.randn(2, 3, 4),))


# Left to right: bi,ij->bj is 2·4 dots of 3, then bj,bj->b is 2 dots of 4.
@family.case(
    "einsum of three operands, taken pairwise from the left",
    macs=2 * 4 * 3 + 2 * 4,
    additions=2 * 4 * (3 - 1) + 2 * (4 - 1),
)
def einsum_three_operands() -> Built:
    def forward(self: Any, x: Tensor, y: Tensor) -> Tensor:
        return torch.einsum("bi,ij,bj->b", x, self.w, y)

    return Built(module(forward, w=weight(3, 4)), (torch.randn(2, 3), torch.randn(2, 4)))


@family.case("einsum that contracts nothing: products, but no MACs", macs=0, products=2 * 5 * 7)
def einsum_outer() -> Built:
    def forward(_: Any, x: Tensor, y: Tensor) -> Tensor:
        return torch.einsum("bi,bj->bij", x, y)

    return Built(module(forward), (torch.randn(2, 5), torch.randn(2, 7)))


@family.case("tensordot over two axes", macs=2 * 5 * (3 * 4), additions=2 * 5 * (3 * 4 - 1))
def tensordot() -> Built:
    def forward(self: Any, x: Tensor) -> Any:
        return torch.tensordot(x, self.w, 2)

    return Built(module(forward, w=weight(3, 4, 5)), (torch.randn(2, 3, 4),))


# A 6x9 matrix by a vector: 6 dots of 9; then one dot of 6.
@family.case(
    "a matrix by a vector, then a dot product",
    macs=6 * 9 + 6,
    additions=6 * (9 - 1) + (6 - 1),
)
def matrix_vector_dot() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = torch.mv(self.w, x)
        return torch.dot(y, self.v)

    return Built(module(forward, w=weight(6, 9), v=weight(6)), (torch.randn(9),))


# One addition for the added matrix, one product for alpha and one for beta, on each of 3·6 outputs.
@family.case(
    "addmm with alpha and beta",
    macs=3 * 6 * 4,
    products=3 * 6 + 3 * 6,
    additions=3 * 6 * (4 - 1) + 3 * 6,
)
def addmm_scaled() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.addmm(self.b, x, self.w, beta=0.5, alpha=2.0)

    return Built(module(forward, b=weight(6), w=weight(4, 6)), (torch.randn(3, 4),))


# For each of 2·5 outputs: x1 by a 3x4 matrix (4 dots of 3), then a dot of 4 with x2.
@family.case(
    "a bilinear layer is two contractions",
    macs=2 * 5 * (4 * 3 + 4),
    additions=2 * 5 * (4 * (3 - 1) + (4 - 1)),
)
def bilinear() -> Built:
    return Built(nn.Bilinear(3, 4, 5, bias=False), (torch.randn(2, 3), torch.randn(2, 4)))


# Unfolding gathers 16 columns of 27 values, which an 8x27 matrix multiplies.
@family.case(
    "a convolution written as unfold and matmul",
    macs=8 * 16 * 27,
    additions=8 * 16 * (27 - 1),
)
def unfolded_conv() -> Built:
    def forward(self: Any, x: Tensor) -> Any:
        return self.w @ F.unfold(x, 3)

    return Built(module(forward, w=weight(8, 27)), (torch.randn(1, 3, 6, 6),))


# The generator makes 6·2·3·3 = 108 weights out of 5 numbers; the convolution has 4x4 outputs.
@family.case(
    "weights that another layer computes at every call",
    macs=108 * 5 + 6 * 16 * (2 * 9),
    additions=108 * (5 - 1) + 6 * 16 * (2 * 9 - 1),
)
def hypernetwork() -> Built:
    def forward(self: Any, x: Tensor, code: Tensor) -> Tensor:
        return F.conv2d(x, self.generator(code).view(6, 2, 3, 3))

    model = module(forward, generator=nn.Linear(5, 108, bias=False))
    return Built(model, (torch.randn(1, 2, 6, 6), torch.randn(1, 5)))


# Gate: 3·4 dots of 8 and a softmax over rows of 4. Experts: 4·3·6 dots of 8. Mixing: 3·6 dots of 4.
@family.case(
    "a dense mixture of experts: every expert in one einsum",
    macs=3 * 4 * 8 + 4 * 3 * 6 * 8 + 3 * 6 * 4,
    additions=3 * 4 * (8 - 1) + (3 * 4 + 3 * (4 - 1)) + 4 * 3 * 6 * (8 - 1) + 3 * 6 * (4 - 1),
    divisions=3 * 4,
    comparisons=3 * (4 - 1),
    transcendentals=3 * 4,
)
def dense_mixture() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        gate = self.gate(x).softmax(-1)
        experts = torch.einsum("nd,edf->enf", x, self.experts)
        return torch.einsum("ne,enf->nf", gate, experts)

    model = module(forward, gate=nn.Linear(8, 4, bias=False), experts=weight(4, 8, 6))
    return Built(model, (torch.randn(3, 8),))


# Normalising a row of 8: 8 products, 7 additions, a root, a comparison with eps, 8 divisions. 3+5 rows.
@family.case(
    "cosine similarities: normalised rows, then a matmul",
    macs=3 * 5 * 8,
    products=(3 + 5) * 8,
    additions=3 * 5 * (8 - 1) + (3 + 5) * (8 - 1),
    divisions=(3 + 5) * 8,
    comparisons=3 + 5,
    transcendentals=3 + 5,
)
def cosine_matrix() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1) @ F.normalize(self.w, dim=-1).T

    return Built(module(forward, w=weight(5, 8)), (torch.randn(3, 8),))


# A dot of n complex numbers: 4n products, 2n additions inside them and 2(n-1) between them.
@family.case(
    "complex numbers in a layer: a product is four products and two additions",
    macs=2 * 3 * (4 * 4),
    additions=2 * 3 * (4 * 4 - 2),
)
def complex_linear() -> Built:
    model = nn.Linear(4, 3, bias=False, dtype=torch.complex64)
    return Built(model, (torch.randn(2, 4, dtype=torch.complex64),))


@family.case(
    "complex numbers in a matmul",
    macs=2 * 5 * (4 * 3),
    additions=2 * 5 * (4 * 3 - 2),
)
def complex_matmul() -> Built:
    def forward(self: Any, x: Tensor) -> Any:
        return x @ self.w

    return Built(module(forward, w=weight(3, 5, dtype=torch.complex64)), (torch.randn(2, 3, dtype=torch.complex64),))


@family.case("a contraction of integers is one all the same", macs=2 * 4 * 3, additions=2 * 4 * (3 - 1))
def integer_matmul() -> Built:
    def forward(_: Any, x: Tensor, y: Tensor) -> Tensor:
        return torch.matmul(x, y)

    return Built(module(forward), (torch.randint(9, (2, 3)), torch.randint(9, (3, 4))))


@family.case("tied weights: the embedding's table as the output layer", macs=5 * 20 * 8, additions=5 * 20 * (8 - 1))
def tied_embedding() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.linear(self.table(x), self.table.weight)

    return Built(module(forward, table=nn.Embedding(20, 8)), (torch.randint(20, (1, 5)),))
