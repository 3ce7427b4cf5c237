"""ultralytics-thop: hooks on layers by the classes they derive from, and products called outside any that counts.

Softmax, norms and average pooling are counted in the same sum as the multiplications of contractions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product, real_taps
from opcount.ops import tensors
from opcount.reconciling import calls
from opcount.reconciling.calls import Convention, asked, elements, first, output
from opcount.reconciling.tools import Charge
from opcount.rules.shapes import per_axis

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

MOST_AXES = 8


def charges(seen: Seen) -> Iterator[Charge]:
    """What its rule for the layer adds; for a product, if no layer with a rule is running and nothing called it."""
    if seen.level == "layer":
        handle = _rule(seen)
        if handle is not None:
            yield from handle(seen)
    elif seen.level == "function":
        handle = _FUNCTIONS.get(seen.subject)
        if handle is not None and _outermost(seen):
            yield from handle(seen)


def why(seen: Seen, charged: int) -> str | None:
    """What its own formula makes of recurrent layers, and of an einsum of three operands or more."""
    if seen.level == "layer" and isinstance(seen.subject, nn.RNNBase | nn.RNNCellBase) and charged:
        return "recurrent layers: biases, gate functions and the cell's products in the same sum"
    if any(each.subject is torch.einsum for each in seen.walk()) and not charged:
        return "einsum of more than two operands: not counted"
    return None


def _rule(seen: Seen) -> Any:
    """The rule of the nearest class that has one, of layers that it finds; nothing for the rule that it is free."""
    for kind in type(seen.subject).__mro__ if seen.places else ():
        if kind in _FREE:
            return None
        if kind in _LAYERS:
            return _LAYERS[kind]
    return None


def _outermost(seen: Seen) -> bool:
    for outer in seen.above():
        if outer.level == "function":
            return False
        if outer.level == "layer" and _rule(outer) is not None:
            return False
    return True


def _convolution(seen: Seen) -> Iterator[Charge]:
    weight = seen.subject.weight.shape
    channels = first(seen).shape[-(len(weight) - 1)] // seen.subject.groups
    yield Charge(product((output(seen).elements, channels, *weight[2:])))


def _transposed_convolution(seen: Seen) -> Iterator[Charge]:
    weight = seen.subject.weight.shape
    channels = output(seen).shape[-(len(weight) - 1)] // seen.subject.groups
    yield Charge(product((first(seen).elements, channels, *weight[2:])))


def _norm(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    affine = getattr(layer, "affine", False) or getattr(layer, "elementwise_affine", False)
    times = 4 if affine else 2
    yield Charge(product((times, first(seen).elements)), f"{type(layer).__name__}, {times} an element")


def _softmax(seen: Seen) -> Iterator[Charge]:
    layer, before = seen.subject, first(seen)
    axis = -3 if isinstance(layer, nn.Softmax2d) else layer.dim
    if axis is None:
        axis = 0 if len(before.shape) in (0, 1, 3) else 1
    length = before.shape[axis] if before.shape else 1
    rows = before.elements // length if length else 0
    more = before.elements if isinstance(layer, nn.Softmin) else rows if isinstance(layer, nn.LogSoftmax) else 0
    yield Charge(rows * _of_softmax(length) + more, f"{type(layer).__name__}, 3n − 1 a row of n")


def _of_softmax(length: int) -> int:
    return 2 * length + max(length - 1, 0)


def _average_pool(seen: Seen) -> Iterator[Charge]:
    layer, before, after = seen.subject, first(seen), output(seen)
    axes = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}[
        next(kind for kind in type(layer).__mro__ if kind in (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d))
    ]
    read = product(before.shape[: len(before.shape) - axes])
    sizes = zip(before.shape[-axes:], after.shape[-axes:], *map(_axes(axes), _window(layer)))
    for size, places, taps, step, pad in sizes:
        around = 2 * pad if layer.count_include_pad else 0
        read *= real_taps(size + around, places, taps, step, 0 if around else pad, 1)
    yield Charge(read + after.elements, "average pooling, 1 an element read and 1 an output")


def _window(layer: Any) -> tuple[Any, Any, Any]:
    return layer.kernel_size, layer.stride, layer.padding


def _axes(axes: int) -> Any:
    return lambda value: per_axis(value, axes)


def _adaptive_average_pool(seen: Seen) -> Iterator[Charge]:
    before, after = first(seen), output(seen)
    read = 1
    for size, places in zip(before.shape, after.shape):
        windows = (-(-(place + 1) * size // places) - place * size // places for place in range(places))
        read *= places if size == places else sum(windows)
    yield Charge(read + after.elements, "adaptive average pooling, 1 an element read and 1 an output")


_SAMPLES = {"linear": 5, "bilinear": 11, "bicubic": 259, "trilinear": 31}


def _upsample(seen: Seen) -> Iterator[Charge]:
    times = _SAMPLES.get(seen.subject.mode, 0)
    yield Charge(product((times, output(seen).elements)), f"{seen.subject.mode} interpolation, {times} an output")


def _linear(seen: Seen) -> Iterator[Charge]:
    yield Charge(product((seen.subject.in_features, output(seen).elements)))


def _bilinear(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    yield Charge(product((layer.in1_features + 1, layer.in2_features, output(seen).elements)))


def _attention_layer(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    sizes = (layer.embed_dim, layer.num_heads, layer.kdim, layer.vdim)
    appended = (layer.bias_k is not None) + layer.add_zero_attn
    yield from _attention(seen, sizes, appended, getattr(layer, "batch_first", False))


def _attention_function(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    sizes = (call.embed_dim_to_check, call.num_heads, call.key.shape[-1], call.value.shape[-1])
    yield from _attention(seen, sizes, (call.bias_k is not None) + call.add_zero_attn, False)


def _attention(seen: Seen, sizes: tuple[int, int, int, int], appended: int, batch_first: bool) -> Iterator[Charge]:
    width, heads, key_width, value_width = sizes
    out, key = output(seen), tensors(seen.call.args)[1]  # type: ignore[union-attr]
    batched = len(out.shape) == 3
    queries = out.shape[-2] if batch_first or not batched else out.shape[0]
    batch = (out.shape[0] if batch_first else out.shape[1]) if batched else 1
    attended = (key.shape[-2] if batch_first or len(key.shape) == 2 else key.shape[0]) + appended
    projections = width * (2 * queries * width + (attended - appended) * (key_width + value_width))
    yield Charge(product((batch, projections + 2 * queries * attended * width)))
    softmax = product((batch, heads, queries)) * _of_softmax(attended)
    yield Charge(softmax, "softmax of attention layers, 3n − 1 a row of n")


def _recurrent(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    directions = 2 if layer.bidirectional else 1
    handed_on = (layer.proj_size or layer.hidden_size) * directions
    widths = [layer.input_size, *[handed_on] * (layer.num_layers - 1)]
    steps = product(first(seen).shape[:-1])
    yield Charge(product((steps, directions, sum(_cell(layer, width, layer.proj_size) for width in widths))))


def _recurrent_cell(seen: Seen) -> Iterator[Charge]:
    layer = seen.subject
    batch = product(first(seen).shape[:-1])
    yield Charge(product((batch, _cell(layer, layer.input_size, 0))))


def _cell(layer: Any, inputs: int, projected: int) -> int:
    """One step: its gates with what it adds for sums and biases, and what the cell does with them."""
    hidden = layer.hidden_size
    gates, own = {"RNN": (1, 0), "GRU": (3, 4), "LSTM": (4, 4)}[_family(layer)]
    gate = (inputs + (projected or hidden)) * hidden + hidden + (2 * hidden if layer.bias else 0)
    return int(gates * gate + own * hidden + hidden * projected)


def _family(layer: Any) -> str:
    names = (kind.__name__.removesuffix("Cell") for kind in type(layer).__mro__)
    return next(name for name in names if name in ("RNN", "GRU", "LSTM"))


def _matrix_product(seen: Seen) -> Iterator[Charge]:
    yield Charge(product((output(seen).elements, first(seen).shape[-1])))


def _fused_attention(seen: Seen) -> Iterator[Charge]:
    call, out = asked(seen), output(seen)
    rows = out.elements // call.value.shape[-1]
    yield Charge(product((rows, call.key.shape[-2], call.query.shape[-1] + call.value.shape[-1])))


def _einsum(seen: Seen) -> Iterator[Charge]:
    equation, shapes = calls.einsum_operands(seen)
    if len(shapes) != 2:
        return
    inputs, arrow, out = equation.partition("->")
    if not arrow:
        out = "..." + "".join(letter for letter in inputs if inputs.count(letter) == 1)
    first_sizes, second_sizes = (
        _labelled(labels, shape) for labels, shape in zip(inputs.split(","), shapes, strict=True)
    )
    total = 1
    for label in first_sizes.keys() | second_sizes.keys():
        kept = label in out if isinstance(label, str) else "..." in out
        if (label in first_sizes and label in second_sizes) or kept:
            total *= first_sizes.get(label, second_sizes.get(label, 1))
    yield Charge(total)


def _labelled(labels: str, shape: tuple[int, ...]) -> dict[Any, int]:
    """The sizes of an operand by their letters, an ellipsis' by their places; sizes of 1 repeat and are none."""
    head, _, tail = labels.partition("...")
    middle = len(shape) - len(head) - len(tail)
    return {label: size for label, size in zip([*head, *range(middle, 0, -1), *tail], shape) if size != 1}


