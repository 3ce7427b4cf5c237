"""Recurrent layers, whole and cell by cell.

A gate of one unit is a dot of the I inputs and a dot of the H previous outputs, summed: I + H MACs and
(I-1) + (H-1) + 1 additions, and 2 more with biases. An LSTM's unit adds 3 sigmoids (exponential, addition and
division each), 2 tanh, 3 products and 1 addition; a GRU's 2 sigmoids, 1 tanh, 3 products and 2 additions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.gauntlet.case import Built, Family, module, weight

family = Family("recurrent")


# 10 steps of 2 sequences, 16 units of 4 gates.
@family.case(
    "one operator for the whole layer; the sequence comes first, not the batch",
    macs=20 * 4 * 16 * (8 + 16),
    products=20 * 16 * 3,
    additions=20 * 4 * 16 * (7 + 15 + 1 + 2) + 20 * 16 * (3 + 1),
    divisions=20 * 16 * 3,
    transcendentals=20 * 16 * (3 + 2),
)
def lstm() -> Built:
    return Built(nn.LSTM(8, 16), (torch.randn(10, 2, 8),))


# 7 steps of 2 sequences, two directions of 5 units with 3 gates; the second layer reads both directions, 10 inputs.
@family.case(
    "two layers in two directions: the second reads what both wrote",
    macs=14 * 2 * 3 * 5 * ((6 + 5) + (10 + 5)),
    products=14 * 2 * 2 * 5 * 3,
    additions=14 * 2 * 3 * 5 * ((5 + 4 + 1 + 2) + (9 + 4 + 1 + 2)) + 14 * 2 * 2 * 5 * (2 + 2),
    divisions=14 * 2 * 2 * 5 * 2,
    transcendentals=14 * 2 * 2 * 5 * 3,
)
def gru_bidirectional() -> Built:
    model = nn.GRU(6, 5, num_layers=2, bidirectional=True, batch_first=True)
    return Built(model, (torch.randn(2, 7, 6),))


@family.case(
    "a plain recurrence with ReLU",
    macs=10 * 3 * (4 + 3),
    additions=10 * 3 * (3 + 2 + 1),
    comparisons=10 * 3,
)
def rnn_relu() -> Built:
    return Built(nn.RNN(4, 3, nonlinearity="relu", bias=False), (torch.randn(5, 2, 4),))


# The 12 units are projected to 5, and it is those 5 that the gates read at the next step.
@family.case(
    "proj_size: the recurrence is narrower than the cell, and is a matmul of its own",
    macs=6 * (4 * 12 * (8 + 5) + 5 * 12),
    products=6 * 12 * 3,
    additions=6 * (4 * 12 * (7 + 4 + 1) + 5 * 11) + 6 * 12 * (3 + 1),
    divisions=6 * 12 * 3,
    transcendentals=6 * 12 * (3 + 2),
)
def lstm_projected() -> Built:
    return Built(nn.LSTM(8, 12, proj_size=5, bias=False), (torch.randn(6, 1, 8),))


@family.case(
    "no batch dimension: two sizes, steps and features",
    macs=7 * 4 * 4 * (8 + 4),
    products=7 * 4 * 3,
    additions=7 * 4 * 4 * (7 + 3 + 1) + 7 * 4 * (3 + 1),
    divisions=7 * 4 * 3,
    transcendentals=7 * 4 * (3 + 2),
)
def lstm_unbatched() -> Built:
    return Built(nn.LSTM(8, 4, bias=False), (torch.randn(7, 8),))


# Lengths 5, 3 and 2: ten steps in all, not fifteen.
@family.case(
    "packed sequences: the padding is not computed",
    macs=(5 + 3 + 2) * 4 * 3 * (4 + 3),
    products=(5 + 3 + 2) * 3 * 3,
    additions=(5 + 3 + 2) * (4 * 3 * (3 + 2 + 1) + 3 * (3 + 1)),
    divisions=(5 + 3 + 2) * 3 * 3,
    transcendentals=(5 + 3 + 2) * 3 * (3 + 2),
)
def lstm_packed() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, [5, 3, 2], batch_first=True)
        output: Tensor = self.lstm(packed)[0].data
        return output

    return Built(module(forward, lstm=nn.LSTM(4, 3, bias=False)), (torch.randn(3, 5, 4),))


@family.case(
    "a cell, with biases",
    macs=2 * 4 * 16 * (8 + 16),
    products=2 * 16 * 3,
    additions=2 * 4 * 16 * (7 + 15 + 1 + 2) + 2 * 16 * (3 + 1),
    divisions=2 * 16 * 3,
    transcendentals=2 * 16 * (3 + 2),
)
def lstm_cell() -> Built:
    return Built(nn.LSTMCell(8, 16), (torch.randn(2, 8),))


# 5 steps of 3 sequences.
@family.case(
    "a cell called once a step",
    macs=5 * 3 * 3 * 6 * (4 + 6),
    products=5 * 3 * 6 * 3,
    additions=5 * 3 * 3 * 6 * (3 + 5 + 1) + 5 * 3 * 6 * (2 + 2),
    divisions=5 * 3 * 6 * 2,
    transcendentals=5 * 3 * 6 * 3,
)
def gru_cell_loop() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        state: Tensor = self.cell(x[0])
        for step in x[1:]:
            state = self.cell(step, state)
        return state

    return Built(module(forward, cell=nn.GRUCell(4, 6, bias=False)), (torch.randn(5, 3, 4),))


# A step of the scan: 8 products with the decay, 8 dots of 4 for the input, 8 sums, 3 dots of 8 for the output.
@family.case(
    "a state-space model scanned step by step",
    macs=6 * (8 * 4 + 3 * 8),
    products=6 * 8,
    additions=6 * (8 * 3 + 8 + 3 * 7),
)
def state_space_scan() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        state = x.new_zeros(8)
        outputs = []
        for step in x:
            state = self.decay * state + F.linear(step, self.b)
            outputs.append(F.linear(state, self.c))
        return torch.stack(outputs)

    return Built(module(forward, decay=weight(8), b=weight(8, 4), c=weight(3, 8)), (torch.randn(6, 4),))
