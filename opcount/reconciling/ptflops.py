"""ptflops, backend pytorch: hooks on layers of the very classes it knows, and functions it puts itself before, both.

Where a layer calls a function that it knows too, the same work is counted twice. What the layers cost is divided by the
size of the batch, what the functions cost is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from opcount.formulas import evaluate
from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec, tensors
from opcount.reconciling import calls
from opcount.reconciling.calls import Convention, asked, elements, first, output
from opcount.reconciling.tools import Charge
from opcount.rules.shapes import broadcast, per_axis

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

BIAS = "bias, 1 an output"
AGAIN = "again, as the function that a counted layer calls"


def charges(seen: Seen) -> Iterator[Charge]:
    """What its hook on a layer adds, or what it adds before a function called by name."""
    if seen.level == "layer":
        handle = _LAYERS.get(type(seen.subject)) if seen.places else None
        if handle is not None and not _under_known(seen):
            yield from calls.for_each_path(seen, handle(seen))
    elif seen.level == "function" and not (seen.as_operator or calls.kept_by_layer(seen)):
        handle = _FUNCTIONS.get(seen.subject)
        if handle is not None:
            layer = next((outer for outer in seen.above() if outer.level == "layer"), None)
            known = layer is not None and type(layer.subject) in _LAYERS
            for charge in handle(seen):
                again = known and (charge.reason or _counts(layer))
                yield Charge(charge.amount, f"{_name(seen)} {AGAIN}") if again else charge


def closing(root: Seen, levels: dict[str, int]) -> Iterator[Charge]:
    """Layers are divided by the length of the first input of the model, of all its calls if it calls itself."""
    model = root.inside[0].subject if root.inside else None
    batch = sum(_length(seen) for seen in root.walk() if seen.level == "layer" and seen.subject is model)
    if batch > 1:
        both = levels["layer"] + levels["function"]
        yield Charge(int(levels["layer"] / batch + levels["function"]) - both, "layers for one sample of the batch")


def why(seen: Seen, charged: int) -> str | None:
    """What its own formulas make of recurrent layers and of attention."""
    if seen.level == "layer" and isinstance(seen.subject, nn.RNNBase | nn.RNNCellBase) and charged:
        return "recurrent layers: biases, gate functions and the cell's products in the same sum"
    if seen.level == "layer" and isinstance(seen.subject, nn.MultiheadAttention) and charged:
        return "MultiheadAttention: projections of keys and values to their own width, not the layer's"
    if any(each.subject in calls.CONVOLUTIONS for each in seen.walk()) and charged:
        return "convolutions of an unbatched input, whose first size it takes for the batch"
    return None


def _length(seen: Seen) -> int:
    args = seen.call.args if seen.call else ()
    return args[0].shape[0] if args and isinstance(args[0], TensorSpec) and args[0].shape else 1


def _under_known(seen: Seen) -> bool:
    """Whether the layer is part of one that counts for all within."""
    return any(outer.level == "layer" and type(outer.subject) in _LAYERS for outer in seen.above())


def _counts(layer: Any) -> bool:
    return layer is not None and any(evaluate(term).macs for term in layer.terms or ())


def _name(seen: Seen) -> str:
    return "max_pool" if seen.subject in _MAX_POOLS else str(getattr(seen.subject, "__name__", "a function"))


_MAX_POOLS = (F.max_pool1d, F.max_pool2d, F.max_pool3d, F.adaptive_max_pool1d, F.adaptive_max_pool2d,
              F.adaptive_max_pool3d)  # fmt: skip


def _convolution(seen: Seen) -> Iterator[Charge]:
    layer, out = seen.subject, output(seen)
    positions = product((first(seen).shape[0], *out.shape[2:]))
    yield Charge(product((*layer.kernel_size, layer.in_channels, layer.out_channels // layer.groups, positions)))
    if layer.bias is not None:
        yield Charge(product((first(seen).shape[0], *out.shape[1:])), BIAS)


def _transposed_convolution(seen: Seen) -> Iterator[Charge]:
    layer, out, before = seen.subject, output(seen), first(seen)
    positions = product((before.shape[0], *before.shape[2:]))
    yield Charge(product((*layer.kernel_size, layer.in_channels, layer.out_channels // layer.groups, positions)))
    if layer.bias is not None:
        yield Charge(product((before.shape[0], *out.shape[1:])), BIAS)


def _linear(seen: Seen) -> Iterator[Charge]:
    yield Charge(product((first(seen).elements, output(seen).shape[-1])))
    if seen.subject.bias is not None:
        yield Charge(output(seen).elements, BIAS)


def _norm(seen: Seen) -> Iterator[Charge]:
    times = 2 if getattr(seen.subject, "affine", False) else 1  # a LayerNorm has no attribute of that name
    yield Charge(product((times, first(seen).elements)), f"{type(seen.subject).__name__}, {times} an element")


def _upsample(seen: Seen) -> Iterator[Charge]:
    yield Charge(product(output(seen).shape[1:]), "Upsample, 1 an output of the first sample")


def _attention(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    query, key, value = tensors(seen.call.args)[:3]  # type: ignore[union-attr]
    batch, length = (query.shape[0], 1) if layer.batch_first else (query.shape[1], 0)
    queries, keys, values = query.shape[length], key.shape[length], value.shape[length]
    width, key_width, value_width = query.shape[2], key.shape[2], value.shape[2]
    heads = layer.num_heads
    projections = queries * width**2 + keys * key_width**2 + values * value_width**2 + queries * value_width**2
    scores = heads * queries * keys * (width // heads + value_width // heads)
    yield Charge(product((batch, projections + scores)))
    yield Charge(product((batch, queries, width)), "MultiheadAttention: scaling of the queries")
    yield Charge(product((batch, heads, queries, keys)), "MultiheadAttention: softmax, 1 a score")
    into = (queries + keys + values) * width if layer.in_proj_bias is not None else 0
    yield Charge(product((batch, into + queries * value_width)), BIAS)


_GATES = {"RNN": (1, 0), "GRU": (3, 7), "LSTM": (4, 6)}


def _recurrent(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    yield Charge(product((*first(seen).shape[:2], 2 if layer.bidirectional else 1, sum(_steps(layer)))))


def _steps(layer: Any) -> Iterator[int]:
    """What a step of each of its layers costs, one direction, the weights as they are named."""
    for depth in range(layer.num_layers):
        yield _cell(layer, getattr(layer, f"weight_ih_l{depth}"), getattr(layer, f"weight_hh_l{depth}"))


def _recurrent_cell(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    yield Charge(product((first(seen).shape[0], _cell(layer, layer.weight_ih, layer.weight_hh))))


def _cell(layer: Any, inward: Any, across: Any) -> int:
    extra = {"RNN": 1, "GRU": 7, "LSTM": 10}[type(layer).__name__.removesuffix("Cell")]
    biases = 2 * inward.shape[0] if layer.bias else 0
    return int(prod(inward.shape) + prod(across.shape) + extra * layer.hidden_size + biases)


def _interpolated(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    axes, reason = len(call.input.shape) - 2, "interpolate, 1 an output"
    if call.size is not None:
        yield Charge(product((*call.input.shape[:2], *per_axis(call.size, axes))), reason)
        return
    factors = call.scale_factor
    scaled = prod(factors) if isinstance(factors, tuple) and len(factors) == axes else factors**axes
    yield Charge(int(call.input.elements * scaled), reason)


def _added(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    left, right = call.get("mat1") or call.get("batch1"), call.get("mat2") or call.get("batch2")
    yield Charge(product((left.elements, right.shape[-1])))
    if call.beta != 0:
        yield Charge(call.input.elements, "what addmm and baddbmm add, 1 an element")


def _each(reason: str) -> Callable[[Seen], Iterator[Charge]]:
    def each(seen: Seen) -> Iterator[Charge]:
        shapes = [spec.shape for spec in tensors(seen.call.args) if isinstance(spec, TensorSpec)]  # type: ignore[union-attr]
        yield Charge(broadcast(*shapes).elements, reason)

    return each


_LAYERS: Convention = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed_convolution),
    **{
        kind: elements(f"{kind.__name__}, 1 an element", of="output")
        for kind in (nn.ReLU, nn.PReLU, nn.ELU, nn.LeakyReLU, nn.ReLU6, nn.GELU)
    },
    **{
        kind: elements(f"{kind.__name__}, 1 an input element")
        for kind in (
            *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
            *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
            *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
        )
    },
    **dict.fromkeys(
        (
            *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm),
            *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
        ),
        _norm,
    ),
    nn.Linear: _linear,
    nn.Upsample: _upsample,
    **dict.fromkeys((nn.RNN, nn.GRU, nn.LSTM), _recurrent),
    **dict.fromkeys((nn.RNNCell, nn.GRUCell, nn.LSTMCell), _recurrent_cell),
    nn.MultiheadAttention: _attention,
}

_NAMED = (F.relu, F.prelu, F.elu, F.relu6, F.gelu, F.silu, F.softmax)

_FUNCTIONS: Convention = {
    **{function: elements(f"{function.__name__}, 1 an element") for function in _NAMED},
    **{function: elements("pooling functions, 1 an input element") for function in calls.POOLS},
    F.interpolate: _interpolated,
    F.upsample: _interpolated,
    **dict.fromkeys(
        (torch.matmul, torch.Tensor.matmul, torch.mm, torch.Tensor.mm, torch.bmm, torch.Tensor.bmm),
        calls.matrix_product,
    ),
    **dict.fromkeys((torch.addmm, torch.baddbmm, torch.Tensor.addmm), _added),
    **dict.fromkeys((torch.mul, torch.Tensor.mul), _each("mul called by name, 1 an element")),
    **dict.fromkeys((torch.add, torch.Tensor.add), _each("add called by name, 1 an element")),
}
