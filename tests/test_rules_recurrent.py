"""Recurrent layers and embeddings: by hand, and against loops over random configurations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from opcount import Convention, OpCount, profile
from tests.agreement import normal, of, running
from tests.reference import embedding, recurrent

KINDS = {
    "RNN_TANH": (nn.RNN, nn.RNNCell, {}),
    "RNN_RELU": (nn.RNN, nn.RNNCell, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTM, nn.LSTMCell, {}),
    "GRU": (nn.GRU, nn.GRUCell, {}),
}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def weights_of(layer):
    """The layer's parameters as the loop takes them: layer by layer, direction by direction, by name."""
    suffixes = ["", "_reverse"][: 2 if layer.bidirectional else 1]
    return [
        [
            {name: getattr(layer, f"{name}_l{depth}{end}") for name in NAMES if hasattr(layer, f"{name}_l{depth}{end}")}
            for end in suffixes
        ]
        for depth in range(layer.num_layers)
    ]


@st.composite
def layers(draw):
    """A recurrent layer of any kind, and its mode."""
    mode = draw(st.sampled_from(list(KINDS)))
    kind, _, options = KINDS[mode]
    hidden = draw(st.integers(1, 3))
    options = {name: draw(st.booleans()) for name in ("bias", "batch_first", "bidirectional")} | options
    if mode == "LSTM" and hidden > 1:
        options["proj_size"] = draw(st.integers(0, hidden - 1))
    return mode, kind(draw(st.integers(1, 3)), hidden, num_layers=draw(st.integers(1, 2)), **options).double()


@given(layers(), st.integers(1, 3), st.integers(1, 3))
def test_layers(case, steps, batch):
    mode, layer = case
    sequence = normal(steps, batch, layer.input_size)
    expected = running(recurrent.recurrent, mode, sequence, weights_of(layer))
    assert of(layer, sequence.transpose(0, 1) if layer.batch_first else sequence) == expected
    alone = running(recurrent.recurrent, mode, sequence[:, :1], weights_of(layer))
    assert of(layer, sequence[:, 0]) == alone


@given(layers(), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_packed_sequences_have_valid_steps_only(case, lengths):
    mode, layer = case
    sequence = normal(max(lengths), len(lengths), layer.input_size)
    packed = pack_padded_sequence(sequence, torch.tensor(lengths), enforce_sorted=False)
    assert of(layer, packed) == running(recurrent.recurrent, mode, sequence, weights_of(layer), lengths=lengths)


@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("bias", [False, True])
def test_cells(mode, bias):
    _, kind, options = KINDS[mode]
    cell = kind(3, 2, bias=bias, **options).double()
    expected = running(recurrent.cell, mode, normal(4, 3), dict(cell.named_parameters()))
    assert of(cell, normal(4, 3)) == expected
    assert 4 * of(cell, normal(3)) == expected


def test_a_given_state_costs_as_much_as_none():
    state = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    assert of(nn.LSTM(3, 4), torch.randn(5, 2, 3), state) == of(nn.LSTM(3, 4), torch.randn(5, 2, 3))


def test_dropout_between_layers_in_training():
    options = {"num_layers": 3, "bidirectional": True}
    plain, dropping = nn.GRU(3, 4, **options), nn.GRU(3, 4, dropout=0.5, **options)
    sequence = torch.randn(5, 2, 3)
    passed = 2 * 5 * 2 * 8  # between three layers, every output of both directions
    assert of(dropping, sequence) == of(plain, sequence) + OpCount(multiplications=passed, comparisons=passed)
    assert of(dropping.eval(), sequence) == of(plain, sequence)


def test_by_hand():
    # 10 steps of 2 sequences, 4·16 gates: dots of 8 and of 16, their sum, two biases; three sigmoids, two tanh,
    # three products and a sum for each of 16.
    layer, sequence = nn.LSTM(8, 16), torch.randn(10, 2, 8)
    expected = OpCount(
        multiplications=20 * (64 * 24 + 48),
        additions=20 * (64 * (7 + 15 + 1 + 2) + 48 + 16),
        divisions=20 * 48,
        transcendentals=20 * (48 + 32),
        macs=30_720,
    )
    assert of(layer, sequence) == expected
    unbiased = profile(layer, (sequence,), convention=Convention(bias=False)).ops
    assert unbiased + OpCount(additions=20 * 64 * 2) == expected


def test_a_packed_lstm_by_hand():
    packed = pack_sequence([torch.randn(3, 8), torch.randn(1, 8)])
    assert of(nn.LSTM(8, 16), packed) == 4 * of(nn.LSTMCell(8, 16), torch.randn(8))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["sum", "mean", "max"]))
def test_bags_of_one_size(bags, size, features, mode):
    layer = nn.EmbeddingBag(5, features, mode=mode).double()
    indices = torch.randint(0, 5, (bags, size))
    assert of(layer, indices) == running(embedding.embedding_bag, indices, layer.weight, mode=mode)
    if mode == "sum":
        scales = normal(bags, size)
        expected = running(embedding.embedding_bag, indices, layer.weight, mode=mode, per_sample_weights=scales)
        assert of(layer, indices, per_sample_weights=scales) == expected


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from(["sum", "mean", "max"]), st.booleans())
def test_bags_of_any_size(sizes, mode, last):
    layer = nn.EmbeddingBag(5, 2, mode=mode, include_last_offset=last).double()
    ends = torch.tensor(sizes).cumsum(0)
    offsets = torch.cat([torch.tensor([0]), ends[:-1]])
    indices = torch.randint(0, 5, (sum(sizes),))
    expected = running(embedding.embedding_bag, indices, layer.weight, offsets.tolist(), mode=mode)
    assert of(layer, indices, torch.cat([offsets, ends[-1:]]) if last else offsets) == expected


def test_looking_up_is_free():
    assert of(nn.Embedding(5, 3), torch.tensor([[1, 2]])) == OpCount()


def test_bags_by_hand():
    indices, offsets = torch.tensor([1, 2, 4, 5, 4, 3, 2]), torch.tensor([0, 4, 6])
    assert of(nn.EmbeddingBag(10, 3, mode="sum"), indices, offsets) == OpCount(additions=4 * 3)
    assert of(nn.EmbeddingBag(10, 3), indices, offsets) == OpCount(additions=4 * 3, divisions=9)
    assert of(nn.EmbeddingBag(10, 3, mode="max"), indices, offsets) == OpCount(comparisons=4 * 3)


def test_vectors_kept_to_a_norm():
    # each of 4: its norm (3 squares, 2 sums, a root), a comparison, a quotient, 3 products
    kept = 4 * OpCount(multiplications=6, additions=2, divisions=1, comparisons=1, transcendentals=1)
    indices = torch.tensor([[0, 1], [2, 3]])
    assert of(nn.Embedding(5, 3, max_norm=1.0), indices) == kept
    bag = nn.EmbeddingBag(5, 3, max_norm=1.0, mode="sum")
    assert of(bag, indices) == kept + OpCount(additions=6)
