"""Recurrent layers and embeddings: the loops' values are PyTorch's, their counts the documented ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torch.nn import functional as F

from tests.reference import embedding, recurrent
from tests.reference.checking import counted
from tests.reference.machine import Tally

LAYERS = {
    "RNN_TANH": (nn.RNN, {}),
    "RNN_RELU": (nn.RNN, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTM, {}),
    "GRU": (nn.GRU, {}),
}
CELLS = {"RNN_TANH": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def step(mode: str, inputs: int, hidden: int, bias: bool, projected: int = 0) -> Tally:
    """One step of one cell by hand: the gates' dots, their sums, the gate functions, the cell's own products."""
    state = projected or hidden
    gates = GATES[mode] * hidden
    products = gates * (inputs + state)
    additions = gates * (inputs - 1 + state - 1 + 1 + (2 if bias else 0))
    own = {  # per hidden element: mul, add, div, cmp, special
        "RNN_TANH": (0, 0, 0, 0, 1),
        "RNN_RELU": (0, 0, 0, 1, 0),
        "LSTM": (3, 3 + 1, 3, 0, 3 + 2),  # three sigmoids, tanh of g and c; f·c + i·g, o·tanh(c)
        "GRU": (3, 2 + 2, 2, 0, 2 + 1),  # two sigmoids, tanh; r·n, (1 - z)·n + z·h
    }[mode]
    mul, add, div, cmp, special = (hidden * number for number in own)
    tally = Tally(products + mul, additions + add, div, cmp, special, products)
    if projected:
        tally.multiplications += projected * hidden
        tally.macs += projected * hidden
        tally.additions += projected * (hidden - 1)
    return tally


def repeated(*parts: tuple[int, Tally]) -> Tally:
    return Tally(**{name: sum(number * getattr(tally, name) for number, tally in parts) for name in Tally().figures()})


def weights_of(layer: nn.RNNBase) -> list[list[dict[str, torch.Tensor]]]:
    """The layer's parameters as the loop takes them: layer by layer, direction by direction, by name."""
    nested = []
    for index in range(layer.num_layers):
        suffixes = [f"_l{index}", f"_l{index}_reverse"][: 2 if layer.bidirectional else 1]
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
        nested.append(
            [{name: getattr(layer, name + end) for name in names if hasattr(layer, name + end)} for end in suffixes]
        )
    return nested


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mode", CELLS)
def test_cells(mode, bias):
    cell = CELLS[mode](3, 2, bias=bias).double()
    weights = dict(cell.named_parameters())
    inputs, states = normal(4, 3), (normal(4, 2), normal(4, 2)) if mode == "LSTM" else (normal(4, 2),)
    after = cell(inputs, states if mode == "LSTM" else states[0])
    spent = counted(after if mode == "LSTM" else (after,), recurrent.cell, mode, inputs, weights, states)
    assert spent == repeated((4, step(mode, 3, 2, bias)))
    # a state that is not given is zeros, and worked with all the same
    after = cell(inputs)
    assert counted(after if mode == "LSTM" else (after,), recurrent.cell, mode, inputs, weights) == spent


def test_cells_by_hand():
    row, h, c = normal(1, 3), normal(1, 2), normal(1, 2)
    lstm, gru, rnn = (
        nn.LSTMCell(3, 2).double(),
        nn.GRUCell(3, 2).double(),
        nn.RNNCell(3, 2, nonlinearity="relu").double(),
    )
    # 8 dots of 3 and 8 of 2 (40 mul, 24 add), their sum and two biases (24 add); 6 sigmoids, 4 tanh; 6 mul, 2 add
    spent = counted(lstm(row, (h, c)), recurrent.cell, "LSTM", row, dict(lstm.named_parameters()), (h, c))
    assert spent == Tally(46, 56, 6, 0, 10, macs=40)
    # 6 dots of 3 and 6 of 2 (30 mul, 18 add), 18 add; 4 sigmoids, 2 tanh; 6 mul, 4 add
    spent = counted((gru(row, h),), recurrent.cell, "GRU", row, dict(gru.named_parameters()), (h,))
    assert spent == Tally(36, 44, 4, 0, 6, macs=30)
    spent = counted((rnn(row, h),), recurrent.cell, "RNN_RELU", row, dict(rnn.named_parameters()), (h,))
    assert spent == Tally(10, 6 + 6, comparisons=2, macs=10)


