"""The separable function: derived, generalised, and held against separated models and the counting machine."""

from __future__ import annotations

import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from hypothesis import assume, given, settings, strategies as st
from torch import nn

from lenet.models import Depthwise, Regular
from opcount import Convention, OpCount, profile
from opcount.errors import InputError
from opcount.ops import FIGURES
from opcount.separable import SeparableConv2d, derive, predict, separate
from opcount.separable.derivation import fraction, symbols, written
from opcount.separable.page import check_page, checked, derivation_page, general_page
from tests.agreement import running
from tests.reference import convolution as loops

ROOT = Path(__file__).parent.parent
STUDIED = Convention(bias=False)


# The derivation


def test_the_function_is_that_of_the_study() -> None:
    s = symbols()
    assert sympy.simplify(derive().ratio - (1 / s["C_out"] + 1 / s["K"] ** 2)) == 0
    assert [str(step.lines[-1]) for step in derive().steps] == [
        "x = N·C_out·C_in·K²",
        "y = N·C_in·K² + N·C_out·C_in",
        "N·C_in = x/(C_out·K²)",
        "y = x·(K² + C_out)/(C_out·K²)",
        "y = x·(1/C_out + 1/K²)",
    ]


def test_every_line_holds() -> None:
    """With the first line put in for x, and the second for y, each is an identity."""
    s = symbols()
    x = derive().steps[0].lines[0].right
    y = derive().steps[1].lines[0].right
    for step in derive().steps:
        for line in step.lines:
            difference = (line.left - line.right).subs({s["y"]: y}).subs({s["x"]: x})
            assert sympy.simplify(difference) == 0, str(line)


def test_the_generalisations_by_hand() -> None:
    assert {each.key: written(each.expression) for each in derive().general} == {
        "ratio": "m·(g/C_out + 1/(K_h·K_w))",
        "additions": "x·m·(g/C_out + 1/(K_h·K_w)) − N·(m·C_in + C_out)",
        "additions with bias": "x·m·(g/C_out + 1/(K_h·K_w))",
        "total": "2·x·m·(g/C_out + 1/(K_h·K_w)) − N·(m·C_in + C_out)",
        "total with bias": "2·x·m·(g/C_out + 1/(K_h·K_w))",
        "ratio without padding": "m·(N/T + g/C_out)",
        "additions without padding": "x·m·(N/T + g/C_out) − m·Q·C_in − N·C_out",
    }


@pytest.mark.parametrize(
    ("x", "out_channels", "kernel", "ratio", "y"),
    [
        (117_600, 6, 5, Fraction(31, 150), 24_304),
        (240_000, 16, 5, Fraction(1, 16) + Fraction(1, 25), 24_600),
        (48_000, 120, 5, Fraction(1, 120) + Fraction(1, 25), 2_320),
    ],
)
def test_the_figures_of_the_study(x: int, out_channels: int, kernel: int, ratio: Fraction, y: int) -> None:
    assert derive().f(x, out_channels, kernel) == x * ratio == y


# LeNet


def test_the_studys_verification_table() -> None:
    predicted = predict(profile(Regular(), convention=STUDIED))
    rows = [(each.path, each.before.macs, each.after.macs, each.ratio) for each in predicted.layers]
    assert rows == [
        ("conv1", 117_600, 24_304, Fraction(31, 150)),
        ("conv2", 240_000, 24_600, Fraction(41, 400)),
        ("conv3", 48_000, 2_320, Fraction(29, 600)),
    ]
    assert sum(each.after.total for each in predicted.layers) == 94_624
    assert checked(predicted.layers[0]) == "117,600 · (1/6 + 1/25) = 117,600 · 31/150"


@pytest.mark.parametrize("convention", [Convention(), STUDIED, Convention(zero_padding=False)])
def test_separating_lenet_gives_the_studys_other_model(convention: Convention) -> None:
    separated = separate(Regular())
    counted = profile(separated.model, (1, 1, 28, 28), convention=convention)
    by_hand = profile(Depthwise(), convention=convention)
    assert [(each.path, each.ops) for each in counted.layers] == [(each.path, each.ops) for each in by_hand.layers]
    assert predict(profile(Regular(), convention=convention)).after == counted.ops


# Prediction, separated model and counting machine