_FREE = {
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d),
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict),
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Unfold, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle),
    *(nn.modules.dropout._DropoutNd, nn.modules.pooling._MaxUnpoolNd),
    *(nn.modules.padding._ConstantPadNd, nn.modules.padding._ReflectionPadNd, nn.modules.padding._ReplicationPadNd),
    nn.modules.padding._CircularPadNd,
}
"""Classes that it knows to cost nothing: a product inside them is still seen."""

_LAYERS: Convention = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed_convolution),
    **dict.fromkeys((nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm), _norm),
    nn.PReLU: elements("PReLU, 1 an element"),
    **dict.fromkeys((nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d), _softmax),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average_pool),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive_average_pool),
    nn.Linear: _linear,
    nn.Bilinear: _bilinear,
    **dict.fromkeys((nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d), _upsample),
    **dict.fromkeys((nn.RNNCell, nn.GRUCell, nn.LSTMCell), _recurrent_cell),
    **dict.fromkeys((nn.RNN, nn.GRU, nn.LSTM), _recurrent),
    nn.Embedding: calls.nothing,
    nn.MultiheadAttention: _attention_layer,
}

_FUNCTIONS: Convention = {
    **dict.fromkeys((torch.matmul, torch.Tensor.matmul, torch.bmm, torch.Tensor.bmm, F.linear), _matrix_product),
    torch.einsum: _einsum,
    F.multi_head_attention_forward: _attention_function,
    calls.FUSED: _fused_attention,
}