@given(
    st.sampled_from(list(LAYERS)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_layers(mode, inputs, hidden, layers, both, bias, with_state, data):
    kind, options = LAYERS[mode]
    projected = data.draw(st.integers(0, hidden - 1)) if mode == "LSTM" else 0
    if projected:
        options = options | {"proj_size": projected}
    layer = kind(inputs, hidden, layers, bias=bias, bidirectional=both, **options).double()
    steps, batch, directions = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2)), 1 + both
    size = projected or hidden
    sequence, initial = normal(steps, batch, inputs), None
    if with_state:
        initial = (normal(layers * directions, batch, size),)
        if mode == "LSTM":
            initial = (*initial, normal(layers * directions, batch, hidden))
    given_state = initial if mode == "LSTM" or initial is None else initial[0]
    outputs, final = layer(sequence, given_state)
    expected = outputs, final if mode == "LSTM" else (final,)
    spent = counted(expected, recurrent.recurrent, mode, sequence, weights_of(layer), initial)
    first = step(mode, inputs, hidden, bias, projected)
    later = step(mode, directions * size, hidden, bias, projected)
    each = steps * batch * directions
    assert spent == repeated((each, first), (each * (layers - 1), later))


@pytest.mark.parametrize("mode", LAYERS)
def test_packed_sequences_take_their_valid_steps_only(mode):
    kind, options = LAYERS[mode]
    layer = kind(2, 3, 2, bidirectional=True, **options).double()
    lengths, sequence = [4, 1, 2], normal(4, 3, 2)
    packed = nn.utils.rnn.pack_padded_sequence(sequence, lengths, enforce_sorted=False)
    outputs, final = layer(packed)
    padded, _ = nn.utils.rnn.pad_packed_sequence(outputs)
    expected = padded, final if mode == "LSTM" else (final,)
    spent = counted(expected, recurrent.recurrent, mode, sequence, weights_of(layer), lengths=lengths)
    assert spent == repeated((7 * 2, step(mode, 2, 3, True)), (7 * 2, step(mode, 6, 3, True)))


def test_dropout_between_layers():
    layer = nn.GRU(2, 3, 3, dropout=1e-15).double()
    sequence = normal(4, 2, 2)
    outputs, final = layer(sequence)
    kept = torch.ones(2, 4, 2, 3, dtype=torch.float64)
    with_dropout = (1e-15, kept)
    spent = counted((outputs, (final,)), recurrent.recurrent, "GRU", sequence, weights_of(layer), dropout=with_dropout)
    masks = Tally(48, comparisons=48)
    assert spent == repeated((8, step("GRU", 2, 3, True)), (16, step("GRU", 3, 3, True)), (1, masks))


def test_embedding_reads():
    table, indices = normal(5, 3), torch.tensor([[0, 4], [2, 2]])
    assert counted(F.embedding(indices, table), embedding.embedding, indices, table) == Tally()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("sum", Tally(0, 6 * 3)),
        ("mean", Tally(0, 6 * 3, divisions=9)),
        ("max", Tally(comparisons=6 * 3)),
    ],
)
def test_embedding_bag(mode, expected):
    table = normal(5, 3)
    indices, offsets = torch.tensor([0, 4, 2, 2, 1, 3, 0, 1, 4]), torch.tensor([0, 1, 5])
    # bags of 1, 4 and 4 entries: 0 + 3 + 3 operations per column
    flat = F.embedding_bag(indices, table, offsets, mode=mode)
    assert counted(flat, embedding.embedding_bag, indices, table, offsets.tolist(), mode=mode) == expected
    square = F.embedding_bag(indices.reshape(3, 3), table, mode=mode)
    assert counted(square, embedding.embedding_bag, indices.reshape(3, 3), table, mode=mode) == expected


def test_weighted_padded_and_empty_bags():
    table, indices, scales = normal(5, 3), torch.tensor([[0, 4], [2, 1]]), normal(2, 2)
    weighted = F.embedding_bag(indices, table, mode="sum", per_sample_weights=scales)
    spent = counted(weighted, embedding.embedding_bag, indices, table, mode="sum", per_sample_weights=scales)
    assert spent == Tally(4 * 3, 2 * 3)
    padded = F.embedding_bag(indices, table, mode="mean", padding_idx=2)
    spent = counted(padded, embedding.embedding_bag, indices, table, mode="mean", padding_idx=2)
    assert spent == Tally(0, 3, divisions=6)
    offsets = torch.tensor([0, 0, 3])
    gaps = F.embedding_bag(indices.reshape(-1), table, offsets, mode="sum")
    spent = counted(gaps, embedding.embedding_bag, indices.reshape(-1), table, offsets.tolist(), mode="sum")
    assert spent == Tally(0, 2 * 3)
