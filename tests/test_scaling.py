"""How figures scale: exact laws against the literature, against profiles at sizes not used, and their stated limits."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sympy
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings, strategies as st
from torch import Tensor, nn

from opcount import Convention, Input, profile, scaling
from opcount.errors import ForwardError, InputError, OpCountError, ScalingError, UnknownLayerError
from opcount.scaling_laws.fitting import Step
from opcount.scaling_laws.interpolation import through
from opcount.scaling_laws.law import _passes

N, S, H = sympy.symbols("N S H", integer=True, positive=True)


def same(left: Any, right: Any) -> bool:
    return bool(sympy.expand(left - right) == 0)


class Attention(nn.Module):
    """Attention with as many key and value heads as are given, causal or not."""

    def __init__(self, width: int, heads: int, shared: int, bias: bool, causal: bool) -> None:
        super().__init__()
        self.size, self.causal = width // heads, causal
        self.query, self.out = nn.Linear(width, width, bias), nn.Linear(width, width, bias)
        self.key, self.value = (nn.Linear(width, shared * self.size, bias) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            each(x).unflatten(-1, (-1, self.size)).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, enable_gqa=k.shape[1] != q.shape[1])
        return self.out(mixed.transpose(1, 2).flatten(-2))


class Explicit(Attention):
    """The same, with the two products and the softmax written out."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            each(x).unflatten(-1, (-1, self.size)).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        weights = (q @ k.transpose(-1, -2) / self.size**0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(-2))


class Layer(nn.Module):
    """A layer before whose parts norms stand, and whose parts are added."""

    def __init__(self, attention: nn.Module, mlp: nn.Module, norms: tuple[nn.Module, nn.Module]) -> None:
        super().__init__()
        self.attention, self.mlp = attention, mlp
        self.first, self.second = norms

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))


