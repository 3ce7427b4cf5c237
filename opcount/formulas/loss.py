"""Losses: what one element costs by the loss's documented formula, before any reduction."""

from __future__ import annotations

from opcount.formulas.pointwise import POINTWISE, operations, register_pointwise
from opcount.ops import OpCount

_CROSS_ENTROPY = operations(mul=2, add=3, special=2)  # y*log(p) + (1-y)*log(1-p)

LOSSES: dict[str, OpCount] = {
    "absolute_error": operations(add=1),
    "squared_error": operations(add=1, mul=1),
    "smooth_absolute_error": operations(mul=2, add=2, div=1, cmp=1),  # 0.5*d^2 / beta, or |d| - beta/2
    "huber_error": operations(mul=3, add=2, cmp=1),  # 0.5*d^2, or delta*(|d| - delta/2)
    "binary_cross_entropy": _CROSS_ENTROPY,
    "binary_cross_entropy_with_logits": POINTWISE["sigmoid"] + _CROSS_ENTROPY,
    "relative_entropy": operations(mul=1, add=1, special=1),  # y*(log(y) - x), or exp(y)*(y - x)
    "poisson_nll": operations(mul=1, add=1, special=1),  # exp(x) - y*x
    "poisson_nll_of_rate": operations(mul=1, add=2, special=1),  # x - y*log(x + eps)
    "stirling": operations(mul=3, add=3, cmp=1, special=2),  # y*log(y) - y + 0.5*log(2*pi*y), added where y > 1
    "gaussian_nll": operations(mul=2, add=2, div=1, cmp=1, special=1),  # 0.5*(log(v) + (x-y)^2 / v), v = max(var, eps)
    "hinge_embedding": operations(add=1, cmp=1),  # x, or max(0, margin - x)
    "cosine_embedding": operations(add=2, cmp=1),  # 1 - cos, or max(0, cos - margin)
    "margin_ranking": operations(mul=1, add=2, cmp=1),  # max(0, -y*(x1 - x2) + margin)
    "multi_margin": operations(add=2, cmp=1),  # max(0, margin - x[y] + x[i])
    "triplet_margin": operations(add=2, cmp=1),  # max(d(a, p) - d(a, n) + margin, 0)
    "soft_margin": operations(mul=1, add=1, special=2),  # log(1 + exp(-y*x))
    # y*log(1 / (1+e)) + (1-y)*log(e / (1+e)), e = exp(-x)
    "multilabel_soft_margin": operations(mul=2, add=3, div=2, special=3),
}

for _name, _one in LOSSES.items():
    register_pointwise(_name, _one)
