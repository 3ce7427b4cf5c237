"""One hand-derived figure for each family of operators: x has 6 elements in 2 rows of 3."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.calling import cost, profiled, real
from tests.layers import floats, indices

X = (2, 3)

FIGURES = {
    # element-wise
    "reciprocal": (torch.reciprocal, real(div=6)),
    "sigmoid": (torch.sigmoid, real(add=6, div=6, special=6)),
    "exp": (torch.exp, real(special=6)),
    "rsqrt": (torch.rsqrt, real(special=6)),
    "square": (torch.square, real(mul=6)),
    "cube": (lambda x: x**3, real(mul=12)),
    "x to the -1": (lambda x: x**-1, real(div=6)),
    "x to the -2": (lambda x: x**-2, real(mul=6, div=6)),
    "x to the 1.5": (lambda x: x**1.5, real(special=6)),
    "x to the 0": (lambda x: x**0, real()),
    "2 to the x": (lambda x: 2**x, real(special=6)),
    "float_power": (lambda x: torch.float_power(x, 2), real(mul=6)),
    "rsub": (lambda x: 1 - x, real(add=6)),
    "in place": (lambda x: x.clone().add_(1).mul_(2), real(mul=6, add=6)),
    "out": (lambda x: torch.mul(x, x, out=torch.empty(X)), real(mul=6)),
    "compare": (lambda x: x > 0.5, real(cmp=6)),
    "maximum": (lambda x: torch.maximum(x, x), real(cmp=6)),
    "max of two": (lambda x: torch.max(x, x), real(cmp=6)),
    "fmod": (lambda x: torch.fmod(x, 0.3), real(mul=6, add=6, div=6)),
    "logaddexp": (lambda x: torch.logaddexp(x, x), real(add=6, special=18)),
    "logit": (lambda x: torch.logit(x, 0.1), real(add=6, div=6, cmp=12, special=6)),
    "ldexp": (lambda x: torch.ldexp(x, torch.tensor(2)), real(mul=6, special=6)),
    "mvlgamma": (lambda x: torch.mvlgamma(x + 1, 2), real(add=6 + 18, special=12)),
    "round to decimals": (lambda x: torch.round(x, decimals=2), real(mul=6, div=6)),
    "isclose": (lambda x: torch.isclose(x, x), real(mul=6, add=12, cmp=6)),
    "equal": (lambda x: torch.tensor(torch.equal(x, x)), real(cmp=6)),
    "isin": (lambda x: torch.isin(x, x[0]), real(cmp=18)),
    "alpha = 0": (lambda x: torch.addmm(x, x, torch.ones(3, 3), alpha=0), real(mul=18, add=12 + 6, macs=18)),
    # free
    "negation, sign, rounding": (lambda x: (-x).sign().floor().abs().round(), real()),
    "selection": (lambda x: torch.where(x.isnan(), x, 0.0).tril().masked_fill(x.isfinite(), 1.0), real()),
    "moving": (lambda x: torch.cat([x.T, x.view(3, 2)]).flip(0)[:, ::2].repeat(2, 2).roll(1), real()),
    "casts and fills": (lambda x: x.double().half().new_zeros(2, 3).fill_(1), real()),
    "indices": (lambda x: (torch.arange(6) * 2 + 1).view(2, 3).sum(0) % 2 == 1, real()),
    # reductions
    "trace": (torch.trace, real(add=1)),
    "aminmax": (lambda x: torch.aminmax(x, dim=1), real(cmp=8)),
    "argmax": (lambda x: x.argmax(1), real(cmp=4)),
    "sort": (lambda x: x.sort(1).values, real(cmp=2 * 3 * 2)),
    "topk": (lambda x: x.topk(2), real(cmp=2 * 3 * 2)),
    "median": (lambda x: x.median(), real(cmp=6 * 3)),
    "unique": (torch.unique, real(cmp=6 * 3)),
    "unique_consecutive": (torch.unique_consecutive, real(cmp=5)),
    "count_nonzero": (torch.count_nonzero, real(cmp=6)),
    "bucketize": (lambda x: torch.bucketize(x, torch.linspace(0, 1, 7)), real(cmp=6 * 3)),
    "nanmean": (torch.nanmean, real(add=5, div=1)),
    "logcumsumexp": (lambda x: torch.logcumsumexp(x, 1), real(add=4, special=12)),
    "renorm": (lambda x: torch.renorm(x, 2, 0, 1.0), real(mul=6 + 6, add=4, div=2, cmp=2, special=2)),
    "dist": (lambda x: torch.dist(x, x), real(mul=6, add=6 + 5, special=1)),
    # placement that computes
    "index_add": (lambda x: x.index_add(0, torch.tensor([0, 0]), x, alpha=2), real(mul=6, add=6)),
    "scatter_add": (lambda x: x.scatter_add(1, indices(2, 2), x), real(add=4)),
    "scatter_reduce": (lambda x: x.scatter_reduce(1, indices(2, 3), x, "amax"), real(cmp=6)),
    "scatter": (lambda x: x.scatter(1, indices(2, 3), x), real()),
    "scatter that multiplies": (lambda x: x.scatter(1, indices(2, 3), x, reduce="multiply"), real(mul=6)),
    "index_put": (lambda x: x.index_put((torch.tensor([0, 1]),), x), real()),
    "index_put that accumulates": (lambda x: x.index_put((torch.tensor([0, 1]),), x, accumulate=True), real(add=6)),
    "weighted bincount": (lambda x: torch.bincount(torch.tensor([0, 1, 1]), x[0]), real(add=3)),
    "histogram": (lambda x: torch.histc(x, bins=4, min=0, max=1), real(mul=6, add=6, cmp=12)),
    "histogram of all there is": (lambda x: torch.histc(x, bins=4), real(mul=6, add=6, cmp=12 + 2 * 5)),
    "histogram of whole numbers": (lambda x: torch.histc(x.int(), bins=4, min=0, max=1), real()),
    # contractions
    "matmul": (lambda x: x @ x.T, real(mul=12, add=8, macs=12)),
    "vecdot": (lambda x: torch.linalg.vecdot(x, x), real(mul=6, add=4, macs=6)),
    "product and sum": (lambda x: (x * x).sum(1), real(mul=6, add=4)),
    "addr": (lambda x: torch.addr(torch.ones(3, 3), x[0], x[1]), real(mul=9, add=9)),
    "addbmm": (lambda x: torch.addbmm(torch.ones(2, 2), x[None], x.T[None]), real(mul=12, add=8 + 4, macs=12)),
    "affine_grid": (lambda x: F.affine_grid(x[None], [1, 1, 2, 2], False), real(mul=24, add=16, macs=24)),
    "fake_quantize": (
        lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255),
        real(mul=6, add=12, div=6, cmp=12),
    ),
    "fft": (torch.fft.fft, real(mul=2 * 2 * 3 * 2, add=2 * 3 * 3 * 2)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure(name):
    function, expected = FIGURES[name]
    assert cost(function, floats(*X)) == expected


COMPLEX = {
    "product": (lambda z: z * z, real(mul=24, add=12)),
    "product with a real number": (lambda z: z * z.real, real(mul=12)),
    "product with a Python number": (lambda z: z * 2.0, real(mul=12)),
    "product with a complex Python number": (lambda z: z * 2j, real(mul=24, add=12)),
    "sum": (lambda z: z + z, real(add=12)),
    "sum with a real number": (lambda z: z + 1.0, real(add=6)),
    "quotient": (lambda z: z / z, real(mul=36, add=18, div=12)),
    "quotient by a real number": (lambda z: z / 2.0, real(div=12)),
    "abs": (torch.abs, real(mul=12, add=6, special=6)),
    "sgn": (torch.sgn, real(mul=12, add=6, div=12, special=6)),
    "conjugate": (lambda z: z.conj().resolve_conj(), real()),
    "parts": (lambda z: torch.complex(z.real, z.imag), real()),
    "dots": (lambda z: z @ z.T, real(mul=4 * 12, add=4 * 12 - 2 * 4, macs=4 * 12)),
    "mean": (lambda z: z.mean(), real(add=10, div=2)),
    "norm": (lambda z: torch.linalg.vector_norm(z), real(mul=12 + 6, add=6 + 5, special=6 + 1)),
    "var": (lambda z: z.var(), real(mul=12, add=2 * (5 + 6 + 5) + 1, div=4)),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_figure(name):
    function, expected = COMPLEX[name]
    assert cost(function, torch.randn(X, dtype=torch.complex64)) == expected


@pytest.mark.skipif(not hasattr(torch, "_grouped_mm"), reason="this PyTorch has no grouped products")
def test_grouped_products():
    """Rows belong to groups, each with its own matrix; groups may share out the dots' length instead."""
    rows, matrices = torch.rand(16, 16).bfloat16(), torch.rand(2, 16, 8).bfloat16()
    ends = torch.tensor([8, 16], dtype=torch.int32)
    assert cost(lambda x, w: torch._grouped_mm(x, w, offs=ends), rows, matrices) == real(
        mul=16 * 8 * 16, add=16 * 8 * 15, macs=16 * 8 * 16
    )
    right = torch.rand(16, 8).bfloat16()
    assert cost(lambda x, w: torch._grouped_mm(x, w, offs=ends), rows, right) == real(
        mul=16 * 8 * 16, add=16 * 8 * (16 - 2), macs=16 * 8 * 16
    )


def test_integers_cost_only_in_contractions():
    x = indices(2, 3)
    assert not cost(lambda x: (x + x * 3).sum() // 2, x)
    assert cost(lambda x: x @ x.T, x) == real(mul=12, add=8, macs=12)
    assert cost(lambda x: x * 0.5, x) == real(mul=6)
    assert cost(lambda x: x / 2, x) == real(div=6)


@pytest.mark.parametrize("mode", ["bicubic", "reflection"])
def test_what_is_not_defined_is_named(mode):
    options = {"mode": "bicubic"} if mode == "bicubic" else {"padding_mode": "reflection"}
    grid = floats(1, 2, 2, 2)
    counted = profiled(lambda x: F.grid_sample(x, grid, align_corners=False, **options), floats(1, 1, 3, 3))
    assert [item.name for item in counted.uncounted if "grid_sampler" in item.name]
    antialiased = profiled(
        lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True), floats(1, 1, 4, 4)
    )
    assert [item.name for item in antialiased.uncounted] == ["aten._upsample_bilinear2d_aa"]