@st.composite
def convolutions(draw: Any) -> tuple[nn.Conv2d, torch.Tensor]:
    """A small convolution of any kind that can be separated, and an input that fits it."""
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    mode = draw(st.sampled_from(["zeros", "zeros", "circular", "replicate"]))
    padding = draw(st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from(["same", "valid"])))
    stride = (1, 1) if padding == "same" else draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    layer = nn.Conv2d(
        *channels,
        kernel,
        stride,
        padding,
        draw(st.integers(1, 2)),
        groups,
        draw(st.booleans()),
        mode,
        dtype=torch.float64,
    )
    assume(separate(layer).replaced)
    image = draw(st.tuples(st.integers(5, 7), st.integers(5, 7)))
    return layer, torch.randn(draw(st.integers(1, 2)), channels[0], *image, dtype=torch.float64)


def by_loops(layer: nn.Conv2d, inputs: torch.Tensor, skip_padding: bool, bias: bool) -> tuple[OpCount, torch.Tensor]:
    """What the loops count, and what comes out."""
    options: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "padding_mode")}
    given_bias = layer.bias.detach() if layer.bias is not None and bias else None
    cost = running(
        loops.convolution,
        inputs,
        layer.weight.detach(),
        given_bias,
        groups=layer.groups,
        skip_padding=skip_padding,
        **options,
    )
    return cost, layer(inputs).detach()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=25)
@given(convolutions(), st.booleans(), st.booleans())
def test_prediction_count_and_machine_agree(case: tuple[nn.Conv2d, torch.Tensor], bias: bool, padding: bool) -> None:
    layer, inputs = case
    convention = Convention(bias=bias, zero_padding=padding)
    separated = separate(layer).model
    assert isinstance(separated, SeparableConv2d)
    assert separated(inputs).shape == layer(inputs).shape
    depthwise, between = by_loops(separated.depthwise, inputs, not padding, bias)
    pointwise, _ = by_loops(separated.pointwise, between, not padding, bias)
    counted = profile(separated, inputs, convention=convention).ops
    assert predict(profile(layer, inputs, convention=convention)).after == counted == depthwise + pointwise


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_multipliers_and_types(multiplier: int, dtype: torch.dtype) -> None:
    layer = nn.Conv2d(4, 6, (3, 5), stride=2, padding=1, groups=2, dtype=dtype)
    separated = separate(layer, multiplier).model
    assert {each.dtype for each in separated.parameters()} == {dtype}
    inputs = torch.zeros(2, 4, 9, 11, dtype=dtype)
    assert predict(profile(layer, inputs), multiplier).after == profile(separated, inputs).ops


def test_the_plain_function_applies_to_random_plain_layers() -> None:
    """Without padding, groups or bias, whatever the sizes: y = x·(1/C_out + 1/K²) and nothing else."""
    chance = random.Random(0)
    for _ in range(20):
        channels, out, kernel = chance.randint(2, 9), chance.randint(2, 9), chance.randint(2, 5)
        layer, size = nn.Conv2d(channels, out, kernel, bias=False), (1, channels, 9, 8)
        x, y = profile(layer, size).macs, profile(separate(layer).model, size).macs
        assert derive().f(x, out, kernel) == y


def test_a_layer_called_twice_and_a_layer_never_called() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.unused = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.conv(x)[..., :5])

    separated = separate(Twice())
    assert separated.replaced == ("conv", "unused")
    prediction = predict(profile(Twice(), (1, 4, 8, 8)))
    assert [each.path for each in prediction.layers] == ["conv"]
    assert prediction.after == profile(separated.model, (1, 4, 8, 8)).ops


# What is replaced, and what is not


def test_what_stays_says_why() -> None:
    class Own(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(2 * input)

    model = nn.ModuleDict(
        {
            "one": nn.Conv2d(4, 4, 1),
            "depthwise": nn.Conv2d(4, 8, 3, groups=4),
            "own": Own(4, 4, 3),
            "lazy": nn.LazyConv2d(4, 3),
            "weighted": nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
            "line": nn.Conv1d(4, 4, 3),
            "plain": nn.Conv2d(4, 4, 3),
        }
    )
    separated = separate(model)
    assert separated.replaced == ("plain",)
    assert separated.kept == {
        "one": "1x1 already",
        "depthwise": "depthwise already",
        "own": "Own has a forward of its own",
        "lazy": "not initialised yet: call the model once",
        "weighted": "its weight is computed from other parameters",
    }
    assert type(model["plain"]) is nn.Conv2d


def test_shared_frozen_and_training_layers() -> None:
    shared = nn.Conv2d(3, 3, 3, padding=1).requires_grad_(False).eval()
    separated = separate(nn.Sequential(shared, nn.ReLU(), shared)).model
    assert separated[0] is separated[2]
    assert not separated[0].training
    assert not any(each.requires_grad for each in separated[0].parameters())
    assert separate(shared).model(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 4, 4)


def test_on_the_meta_device() -> None:
    separated = separate(nn.Conv2d(3, 8, 3, device="meta"))
    assert {each.device.type for each in separated.model.parameters()} == {"meta"}


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match=r"takes an nn\.Module, not str"):
        separate("resnet")  # type: ignore[arg-type]
    for call in (lambda: separate(Regular(), 0), lambda: predict(profile(Regular()), 0)):
        with pytest.raises(InputError, match="whole number of 1 or more"):
            call()


