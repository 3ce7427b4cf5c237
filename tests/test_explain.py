"""Why a figure is what it is: closed forms from the formulas that counted, down to the figures."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sympy
import torch
from torch import nn

from opcount import Convention, OpCount, OpCountError, Profile, profile
from opcount.algebra.forms import closed_form
from opcount.algebra.writing import write
from opcount.errors import UnknownLayerError
from opcount.explaining import Explanation
from opcount.ops import FIGURES, Term
from tests.layers import EXAMPLES

pytestmark = [
    pytest.mark.filterwarnings("ignore:.NLLLoss2d. has been deprecated"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
]


def printed(explanation: Explanation) -> dict[str, int]:
    """The figures that the last block of the text arrives at, as a reader finds them."""
    found: dict[str, int] = {}
    block = [block for block in explanation.text().split("\n\n") if re.search(r"^ {4}\w+ += ", block, re.M)][-1]
    name = ""
    for line in block.splitlines():
        match = re.match(r"^ {4}(\w*) += (.*)$", line)
        if match is None:
            continue
        name = match[1] or name
        last = match[2].replace(",", "")
        if last in found:
            found[name] = found[last]
        elif re.fullmatch(r"\d+( \([^)]*\))?", last):
            found[name] = int(last.split()[0])
    return {name: value for name, value in found.items() if value}


def holds(record_of: Profile, path: str) -> None:
    """Closed forms, put in and added up, are the record's figures; and so is what is printed."""
    explanation = record_of.explain(path)
    record = record_of[path]
    assert sum((step.form.evaluated() * step.entry.times for step in explanation.steps), OpCount()) == record.ops
    inside = sum((child.subtree for child in explanation.children), OpCount())
    assert record.ops + inside == record.subtree == explanation.ops
    if record.subtree:
        assert printed(explanation) == {name: value for name, value in record.subtree.to_dict().items() if value}


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_layer_is_explained_down_to_its_figures(name: str, training: bool) -> None:
    torch.manual_seed(0)
    layer, inputs = EXAMPLES[name]()
    counted = profile(layer.train(training), inputs)
    for record in counted.layers:
        holds(counted, record.path)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_closed_form_has_symbols(name: str) -> None:
    """Nothing falls back to a bare number, but where a greatest common divisor has no closed form."""
    torch.manual_seed(0)
    layer, inputs = EXAMPLES[name]()
    for record in profile(layer.eval(), inputs).layers:
        for entry in record.entries:
            form = closed_form(entry.term)
            assert all(each.free_symbols for each in form.figures.values())


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v2", "swin_t"])
def test_models_are_explained_down_to_their_figures(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    counted = profile(getattr(models, name)(weights=None).eval(), (1, 3, 64, 64))
    for record in counted.layers:
        holds(counted, record.path)


@pytest.mark.parametrize("convention", [Convention(bias=False), Convention(zero_padding=False)])
def test_conventions(convention: Convention) -> None:
    for layer in (nn.Conv2d(4, 6, 3, padding=1, stride=2), nn.Conv2d(4, 6, (3, 5), padding=(2, 1), dilation=2)):
        holds(profile(layer, (2, 4, 9, 11), convention=convention), "")


def symbols(form: Any) -> dict[str, Any]:
    return {str(symbol): symbol for symbol in form.values}


def test_a_convolution_in_symbols() -> None:
    counted = profile(nn.Conv2d(64, 64, 3, padding=1, bias=False), (1, 64, 56, 56))
    (step,) = counted.explain("").steps
    s = symbols(step.form)
    outputs = s["N"] * s["C_out"] * s["O_h"] * s["O_w"]
    taps = s["C_in"] * s["K_h"] * s["K_w"] / s["g"]
    assert step.form.figures["macs"] == outputs * taps
    assert sympy.expand(step.form.figures["additions"] - outputs * (taps - 1)) == 0
    text = counted.explain("").text()
    assert "= 1·64·56·56·64·3·3/1\n                    = 115,605,504\n" in text
    assert "macs            = multiplications" in text


def test_skipped_padding_in_symbols() -> None:
    """A window of 3 with padding 1 misses one tap at either end of an axis: 2·I + O - 2 taps, which is 3·O - 2."""
    convention = Convention(zero_padding=False)
    counted = profile(nn.Conv2d(4, 6, 3, padding=1, bias=False), (1, 4, 8, 8), convention=convention)
    (step,) = counted.explain("").steps
    s = symbols(step.form)
    expected = s["N"] * s["C_out"] * s["C_in"] / s["g"]
    expected *= (2 * s["I_h"] + s["O_h"] - 2) * (2 * s["I_w"] + s["O_w"] - 2)
    assert sympy.expand(step.form.figures["macs"] - expected) == 0


def test_clipped_windows_in_symbols() -> None:
    """ResNet's max pooling: of 3·O taps along an axis one lies before the image."""
    counted = profile(nn.MaxPool2d(3, 2, 1), (1, 64, 112, 112))
    (step,) = counted.explain("").steps
    assert write(step.form.figures["comparisons"], order=list(step.form.values)) == (
        "P·((3·O_h − 1)·(3·O_w − 1) − O_h·O_w)"
    )


@pytest.mark.parametrize(
    ("exponent", "figures"),
    [(2, {"multiplications": "n"}), (3, {"multiplications": "2*n"}), (-2, {"multiplications": "n", "divisions": "n"}),
     (4, {"transcendentals": "n"}), (0.5, {"transcendentals": "n"}), (1, {}), (0, {})],
)  # fmt: skip
def test_a_power_has_the_form_of_its_exponent(exponent: float, figures: dict[str, str]) -> None:
    form = closed_form(Term("power", count=7, exponent=exponent))
    assert {figure: str(each) for figure, each in form.figures.items()} == figures


def test_complex_arithmetic() -> None:
    form = closed_form(Term("dots", count=3, length=5, dtype="complex64"))
    assert form.evaluated() == OpCount(multiplications=60, additions=54, macs=60)  # 4n, 4n - 2


def test_a_container_is_its_own_operators_and_what_it_holds() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.inner(x)

    explanation = profile(Residual(), (3, 4)).explain("")
    assert [step.title for step in explanation.steps] == ["addition · from aten.add"]
    assert [child.path for child in explanation.children] == ["inner"]
    assert "    additions       = 12 + 48 (inner)\n                    = 60" in explanation.text()


def test_a_layer_called_twice() -> None:
    shared = nn.Linear(4, 4, bias=False)
    explanation = profile(nn.Sequential(shared, shared), (2, 4)).explain("0")
    assert "dots · 2 times" in explanation.text()
    assert "macs            = 2·32\n                    = 64" in explanation.text()


def test_what_costs_nothing_says_so() -> None:
    assert profile(nn.Flatten(), (2, 3, 4)).explain("").text().endswith("no arithmetic")


def test_lines_fit_the_terminal() -> None:
    for name in ("Conv2d", "MultiheadAttention", "LSTM", "Fold", "TransformerEncoder"):
        layer, inputs = EXAMPLES[name]()
        counted = profile(layer, inputs)
        for record in counted.layers:
            assert max(map(len, counted.explain(record.path).text(80).splitlines())) <= 80


def test_latex_is_mathematics_that_can_be_set() -> None:
    """Every line is read by matplotlib's parser of mathematics."""
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    for name in ("Conv2d", "MaxPool2d", "Fold", "MultiheadAttention", "LSTM", "LPPool2d", "LayerNorm"):
        layer, inputs = EXAMPLES[name]()
        written = profile(layer, inputs).explain("").latex()
        assert written.count(r"\begin{align*}") == written.count(r"\end{align*}") > 0
        for line in written.splitlines():
            if "&=" in line:
                mathtext.parse(
                    "$" + line.replace("&", "").removesuffix(r"\\").strip().replace(r"\text", r"\mathrm") + "$"
                )


def test_every_figure_is_written() -> None:
    layer, inputs = EXAMPLES["MultiheadAttention"]()
    text = profile(layer, inputs).explain("").text()
    assert all(figure in text for figure in FIGURES)


def test_an_unknown_layer_names_the_nearest() -> None:
    with pytest.raises(UnknownLayerError, match="near it: conv1"):
        profile(nn.Sequential(), (1,)) and profile(_Named(), (1, 4)).explain("conv")


class _Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv1(x)


def test_without_sympy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sympy", None)
    with pytest.raises(OpCountError, match=r"opcount\[symbolic\]"):
        profile(nn.Linear(2, 2), (1, 2)).explain("")


def test_hostile_names_are_data() -> None:
    net = nn.Sequential()
    net.add_module("\x1b[31mred\n\\input{x}", nn.Linear(2, 3))
    net.add_module("50%_&#", nn.Linear(3, 3))
    counted = profile(net, (1, 2))
    whole, one = counted.explain(""), counted.explain("\x1b[31mred\n\\input{x}")
    for shown in (whole.text(), whole.latex(), one.text(), one.latex()):
        assert "\x1b" not in shown
        assert "\n\\input" not in shown
    assert r"50\%\_\&\#" in whole.latex()
