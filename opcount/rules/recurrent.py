"""Recurrent layers and cells: for each step the gates, their functions, and the cell's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree, tensors
from opcount.rules.dropout import masking
from opcount.rules.reading import given
from opcount.rules.registry import rule
from opcount.rules.shapes import weight_shape

GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
"""How many gates a unit of each kind of cell has."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one layer in one direction is made of: the sizes of its weights.

    Attributes:
        kind: ``"lstm"``, ``"gru"``, or what a plain cell passes its state through.
        gates: outputs of all gates together.
        inputs, state: sizes of what a gate sees.
    """

    kind: str
    gates: int
    inputs: int
    state: int
    biased: bool
    projected: bool = False

    def terms(self, steps: int, name: str = "") -> Iterator[Term]:
        """Each gate a dot of the input and one of the state, summed, both biases; then what the cell makes of them."""
        prefix = f"{name} " if name else ""
        outputs, hidden = product((steps, self.gates)), self.gates // GATES[self.kind]
        yield Term("dots", role=f"{prefix}input", count=outputs, length=self.inputs)
        yield Term("dots", role=f"{prefix}state", count=outputs, length=self.state)
        yield from _joined(outputs, self.biased, prefix)
        yield from _functions(self.kind, product((steps, hidden)), prefix)
        if self.projected:
            yield Term("dots", role=f"{prefix}projection", count=product((steps, self.state)), length=hidden)


@rule(nn.RNN, nn.LSTM, nn.GRU)
def recurrent(layer: Any, call: Call) -> Iterator[Term]:
    """Every layer and direction runs its cell once for each step of each sequence: of a packed one, each valid step."""
    directions = ("", "_reverse") if layer.bidirectional else ("",)
    cells = [
        [of_layer(layer, f"_l{depth}{direction}") for direction in directions] for depth in range(layer.num_layers)
    ]
    yield from _stack(cells, steps_of(call.argument(0, "input")), call.training and layer.dropout > 0)


@rule(nn.RNNCell, nn.LSTMCell, nn.GRUCell)
def cell(layer: Any, call: Call) -> Iterator[Term]:
    """One step of each sequence of the batch."""
    yield from of_layer(layer, "").terms(steps_of(call.argument(0, "input")))


@rule(torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
@rule("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.rnn_relu")
def functional_recurrent(function: Any, call: Call) -> Iterator[Term]:
    """The same, the weights passed in as a list; a packed sequence comes with the sizes of its batches."""
    kind = _kind_in_name(function)
    if isinstance(call.argument(3, "has_biases"), bool):
        sequence, _, weights, biased, depth, dropout, training, both = call.args[:8]
    else:
        sequence, _, _, weights, biased, depth, dropout, training, both = call.args[:9]
    count = depth * (2 if both else 1)
    each = len(weights) // count
    made = [of_weights(kind, weights[place * each : (place + 1) * each], biased) for place in range(count)]
    cells = [made[place * count // depth : (place + 1) * count // depth] for place in range(depth)]
    yield from _stack(cells, steps_of(sequence), training and dropout > 0)


@rule(torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell)
@rule("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten.rnn_relu_cell")
def functional_cell(function: Any, call: Call) -> Iterator[Term]:
    """One step of each sequence of the batch, the weights passed in."""
    asked = given(function, call)
    made = of_weights(_kind_in_name(function), (asked.w_ih, asked.w_hh), asked.b_ih is not None)
    yield from made.terms(steps_of(asked.input))


@rule("aten.mkldnn_rnn_layer")
def one_layer(operator: Any, call: Call) -> Iterator[Term]:
    """One layer of an LSTM, or of another recurrent network, in one direction."""
    asked = given(operator, call)
    kind = ("relu", "tanh", "lstm", "gru")[asked.mode]
    yield from of_weights(kind, (asked.weight0, asked.weight1), asked.has_biases).terms(steps_of(asked.input))


@rule("aten._cudnn_rnn")
def whole_stack(operator: Any, call: Call) -> Iterator[Term]:
    """The whole stack in one kernel."""
    asked = given(operator, call)
    count = asked.num_layers * (2 if asked.bidirectional else 1)
    each, kind = asked.weight_stride0, ("relu", "tanh", "lstm", "gru")[asked.mode]
    made = [of_weights(kind, asked.weight[place * each : (place + 1) * each], each > 3) for place in range(count)]
    directions = count // asked.num_layers
    cells = [made[place : place + directions] for place in range(0, count, directions)]
    yield from _stack(cells, steps_of(asked.input), asked.train and asked.dropout > 0)


@rule("aten._thnn_fused_lstm_cell", "aten._thnn_fused_gru_cell")
def gates_joined(operator: Any, call: Call) -> Iterator[Term]:
    """What follows a step's products: the gates' sums, biases and functions, and the cell's own arithmetic."""
    asked, kind = given(operator, call), "lstm" if "lstm" in operator._schema.name else "gru"
    outputs = asked.input_gates.elements
    yield from _joined(outputs, asked.input_bias is not None, "")
    yield from _functions(kind, outputs // GATES[kind], "")


def cells_of(
    kind: str, layers: int, directions: int, inputs: int, state: int, biased: bool
) -> Iterator[tuple[str, Cell]]:
    """The cells of a whole stack by their names, from its sizes."""
    for depth in range(layers):
        for direction in ("", "_reverse")[:directions]:
            size = state * directions if depth else inputs
            yield f"l{depth}{direction}", Cell(kind, GATES[kind] * state, size, state, biased)


def _stack(cells: Sequence[Sequence[Cell]], steps: int, dropout: bool) -> Iterator[Term]:
    """Layers of cells, one for each direction, and the dropout between layers."""
    for depth, layer in enumerate(cells):
        for made, direction in zip(layer, ("", "_reverse")):
            yield from made.terms(steps, f"l{depth}{direction}")
        if dropout and depth < len(cells) - 1:
            passed = product((steps, sum(made.state for made in layer)))
            yield from masking(passed, passed, role=f"layer {depth} dropout")


def _joined(outputs: int, biased: bool, prefix: str) -> Iterator[Term]:
    yield Term("addition", role=f"{prefix}gates", count=outputs)
    if biased:
        yield Term("bias", role="bias", count=product((outputs, 2)))


def _functions(kind: str, units: int, prefix: str) -> Iterator[Term]:
    if kind == "lstm":  # input, forget, output gates; candidate and new state; c = f*c + i*g, h = o*tanh(c)
        yield Term("sigmoid", role=f"{prefix}gate functions", count=product((units, 3)))
        yield Term("tanh", role=f"{prefix}state functions", count=product((units, 2)))
        yield Term("each", role=f"{prefix}cell", count=units, multiplications=3, additions=1)
    elif kind == "gru":  # reset, update gates; the candidate sees the state through the reset; h = (1 - z)*n + z*h
        yield Term("sigmoid", role=f"{prefix}gate functions", count=product((units, 2)))
        yield Term("tanh", role=f"{prefix}state function", count=units)
        yield Term("each", role=f"{prefix}cell", count=units, multiplications=3, additions=2)
    else:
        yield Term(kind, role=f"{prefix}state function", count=units)


def of_layer(layer: Any, name: str) -> Cell:
    """The cell whose weights a layer holds under a suffix such as ``"_l0"``."""
    kinds = {nn.LSTM: "lstm", nn.LSTMCell: "lstm", nn.GRU: "gru", nn.GRUCell: "gru"}
    kind = next((kind for base, kind in kinds.items() if isinstance(layer, base)), None) or layer.nonlinearity
    gates, inputs = weight_shape(layer, f"weight_ih{name}")
    state = weight_shape(layer, f"weight_hh{name}")[1]
    return Cell(kind, gates, inputs, state, layer.bias, bool(getattr(layer, "proj_size", 0)))


def of_weights(kind: str, weights: Sequence[TensorSpec], biased: bool) -> Cell:
    """Weights for input and state, two biases if there are any, and a projection if one is left over."""
    gates, inputs = weights[0].shape
    return Cell(kind, gates, inputs, weights[1].shape[1], biased, len(weights) in (3, 5))


def _kind_in_name(function: Any) -> str:
    name = function._schema.name.removeprefix("aten::") if isinstance(function, OpOverload) else function.__name__
    return name.removesuffix("_cell").removeprefix("rnn_")


def steps_of(sequence: Tree) -> int:
    """Steps of all sequences together: all but the last size of the input, of a packed sequence of its data."""
    return product(tensors(sequence)[0].shape[:-1])  # type: ignore[no-any-return]
