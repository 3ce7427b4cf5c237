"""Recurrent layers: a cell's formulas, run over steps, directions, layers and samples.

Weights come as a mapping by PyTorch's names, without the layer's suffix: weight_ih, weight_hh and, where there are
any, bias_ih, bias_hh, weight_hr. A state is a list of numbers, an LSTM's a pair of such lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.reference.activation import sigmoid
from tests.reference.machine import Array, dot, maximum, objects, tanh

Weights = Mapping[str, Array]
Vector = list[Any]
State = tuple[Vector, ...]


def _affine(vector: Vector, weights: Weights, side: str) -> Vector:
    """W x + b, the bias if there is one."""
    bias = weights.get(f"bias_{side}")
    values = [dot(vector, list(row)) for row in weights[f"weight_{side}"]]
    return values if bias is None else [value + b for value, b in zip(values, bias, strict=True)]


def _gates(inputs: Vector, hidden: Vector, weights: Weights) -> Vector:
    """W_ih x + b_ih + W_hh h + b_hh for all gates, one after the other."""
    return [a + b for a, b in zip(_affine(inputs, weights, "ih"), _affine(hidden, weights, "hh"), strict=True)]


def _split(values: Vector, parts: int) -> list[Vector]:
    size = len(values) // parts
    return [values[index * size : (index + 1) * size] for index in range(parts)]


def rnn_tanh_step(inputs: Vector, state: State, weights: Weights) -> State:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), as torch.nn.RNN."""
    return ([tanh(value) for value in _gates(inputs, state[0], weights)],)


def rnn_relu_step(inputs: Vector, state: State, weights: Weights) -> State:
    """h' = max(0, W_ih x + b_ih + W_hh h + b_hh), as torch.nn.RNN with nonlinearity='relu'."""
    return ([maximum(value, 0.0) for value in _gates(inputs, state[0], weights)],)


def lstm_step(inputs: Vector, state: State, weights: Weights) -> State:
    """torch.nn.LSTM: i, f, o = sigmoid, g = tanh of their gates; c' = f c + i g; h' = o tanh(c'), then W_hr h'."""
    hidden, cell = state
    i, f, g, o = _split(_gates(inputs, hidden, weights), 4)
    cell = [
        sigmoid(forget) * old + sigmoid(enter) * tanh(new)
        for forget, old, enter, new in zip(f, cell, i, g, strict=True)
    ]
    hidden = [sigmoid(out) * tanh(value) for out, value in zip(o, cell, strict=True)]
    if "weight_hr" in weights:
        hidden = [dot(hidden, list(row)) for row in weights["weight_hr"]]
    return hidden, cell


def gru_step(inputs: Vector, state: State, weights: Weights) -> State:
    """torch.nn.GRU: r, z = sigmoid of gates; n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h' = (1 - z) n + z h."""
    reset_x, update_x, new_x = _split(_affine(inputs, weights, "ih"), 3)
    reset_h, update_h, new_h = _split(_affine(state[0], weights, "hh"), 3)
    hidden = []
    for index, old in enumerate(state[0]):
        r = sigmoid(reset_x[index] + reset_h[index])
        z = sigmoid(update_x[index] + update_h[index])
        n = tanh(new_x[index] + r * new_h[index])
        hidden.append((1.0 - z) * n + z * old)
    return (hidden,)


STEPS: dict[str, Callable[[Vector, State, Weights], State]] = {
    "RNN_TANH": rnn_tanh_step,
    "RNN_RELU": rnn_relu_step,
    "LSTM": lstm_step,
    "GRU": gru_step,
}


def _initial(mode: str, weights: Weights, given: Sequence[Array] | None, where: tuple[int, ...]) -> State:
    """The given state, or zeros that are worked with like any other."""
    if given is not None:
        return tuple(list(array[where]) for array in given)
    zero = weights["weight_hh"][0, 0].like(0.0)
    hidden = [zero] * weights["weight_hh"].shape[1]
    return (hidden, [zero] * (weights["weight_hh"].shape[0] // 4)) if mode == "LSTM" else (hidden,)


def cell(mode: str, inputs: Array, weights: Weights, initial: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """torch.nn.RNNCell, LSTMCell, GRUCell on (N, I): the new state, h or h and c, each (N, H)."""
    after = [STEPS[mode](list(inputs[n]), _initial(mode, weights, initial, (n,)), weights) for n in range(len(inputs))]
    return tuple(_array([state[part] for state in after]) for part in range(len(after[0])))


def recurrent(
    mode: str,
    inputs: Array,
    weights: Sequence[Sequence[Weights]],
    initial: Sequence[Array] | None = None,
    *,
    lengths: Sequence[int] | None = None,
    dropout: tuple[float, Array] | None = None,
) -> tuple[Array, tuple[Array, ...]]:
    """torch.nn.RNN, LSTM, GRU on (T, N, I): outputs (T, N, directions · H), and the last state of all layers.

    `weights` holds, layer by layer, one mapping per direction; the second direction reads its input backwards.
    `initial` is (h,) or (h, c), each (layers · directions, N, H). `lengths`, one per sample, are those of a packed
    sequence: later steps are not computed and read 0. `dropout` between layers is p with uniform numbers
    (layers - 1, T, N, directions · H).
    """
    steps, batch, _ = inputs.shape
    valid = [steps] * batch if lengths is None else lengths
    outputs: Any = None
    final: list[list[State]] = [[] for _ in weights for _ in weights[0]]
    for n in range(batch):
        sequence = [list(inputs[t, n]) for t in range(valid[n])]
        for layer, directions in enumerate(weights):
            if dropout is not None and layer > 0:
                p, uniform = dropout
                sequence = [
                    [
                        x * (0.0 if u < p else 1.0 / (1.0 - p))
                        for x, u in zip(step, uniform[layer - 1, t, n], strict=True)
                    ]
                    for t, step in enumerate(sequence)
                ]
            runs = []
            for index, own in enumerate(directions):
                slot = layer * len(directions) + index
                state, run = _initial(mode, own, initial, (slot, n)), []
                for step in reversed(sequence) if index else sequence:
                    state = STEPS[mode](step, state, own)
                    run.append(state[0])
                final[slot].append(state)
                runs.append(run[::-1] if index else run)
            sequence = [[number for part in parts for number in part] for parts in zip(*runs, strict=True)]
        if outputs is None:
            outputs = objects((steps, batch, len(sequence[0])))
            outputs.fill(0.0)
        for t, step in enumerate(sequence):
            outputs[t, n] = step
    parts = range(len(final[0][0]))
    return outputs, tuple(_array([[state[part] for state in slot] for slot in final]) for part in parts)


def _array(nested: list[Any]) -> Array:
    """Nested lists of numbers as an array of them."""
    shape: list[int] = []
    inner: Any = nested
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0]
    output = objects(shape)
    output[...] = nested
    return output
