"""The proof for gradients: closed forms, textbook loops that count their own arithmetic, and PyTorch's own values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torch.nn import functional as F

from opcount import Convention, profile
from opcount.formulas.arithmetic import covered_inputs, used_taps
from tests.reference import Tally, count, gradients
from tests.reference.checking import same

DOUBLE = {"dtype": torch.float64}


def backward_of(layer: nn.Module, inputs: Any, **options: Any) -> Any:
    return profile(layer.double(), inputs, backward=True, **options).backward


def assert_counts(ops: Any, tally: Tally) -> None:
    assert {name: getattr(ops, name) for name in tally.figures()} == tally.figures()


def needing(*size: int) -> torch.Tensor:
    return torch.randn(*size, **DOUBLE, requires_grad=True)


@given(rows=st.integers(1, 4), features=st.integers(1, 5), width=st.integers(1, 5))
def test_linear(rows: int, features: int, width: int) -> None:
    layer, inputs = nn.Linear(features, width).double(), needing(rows, features)
    output = layer(inputs)
    dy = torch.randn_like(output)
    values, tally = count(gradients.linear, inputs, layer.weight, dy)
    same(values, torch.autograd.grad(output, (inputs, layer.weight, layer.bias), dy))
    assert_counts(backward_of(layer, (inputs,)), tally)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    axes = draw(st.integers(1, 2))
    each = [tuple(draw(st.integers(1, most)) for _ in range(axes)) for most in (3, 3, 2)]
    kernel, stride, dilation = each
    padding = tuple(draw(st.integers(0, 2)) for _ in range(axes))
    groups = draw(st.integers(1, 2))
    channels, width = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    reach = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [max(least, 1) + draw(st.integers(0, 3)) for least in reach]
    kind = (nn.Conv1d, nn.Conv2d)[axes - 1]
    layer = kind(channels, width, kernel, stride, padding, dilation, groups)
    return layer, (draw(st.integers(1, 2)), channels, *size)


@given(case=convolutions(), dense=st.booleans())
def test_convolution(case: tuple[Any, tuple[int, ...]], dense: bool) -> None:
    layer, size = case
    layer, inputs = layer.double(), needing(*size)
    output = layer(inputs)
    dy = torch.randn_like(output)
    options = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
    values, tally = count(gradients.convolution, inputs, layer.weight, dy, **options, skip_padding=not dense)
    same(values, torch.autograd.grad(output, (inputs, layer.weight, layer.bias), dy))
    assert_counts(backward_of(layer, (inputs,), convention=Convention(zero_padding=dense)), tally)


@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 0, 1), (2, 1, 2), (3, 1, 1)])
def test_transposed_convolution(stride: int, padding: int, groups: int) -> None:
    layer = nn.ConvTranspose2d(2, 4, 3, stride, padding, groups=groups).double()
    inputs = needing(2, 2, 3, 4)
    output = layer(inputs)
    dy = torch.randn_like(output)
    options = {"stride": stride, "padding": padding, "groups": groups}
    values, tally = count(gradients.transposed_convolution, inputs, layer.weight, dy, **options)
    same(values, torch.autograd.grad(output, (inputs, layer.weight, layer.bias), dy))
    assert_counts(backward_of(layer, (inputs,)), tally)


def test_layer_norm() -> None:
    layer, inputs = nn.LayerNorm(5).double(), needing(3, 5)
    nn.init.normal_(layer.weight)
    output = layer(inputs)
    dy = torch.randn_like(output)
    values, tally = count(gradients.layer_norm, inputs, layer.weight, dy, eps=layer.eps)
    same(values, torch.autograd.grad(output, (inputs, layer.weight, layer.bias), dy))
    assert_counts(backward_of(layer, (inputs,)), tally)


def test_batch_norm() -> None:
    layer, inputs = nn.BatchNorm1d(3).double().train(), needing(2, 3, 4)
    nn.init.normal_(layer.weight)
    output = layer(inputs)
    dy = torch.randn_like(output)
    values, tally = count(gradients.batch_norm, inputs, layer.weight, dy, eps=layer.eps)
    same(values, torch.autograd.grad(output, (inputs, layer.weight, layer.bias), dy))
    assert_counts(backward_of(layer, (inputs,)), tally)


def test_softmax() -> None:
    layer, inputs = nn.Softmax(-1), needing(3, 5)
    output = layer(inputs)
    dy = torch.randn_like(output)
    values, tally = count(gradients.softmax, output, dy)
    same(values, torch.autograd.grad(output, inputs, dy)[0])
    assert_counts(backward_of(layer, (inputs,)), tally)


class Attention(nn.Module):
    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value)


def test_attention() -> None:
    query, key, value = needing(1, 1, 4, 3), needing(1, 1, 5, 3), needing(1, 1, 5, 2)
    output = F.scaled_dot_product_attention(query, key, value)
    dy, scale = torch.randn_like(output), 3**-0.5
    weights = torch.softmax(query @ key.mT * scale, -1)
    given = [tensor[0, 0] for tensor in (query, key, value, weights, dy)]
    values, tally = count(gradients.attention, *given, scale=scale)
    same(values, tuple(each[0, 0] for each in torch.autograd.grad(output, (query, key, value), dy)))
    assert_counts(backward_of(Attention(), (query, key, value)), tally)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "length"), [(2, 2, 0, 6), (3, 2, 1, 7), (3, 1, 1, 5), (2, 3, 0, 7)]
)
def test_average_pool(kernel: int, stride: int, padding: int, length: int) -> None:
    layer, inputs = nn.AvgPool1d(kernel, stride, padding), needing(2, length)
    output = layer(inputs)
    dy = torch.randn_like(output)
    values, tally = count(gradients.average_pool, inputs, dy, kernel=kernel, stride=stride, padding=padding)
    same(values, torch.autograd.grad(output, inputs, dy)[0])
    assert_counts(backward_of(layer, (inputs,)), tally)


def test_embedding() -> None:
    layer, indices = nn.Embedding(5, 3).double(), torch.tensor([[1, 1, 4], [0, 1, 2]])
    output = layer(indices)
    dy = torch.randn_like(output)
    values, tally = count(gradients.embedding, indices, dy, rows=5)
    same(values, torch.autograd.grad(output, layer.weight, dy)[0])
    assert_counts(backward_of(layer, (indices,)), tally)


@pytest.mark.parametrize("name", gradients.ACTIVATIONS)
def test_activations(name: str) -> None:
    layer, inputs = getattr(nn, name)(), needing(2, 7)
    output = layer(inputs)
    dy = torch.randn_like(output)
    values, tally = count(gradients.pointwise, inputs, dy, name=name)
    same(values, torch.autograd.grad(output, inputs, dy)[0])
    assert_counts(backward_of(layer, (inputs,)), tally)


class Outputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.lstm(inputs)[0]


def test_lstm() -> None:
    """Back through three steps, from gates worked out here by the documentation's formulas."""
    model = Outputs().double()
    layer, inputs = model.lstm, needing(3, 2, 3)
    output = model(inputs)
    dy = torch.randn_like(output)
    h = c = torch.zeros(2, 2, **DOUBLE)
    kept: dict[str, list[torch.Tensor]] = {name: [] for name in "ifgoct"}
    states = [h]
    kept["c"].append(c)
    for x in inputs.detach():
        gates = x @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
        i, f, g, o = gates.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        for name, value in zip("ifgoct", (i, f, g, o, c, c.tanh()), strict=True):
            kept[name].append(value)
        states.append(h)
    stacked = {name: torch.stack(values).detach() for name, values in kept.items()}
    weights = (layer.weight_ih_l0.detach(), layer.weight_hh_l0.detach())
    values, tally = count(gradients.lstm, inputs, torch.stack(states).detach(), stacked, weights, dy)
    parameters = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    same(values, torch.autograd.grad(output, (inputs, *parameters), dy))
    assert_counts(backward_of(model, (inputs,)), tally)


@given(
    inputs=st.integers(1, 12),
    outputs=st.integers(1, 8),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 4),
)
def test_what_windows_reach(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    """Counted one by one."""
    axis = (inputs, outputs, kernel, stride, padding, dilation)
    taps = [(o * stride - padding + k * dilation, k) for o in range(outputs) for k in range(kernel)]
    assert covered_inputs(*axis) == len({at for at, _ in taps if 0 <= at < inputs})
    assert used_taps(*axis) == len({k for at, k in taps if 0 <= at < inputs})


def test_the_machine_counts_a_product_of_a_gradient() -> None:
    _, tally = count(gradients.softmax, np.array([[0.25, 0.75]]), np.array([[1.0, 2.0]]))
    assert (tally.multiplications, tally.additions) == (4, 3)