class Gated(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


def bert(h: int, attention: type[Attention] = Attention, causal: bool = False) -> Layer:
    mlp = nn.Sequential(nn.Linear(h, 4 * h), nn.GELU(), nn.Linear(4 * h, h))
    return Layer(attention(h, 4, 4, True, causal), mlp, (nn.LayerNorm(h), nn.LayerNorm(h)))


def llama(h: int, heads: int, shared: int, hidden: int) -> Layer:
    return Layer(Attention(h, heads, shared, False, True), Gated(h, hidden), (nn.RMSNorm(h), nn.RMSNorm(h)))


# Against the literature


@pytest.mark.parametrize("h", [32, 64])
@pytest.mark.parametrize("attention", [Attention, Explicit])
def test_a_bert_layer(h: int, attention: type[Attention]) -> None:
    """24·B·S·h² + 4·B·S²·h floating-point operations, two for each multiply-add (Narayanan et al. 2021, appendix)."""
    law = scaling(bert(h, attention), (2, 10, h), vary={"B": 0, "S": 1})
    b, s = law.symbols.values()
    assert same(2 * law.macs, 24 * b * s * h**2 + 4 * b * s**2 * h)
    assert same(law.order(), b * s**2)


def test_a_gpt2_layer_with_its_logits() -> None:
    """The layer's 24·B·S·h² + 4·B·S²·h and 2·B·S·h·V for the logits; a causal mask skips nothing."""
    h, vocabulary = 32, 101
    model = nn.Sequential(nn.Embedding(vocabulary, h), bert(h, causal=True), nn.Linear(h, vocabulary, bias=False))
    law = scaling(model, Input((2, 10), "int64"), vary={"B": 0, "S": 1})
    b, s = law.symbols.values()
    assert same(2 * law.macs, 24 * b * s * h**2 + 4 * b * s**2 * h + 2 * b * s * h * vocabulary)


def test_a_llama_layer() -> None:
    """Grouped keys and values and a gated MLP: 2·B·S·h·(2h + 2h·g/a) + 4·B·S²·h + 6·B·S·h·f."""
    h, heads, shared, hidden = 64, 8, 2, 172
    law = scaling(llama(h, heads, shared, hidden), (1, 16, h), vary={"B": 0, "S": 1})
    b, s = law.symbols.values()
    projections = 2 * b * s * h * (2 * h + 2 * h * shared // heads)
    assert same(2 * law.macs, projections + 4 * b * s**2 * h + 6 * b * s * h * hidden)
    assert same(law.law("mlp")["macs"], 3 * b * s * h * hidden)


def test_where_attention_passes_the_mlp() -> None:
    """2·S²·h products of scores and values against 8·S·h² of the MLP: from S = 4·h + 1 on."""
    law = scaling(bert(32), (1, 10, 32), vary={"B": 0, "S": 1})
    assert law.crossover("scaled_dot_product_attention", "mlp") == 4 * 32 + 1
    assert law.at("scaled_dot_product_attention", B=1, S=128).macs == law.at("mlp", B=1, S=128).macs
    assert law.crossover("mlp", "scaled_dot_product_attention") is None
    assert law.crossover("attention", "mlp", B=3) == 2 * 32 + 1  # 4·S·h² + 2·S²·h against 8·S·h²


@given(st.lists(st.integers(-30, 30), min_size=2, max_size=4), st.integers(1, 4), st.integers(0, 3))
def test_crossovers_against_trying_every_size(coefficients: list[int], modulus: int, remainder: int) -> None:
    assume(any(coefficients[:-1]))
    difference = sympy.Poly(coefficients, sympy.Symbol("x"))
    step = Step(modulus, remainder % modulus)
    sizes = range(step.remainder or modulus, 200, modulus)  # all roots are below 31
    positive = [bool(difference.eval(size) > 0) for size in sizes]
    last_miss = max((at for at, good in enumerate(positive) if not good), default=-1)
    expected = sizes[last_miss + 1] if positive[-1] else None
    assert _passes(difference, step) == expected


def test_resnet50_is_what_was_published() -> None:
    models = pytest.importorskip("torchvision.models")
    model = models.resnet50(weights=None).eval()
    law = scaling(model, (1, 3, 224, 224), vary={"N": 0, "H": [(0, 2), (0, 3)]})
    assert law.at(N=1, H=224).macs == 4_089_184_256
    assert same(law.macs, 81_456 * N * H**2 + 2_048_000 * N)
    assert str(law.domain).startswith("for H = 32·h; verified at ")
    for n, size in ((3, 64), (5, 256), (1, 512)):
        assert law.at(N=n, H=size) == profile(model, (n, 3, size, size)).ops
    with pytest.raises(ScalingError, match=r"for H = 32·h, which 225 is not; near it are 224 and 256"):
        law.at(N=1, H=225)


def test_both_axes_of_an_image_apart() -> None:
    law = scaling(nn.Conv2d(2, 3, 3, padding=1, bias=False), (1, 2, 9, 8), vary={"H": 2, "W": 3})
    w = law.symbols["W"]
    assert same(law.macs, 54 * H * w)


def test_vit_takes_one_size_only() -> None:
    models = pytest.importorskip("torchvision.models")
    model = models.VisionTransformer(32, 16, 1, 2, 8, 16).eval()
    with pytest.raises(ScalingError, match=r"takes no other H than 32: .*Wrong image height! Expected 32"):
        scaling(model, (1, 3, 32, 32), vary={"H": [(0, 2), (0, 3)]})
    law = scaling(model, (1, 3, 32, 32), vary={"N": 0})
    assert law.at(N=7) == profile(model, (7, 3, 32, 32)).ops


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["alexnet", "googlenet", "swin_t", "squeezenet1_1", "inception_v3", "densenet121", "vgg11"]
)
def test_torchvision_at_sizes_not_used(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    base = 299 if name == "inception_v3" else 224
    model = getattr(models, name)(weights=None).eval()
    law = scaling(model, (1, 3, base, base), vary={"N": 0, "H": [(0, 2), (0, 3)]})
    step, (low, _) = law.domain.classes["H"], law.domain.verified["H"]
    for n, size in ((6, low + 5 * step.modulus), (9, low + 7 * step.modulus)):
        assert law.at(N=n, H=size) == profile(model, (n, 3, size, size)).ops


# Exactness


@st.composite
def networks(draw: Any) -> nn.Module:
    first = nn.Conv2d(2, 3, draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2)))
    further = st.sampled_from(
        [
            nn.Conv2d(3, 3, 3, 2, 1),
            nn.MaxPool2d(3, 2, 1),
            nn.AvgPool2d(2, 2, 1, ceil_mode=True),
            nn.BatchNorm2d(3).eval(),
            nn.ConvTranspose2d(3, 3, 3, 2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.GELU(),
            nn.InstanceNorm2d(3),
        ]
    )
    layers = draw(st.lists(further, min_size=1, max_size=3))
    return nn.Sequential(first, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(dim=1))


@settings(max_examples=15)
@given(networks(), st.booleans())
def test_random_networks_at_sizes_not_used(model: nn.Module, padding: bool) -> None:
    convention = Convention(zero_padding=padding)
    law = scaling(model, (1, 2, 40, 40), vary={"N": 0, "H": [(0, 2), (0, 3)]}, convention=convention)
    step = law.domain.classes["H"]
    for n, k in ((5, 6), (1, 9), (11, 7)):
        size = 40 + k * step.modulus
        expected = profile(model, (n, 2, size, size), convention=convention)
        assert law.at(N=n, H=size) == expected.ops
        assert law.at("0", N=n, H=size) == expected["0"].ops


@given(st.integers(1, 4), st.lists(st.integers(-5, 5), min_size=6, max_size=6))
def test_polynomials_through_points(start: int, values: list[int]) -> None:
    a, b, c, d, e, f = values
    points = [(start, start + 1, start + 3), (0, 2)]
    read = {(x, y): a + b * x + c * x * x + (d + e * x + f * x * x) * y for x in points[0] for y in points[1]}
    expected = {(0, 0): a, (1, 0): b, (2, 0): c, (0, 1): d, (1, 1): e, (2, 1): f}
    assert through(points, read) == {key: value for key, value in expected.items() if value}


@pytest.mark.parametrize("size", [8, 16, 3])
def test_terms_that_coincide_at_the_size_given(size: int) -> None:
    """At S = 8 both softmaxes are the same term, elsewhere they are not."""

    class Two(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.softmax(1) + x.softmax(2)

    law = scaling(Two(), (2, size, 8), vary={"S": 1})
    assert same(law.divisions, 32 * S)
    assert same(law.additions, (32 * S - 16) + (32 * S - 2 * S) + 16 * S)
    assert law.at(S=8) == profile(Two(), (2, 8, 8)).ops


def test_a_loop_over_the_sequence() -> None:
    """The same term comes S times: how often it comes is a law too."""

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            state = x[:, 0]
            for step in range(x.shape[1]):
                state = torch.tanh(self.cell(state) + x[:, step])
            return state

    law = scaling(Loop(), (2, 9, 4), vary={"N": 0, "S": 1})
    assert same(law.macs, 16 * N * S)
    assert same(law.additions, 16 * N * S + 4 * N * S)


def test_terms_that_cannot_be_matched_leave_the_totals() -> None:
    """Each step attends to all before it: S terms, all different; the totals are a law nevertheless."""

    class Growing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([(x[step : step + 1] * x[: step + 1]).sum() for step in range(x.shape[0])])

    law = scaling(Growing(), (9, 4), vary={"S": 0})
    assert same(law.multiplications, 4 * S * (S + 1) / 2)
    assert law.at(S=100).multiplications == 4 * 100 * 101 // 2


def test_what_is_no_polynomial_stays_exact() -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sort(-1).values

    law = scaling(Sorted(), (2, 9), vary={"N": 0, "S": 1})
    assert same(law.comparisons, N * S * sympy.ceiling(sympy.log(S, 2)))
    assert law.at(N=3, S=1025).comparisons == 3 * 1025 * 11


def test_windows_larger_than_the_class_allows() -> None:
    """Adaptive pooling to 6 depends on the size modulo 6: the law is that of one class, and says so."""
    law = scaling(nn.AdaptiveAvgPool1d(6), (1, 1, 40), vary={"L": 2})
    assert law.domain.classes["L"].modulus % 3 == 0
    for size in (40, 100, 400):
        if size in law.domain.classes["L"]:
            assert law.at(L=size) == profile(nn.AdaptiveAvgPool1d(6), (1, 1, size)).ops


# Limits that are told


class Branching(nn.Module):
    """Another layer for short sequences."""

    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(0) if x.shape[0] > 12 else x.exp()


def test_a_branch_on_a_size_is_told_where_it_was_met() -> None:
    law = scaling(Branching(), (12, 3), vary={"S": 0})
    assert "where the model does something else" in str(law.domain) or law.domain.verified["S"][1] <= 12
    low, high = law.domain.verified["S"]
    for size in range(low, high + 1):
        assert law.at(S=size) == profile(Branching(), (size, 3)).ops


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({}, "name what varies"),
        ({"N": 4}, r"input 0 has 2 axes \(3x8\), so none is number 4, for N"),
        ({"S": [("ids", 1)]}, "there is no input ids for S.*; there are input 0"),
        ({"N": "first"}, "N is an axis, an .*pair or a list of these, not 'first'"),
        (
            {"N": [(0, 0), (0, 1)]},
            r"N is one size, but its axes have 3 \(axis 0 of input 0\) and 8 \(axis 1 of input 0\)",
        ),
        ({"N": 0, "M": -2}, "axis 0 of input 0 is both N and M"),
        ({"not a name": 0}, "named by a word such as N or S"),
        ({"N": []}, "N names no axis"),
    ],
)
def test_a_bad_vary_is_told(vary: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scaling(nn.Linear(8, 2), (3, 8), vary=vary)


def test_a_size_the_model_cannot_take() -> None:
    with pytest.raises(ScalingError, match="the model takes no other F than 8"):
        scaling(nn.Linear(8, 2), (3, 8), vary={"F": 1})
    with pytest.raises(ForwardError):
        scaling(nn.Linear(8, 2), (3, 7), vary={"N": 0})
    with pytest.raises(InputError, match="N=0: a size that varies starts from 1"):
        scaling(nn.Linear(8, 2), (0, 8), vary={"N": 0})


def test_a_part_never_passes_itself() -> None:
    assert scaling(nn.Sequential(nn.Linear(8, 2)), (3, 8), vary={"N": 0}).crossover("0", "0") is None


def test_wrong_questions_are_told() -> None:
    law = scaling(bert(32), (1, 10, 32), vary={"B": 0, "S": 1})
    for sizes, message in (
        ({"B": 1}, "S is missing"),
        ({"B": 1, "S": 2, "T": 3}, "there is no T"),
        ({"B": 1, "S": 0}, "1 or more"),
    ):
        with pytest.raises(ScalingError, match=message):
            law.at(**sizes)
    with pytest.raises(UnknownLayerError, match="did you mean mlp"):
        law.law("mlpp")
    with pytest.raises(ScalingError, match="B and S is left open"):
        law.plot()


def test_inputs_by_name() -> None:
    class Named(nn.Module):
        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            return F.one_hot(ids, 4).float() * mask.unsqueeze(-1)

    inputs = {"ids": Input((2, 7), "int64"), "mask": torch.ones(2, 7)}
    law = scaling(Named(), inputs, vary={"S": [("ids", 1), ("mask", 1)]})
    assert same(law.multiplications, 8 * S)


def test_modules_and_types_sum_to_the_whole() -> None:
    law = scaling(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), (2, 6, 8), vary={"N": 0, "S": 1})
    assert same(sum(each["additions"] for each in law.by_type.values()), law.additions)
    assert same(law.law("*")["additions"], law.additions)
    assert same(law.law("Linear")["macs"], law.law("linear1")["macs"] + law.law("linear2")["macs"])


def test_text_fits_the_terminal_and_latex_has_every_figure() -> None:
    law = scaling(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), (2, 6, 8), vary={"N": 0, "S": 1})
    assert max(map(len, law.text(80).splitlines())) <= 80
    assert "macs            = 16·N·S² + 512·N·S" in law.text()
    assert "macs grow as N·S²" in law.text()
    assert law.latex().count("&=") == 7
    assert re.search(r"exact for every N, S; verified at \d+ points, N from \d+ to \d+, S from \d+ to \d+", law.text())


def test_a_plot(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    law = scaling(bert(32), (1, 10, 32), vary={"B": 0, "S": 1})
    drawn = law.plot(str(tmp_path / "macs.png"), parts=("attention", "mlp"), B=1)
    assert (tmp_path / "macs.png").stat().st_size > 1000
    assert [each.get_label() for each in drawn.axes[0].lines] == ["Layer", "attention", "mlp"]


def test_without_sympy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sympy", None)
    with pytest.raises(OpCountError, match=r"opcount\[symbolic\]"):
        scaling(nn.Linear(2, 2), (1, 2), vary={"N": 0})
