"""Recurrent layers and cells: for each step the gates, their functions, and the cell's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term, tensors
from opcount.rules.dropout import masking
from opcount.rules.registry import rule
from opcount.rules.shapes import entry_of, weight_shape

_GATES: dict[type[nn.Module], int] = {
    nn.RNN: 1,
    nn.LSTM: 4,
    nn.GRU: 3,
    nn.RNNCell: 1,
    nn.LSTMCell: 4,
    nn.GRUCell: 3,
}


@rule(nn.RNN, nn.LSTM, nn.GRU)
def recurrent(layer: Any, call: Call) -> Iterator[Term]:
    """Every layer and direction runs its cell once for each step of each sequence: of a packed one, each valid step."""
    steps = _steps(call)
    directions = ("", "_reverse") if layer.bidirectional else ("",)
    for depth in range(layer.num_layers):
        for direction in directions:
            yield from _cell(layer, f"_l{depth}{direction}", steps)
        if call.training and layer.dropout and depth < layer.num_layers - 1:
            width = weight_shape(layer, f"weight_hh_l{depth}")[1]
            passed = product((steps, width, len(directions)))
            yield from masking(passed, passed, role=f"layer {depth} dropout")


@rule(nn.RNNCell, nn.LSTMCell, nn.GRUCell)
def cell(layer: Any, call: Call) -> Iterator[Term]:
    """One step of each sequence of the batch."""
    yield from _cell(layer, "", _steps(call))


def _steps(call: Call) -> int:
    """Steps of all sequences together: all but the last size of the input, of a packed sequence of its data."""
    sequence = tensors(call.argument(0, "input"))[0]
    return product(sequence.shape[:-1])  # type: ignore[no-any-return]


def _cell(layer: Any, name: str, steps: int) -> Iterator[Term]:
    """Each gate a dot of the input and one of the state, summed, with both biases; then what the cell makes of them."""
    gates, inputs = weight_shape(layer, f"weight_ih{name}")
    state = weight_shape(layer, f"weight_hh{name}")[1]
    outputs = product((steps, gates))
    role = name.removeprefix("_")
    prefix = f"{role} " if role else ""
    yield Term("dots", role=f"{prefix}input", count=outputs, length=inputs)
    yield Term("dots", role=f"{prefix}state", count=outputs, length=state)
    yield Term("addition", role=f"{prefix}gates", count=outputs)
    if layer.bias:
        yield Term("bias", role="bias", count=product((outputs, 2)))
    hidden = gates // entry_of(layer, _GATES)
    units = product((steps, hidden))
    if isinstance(layer, (nn.LSTM, nn.LSTMCell)):
        yield from _long_short_term_memory(units, prefix)
        if getattr(layer, "proj_size", 0):
            yield Term("dots", role=f"{prefix}projection", count=product((steps, state)), length=hidden)
    elif isinstance(layer, (nn.GRU, nn.GRUCell)):
        yield from _gated_recurrent_unit(units, prefix)
    else:
        yield Term(layer.nonlinearity, role=f"{prefix}state function", count=units)


def _long_short_term_memory(units: int, prefix: str) -> Iterator[Term]:
    """Input, forget and output gates; candidate and new state pass a tanh; c becomes f*c + i*g, h is o*tanh(c)."""
    yield Term("sigmoid", role=f"{prefix}gate functions", count=product((units, 3)))
    yield Term("tanh", role=f"{prefix}state functions", count=product((units, 2)))
    yield Term("each", role=f"{prefix}cell", count=units, multiplications=3, additions=1)


def _gated_recurrent_unit(units: int, prefix: str) -> Iterator[Term]:
    """Reset and update gates; the candidate sees the state through the reset gate; h becomes (1 - z)*n + z*h."""
    yield Term("sigmoid", role=f"{prefix}gate functions", count=product((units, 2)))
    yield Term("tanh", role=f"{prefix}state function", count=units)
    yield Term("each", role=f"{prefix}cell", count=units, multiplications=3, additions=2)