# Models of the field

CNNS = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11_bn",
    "wide_resnet50_2",
]
EVERYDAY = {"googlenet", "mobilenet_v3_small", "resnet18", "regnet_y_400mf", "squeezenet1_1"}


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize("name", [n if n in EVERYDAY else pytest.param(n, marks=pytest.mark.slow) for n in CNNS])
def test_torchvision_models_run_and_train_separated(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    model = getattr(models, name)(weights=None).eval()
    size = (2, 3, 96, 96) if name == "inception_v3" else (2, 3, 64, 64)
    separated = separate(model)
    before, after = profile(model, size), profile(separated.model, size)
    assert predict(before).after == after.ops
    assert after.macs <= before.macs
    inputs = torch.randn(size)
    with torch.no_grad():
        assert separated.model(inputs).shape == model(inputs).shape
    separated.model.train()
    output = separated.model(inputs) if name != "inception_v3" else separated.model.eval()(inputs)
    (output if isinstance(output, torch.Tensor) else output[0]).square().mean().backward()
    assert all(
        each.grad is not None and bool(torch.isfinite(each.grad).all())
        for path in separated.replaced
        if "aux" not in path.lower()
        for each in separated.model.get_submodule(path).parameters()
    )


class MobileNet(nn.Sequential):
    """MobileNet-v1 as its paper's table 1 lists it: 3x3 steps of these strides and widths, pooling, a classifier."""

    def __init__(self, step: Any) -> None:
        widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
        strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
        steps = [step(a, b, 3, s, 1, bias=False) for a, b, s in zip(widths[:-1], widths[1:], strides, strict=True)]
        layers = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), *steps]
        blocks = [layer for each in layers for layer in (each, nn.ReLU())]
        super().__init__(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


def test_the_published_figures_of_mobilenet() -> None:
    """The paper's table 4: 569 million multiply-adds against 4,866 million with full convolutions.

    The first is with the classifier's 1,024,000, the second without them.
    """
    full = profile(MobileNet(nn.Conv2d), (1, 3, 224, 224))
    separable = profile(MobileNet(SeparableConv2d), (1, 3, 224, 224))
    assert separable.macs == 568_740_352
    assert full.macs == 4_867_293_184
    assert round(full.only("conv").macs / 10**6) == 4_866
    assert round(separable.macs / 10**6) == 569
    first, after = full["0"].ops.macs, predict(full)
    kept_first = after.after.macs - after["0"].after.macs + first  # the paper keeps its first convolution full
    assert kept_first == separable.macs


def test_ratio_of_a_layer_of_mobilenet() -> None:
    """Between 8 and 9 times less with 3x3 kernels, as the paper says."""
    predicted = predict(profile(MobileNet(nn.Conv2d), (1, 3, 224, 224)))
    assert all(
        8 < 1 / each.ratio < 9 for each in predicted.layers if each.before.macs and each.parts[0] <= Fraction(1, 128)
    )


# The page


def page() -> str:
    """docs/separable.md between its marks."""
    text = (ROOT / "docs" / "separable.md").read_text(encoding="utf-8")
    parts = {"derivation": derivation_page(), "check": check_page(profile(Regular(), convention=STUDIED)),
             "general": general_page()}  # fmt: skip
    for name, part in parts.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        assert mark, name
        assert end, name
        text = f"{before}{mark}{part}\n{end}{after}"
    return text


def test_the_page_is_the_derivation() -> None:
    path = ROOT / "docs" / "separable.md"
    if os.environ.get("OPCOUNT_UPDATE_SNAPSHOTS") == "1":
        path.write_text(page(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page()


def test_every_figure_is_predicted() -> None:
    s = symbols()
    assert fraction(derive()["ratio"], {s["m"]: 1, s["g"]: 1, s["C_out"]: 6, s["K_h"]: 5, s["K_w"]: 5}) == Fraction(
        31, 150
    )
    assert set(FIGURES) == set(predict(profile(Regular())).after.to_dict())
