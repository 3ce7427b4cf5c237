"""The gradient of recurrent layers and cells: back through the steps, from the gates that are kept.

Every step's gradient of the state is that of its output and that of the next step, added up; at the last step that of
the final state takes the next one's place. Outputs that nothing is made of add nothing, and into the initial state it
goes on only where that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree, tensors
from opcount.rules.reading import given, held, needs_grad
from opcount.rules.recurrent import GATES, Cell, of_layer, of_weights, steps_of
from opcount.rules.registry import rule


class _Needed(NamedTuple):
    """Which gradients of a cell are asked for, and which of its outputs have one.

    Attributes:
        sequence: whether every step's output has one; without, the final state alone.
        final: whether the final state has one.
        memory: whether an LSTM's final cell state has one.
    """

    input: bool
    state: bool
    input_weight: bool
    state_weight: bool
    biases: int = 0
    projection: bool = False
    sequence: bool = True
    final: bool = True
    memory: bool = True


@rule(nn.RNN, nn.LSTM, nn.GRU, phase="backward")
def recurrent_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """Every layer and direction, the last one first."""
    directions = ("", "_reverse") if layer.bidirectional else ("",)
    state = needs_grad_of(call.argument(1, "hx"))
    below = needs_grad_of(call.argument(0, "input"))
    used, finals = needs_grad_of(call.output[0]), [spec.needs_grad for spec in tensors(call.output[1])]
    cells = []
    for depth in range(layer.num_layers):
        names = [f"_l{depth}{direction}" for direction in directions]
        outputs = (used or depth < layer.num_layers - 1, finals[0], finals[-1])
        cells.append([(of_layer(layer, name), _asked_of(layer, name, below, state, outputs)) for name in names])
        below = below or state or any(any(needed[:6]) for _, needed in cells[-1])
    steps, sequences = steps_of(call.argument(0, "input")), _sequences(call.output[1])
    yield from _stack(cells, steps, sequences, call.training and layer.dropout > 0)


@rule(nn.RNNCell, nn.LSTMCell, nn.GRUCell, phase="backward")
def cell_gradient(layer: Any, call: Call) -> Iterator[Term]:
    """One step of each sequence."""
    state = needs_grad_of(call.argument(1, "hx"))
    steps = steps_of(call.argument(0, "input"))
    below, memory = needs_grad_of(call.argument(0, "input")), tensors(call.output)[-1].needs_grad
    needed = _asked_of(layer, "", below, state, (True, False, memory))
    yield from cell_gradient_terms(of_layer(layer, ""), steps, steps, needed)


@rule("aten._thnn_fused_lstm_cell_backward_impl", "aten._thnn_fused_gru_cell_backward")
def gates_joined_backward(operator: Any, call: Call) -> Iterator[Term]:
    """What comes before a step's products: the gradients of the gates' functions and of the cell's own arithmetic."""
    kind = "lstm" if "lstm" in operator._schema.name else "gru"
    asked = given(operator, call)
    units = asked.cx.elements if kind == "lstm" else asked.grad_hy.elements
    yield from _functions(kind, units, units, "")
    if asked.has_bias:
        outputs, gates = units * GATES[kind], asked.workspace.shape[-1]
        for _ in range(1 if kind == "lstm" else 2):
            yield Term("sums", role="bias", rows=gates, length=outputs // gates if gates else 0)


@rule("aten.mkldnn_rnn_layer_backward")
def one_layer_backward(operator: Any, call: Call) -> Iterator[Term]:
    """One layer in one direction, all gradients."""
    asked = given(operator, call)
    kind = ("relu", "tanh", "lstm", "gru")[asked.mode]
    made = of_weights(kind, (asked.weight1, asked.weight2), asked.has_biases)
    sequences = product(asked.hx_.shape[:-1])
    outputs = [tensors(each) != [] for each in (asked.grad_output, asked.grad_hy, asked.grad_cy)]
    state = needs_grad(asked.hx_) or needs_grad(asked.cx_tmp)
    needed = _Needed(True, state, True, True, 2 if asked.has_biases else 0, False, *outputs)
    yield from cell_gradient_terms(made, steps_of(asked.input), sequences, needed)


def _stack(
    cells: Sequence[Sequence[tuple[Cell, _Needed]]], steps: int, sequences: int, dropout: bool
) -> Iterator[Term]:
    for depth in reversed(range(len(cells))):
        layer = cells[depth]
        for (made, needed), direction in zip(layer, ("", "_reverse")):
            yield from cell_gradient_terms(made, steps, sequences, needed, name=f"l{depth}{direction}")
        inputs = product((steps, layer[0][0].inputs))
        if len(layer) > 1 and layer[0][1].input:
            yield Term("addition", role=f"l{depth} directions", count=inputs)
        if dropout and depth > 0 and layer[0][1].input:
            yield Term("multiplication", role=f"layer {depth - 1} dropout masking", count=inputs)


def cell_gradient_terms(made: Cell, steps: int, sequences: int, needed: _Needed, *, name: str = "") -> Iterator[Term]:
    """One layer in one direction.

    Args:
        steps: of all sequences together.
        sequences: how many there are: so many steps are first ones, and last ones.
    """
    prefix = f"{name} " if name else ""
    hidden = made.gates // GATES[made.kind]
    carried = steps if needed.state else max(steps - sequences, 0)
    outputs = product((steps, made.gates))
    inner = max(steps - sequences, 0)  # steps that another one follows
    if needed.sequence:
        joined = inner + needed.final * sequences
        yield Term("addition", role=f"{prefix}state and output", count=product((joined, made.state)))
    if made.projected:
        yield Term("dots", role=f"{prefix}projection", count=product((steps, hidden)), length=made.state)
        if needed.projection:
            yield Term("dots", role=f"{prefix}projection weight", count=product((made.state, hidden)), length=steps)
    if made.kind == "lstm":
        joined = inner + needed.memory * sequences
        yield Term("addition", role=f"{prefix}cell states", count=product((joined, hidden)))
    yield from _functions(made.kind, product((steps, hidden)), product((carried, hidden)), prefix)
    yield Term("dots", role=f"{prefix}state", count=product((carried, made.state)), length=made.gates)
    if needed.input:
        yield Term("dots", role=f"{prefix}input", count=product((steps, made.inputs)), length=made.gates)
    if needed.input_weight:
        yield Term("dots", role=f"{prefix}input weight", count=product((made.gates, made.inputs)), length=steps)
    if needed.state_weight:
        yield Term("dots", role=f"{prefix}state weight", count=product((made.gates, made.state)), length=steps)
    for _ in range(needed.biases):
        yield Term("sums", role="bias", rows=made.gates, length=outputs // made.gates if made.gates else 0)


def _functions(kind: str, units: int, carried: int, prefix: str) -> Iterator[Term]:
    """Through the cell's own arithmetic and the gates' functions; ``carried`` units go on to the step before."""
    if kind == "lstm":
        # dh*tanh(c) for the output gate; dc = dh*o*(1 - tanh(c)^2); dc times g, i and the old c for three gates
        yield Term("each", role=f"{prefix}cell", count=units, multiplications=7, additions=1)
        yield Term("sigmoid_gradient", role=f"{prefix}gate functions", count=product((units, 3)))
        yield Term("tanh_gradient", role=f"{prefix}state function", count=units)
        yield Term("multiplication", role=f"{prefix}cell carried", count=carried)
    elif kind == "gru":
        # dh*(h - n) for z, dh*(1 - z) for n; of what the reset gate multiplies, both factors
        yield Term("each", role=f"{prefix}cell", count=units, multiplications=4, additions=1)
        yield Term("sigmoid_gradient", role=f"{prefix}gate functions", count=product((units, 2)))
        yield Term("tanh_gradient", role=f"{prefix}state function", count=units)
        yield Term("each", role=f"{prefix}state carried", count=carried, multiplications=1, additions=1)
    else:
        yield Term(f"{kind}_gradient", role=f"{prefix}state function", count=units)


def _asked_of(layer: Any, name: str, below: bool, state: bool, outputs: tuple[bool, bool, bool]) -> _Needed:
    """Which gradients of one cell of a layer are asked for."""
    parts = {part: held(layer, f"{part}{name}") for part in ("weight_ih", "weight_hh")}
    biases = [held(layer, f"{part}{name}") for part in ("bias_ih", "bias_hh")] if layer.bias else []
    projection = held(layer, f"weight_hr{name}") if getattr(layer, "proj_size", 0) else None
    return _Needed(
        below,
        state,
        needs_grad(parts["weight_ih"]),
        needs_grad(parts["weight_hh"]),
        sum(map(needs_grad, biases)),
        needs_grad(projection),
        *outputs,
    )


def needs_grad_of(tree: Tree) -> bool:
    """Whether the gradient of any tensor of an argument is asked for."""
    return any(spec.needs_grad for spec in tensors(tree))


def _sequences(state: Tree) -> int:
    """How many sequences a final state is of."""
    first: TensorSpec = tensors(state)[0]
    return first.shape[1] if len(first.shape) == 3 else 1
