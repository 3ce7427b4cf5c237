"""Answers of layers, for inputs that fit them."""

from __future__ import annotations

from typing import Any

from torch import nn

from opcount.answers.registry import answer
from opcount.ops import Call, TensorSpec
from opcount.rules.reading import held
from opcount.rules.shapes import per_axis


def _only_input(call: Call, dimensions: int | None = None) -> TensorSpec | None:
    """The one tensor the layer is given, if it is floating and has so many dimensions."""
    if len(call.args) != 1 or call.kwargs or not isinstance(call.args[0], TensorSpec):
        return None
    spec = call.args[0]
    return spec if spec.floating and (dimensions is None or dimensions == len(spec.shape)) else None


@answer(
    *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.RReLU, nn.Threshold, nn.Hardshrink, nn.Softshrink, nn.Sigmoid),
    *(nn.Tanh, nn.SiLU, nn.GELU, nn.Hardsigmoid, nn.Hardswish, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Mish),
    *(nn.LogSigmoid, nn.Softsign, nn.Tanhshrink, nn.Dropout, nn.AlphaDropout),
)
def elementwise(layer: Any, call: Call) -> TensorSpec | None:
    """What it was given."""
    return _only_input(call)


@answer(nn.Identity)
def given_back(layer: Any, call: Call) -> TensorSpec | None:
    """The tensor that it was given, itself."""
    alone = len(call.args) == 1 and not call.kwargs and isinstance(call.args[0], TensorSpec)
    return call.args[0] if alone else None


@answer(nn.Softmax, nn.Softmin, nn.LogSoftmax)
def along_a_dimension(layer: Any, call: Call) -> TensorSpec | None:
    """What it was given, if it has the dimension."""
    spec = _only_input(call)
    if spec is None or layer.dim is None or not -len(spec.shape) <= layer.dim < len(spec.shape):
        return None
    return spec


@answer(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convolution(layer: Any, call: Call) -> TensorSpec | None:
    """Output channels, and along each axis the windows that fit."""
    weight = held(layer, "weight")
    channels, depth, *kernel = weight.shape
    axes = len(kernel)
    spec = _fitting(weight, call, axes, depth * layer.groups)
    if spec is None or layer.padding_mode != "zeros":
        return None
    if layer.padding == "same":
        sizes = spec.shape[-axes:]
    else:
        around = (0,) * axes if layer.padding == "valid" else layer.padding
        sizes = _windows(spec.shape[-axes:], kernel, layer.stride, around, layer.dilation)
    return _with_last(spec, axes + 1, (channels, *sizes))


@answer(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def transposed_convolution(layer: Any, call: Call) -> TensorSpec | None:
    """Output channels, and along each axis where the last filter ends."""
    weight = held(layer, "weight")
    channels, width, *kernel = weight.shape
    axes = len(kernel)
    spec = _fitting(weight, call, axes, channels)
    if spec is None:
        return None
    sizes = (
        (size - 1) * step - 2 * around + gap * (taps - 1) + more + 1
        for size, step, around, gap, taps, more in zip(
            spec.shape[-axes:], layer.stride, layer.padding, layer.dilation, kernel, layer.output_padding
        )
    )
    return _with_last(spec, axes + 1, (width * layer.groups, *sizes))


@answer(nn.Linear)
def linear(layer: Any, call: Call) -> TensorSpec | None:
    """Output features in the place of input features."""
    weight, spec = held(layer, "weight"), _only_input(call)
    features, inputs = weight.shape
    if spec is None or spec.shape[-1:] != (inputs,) or spec.dtype != _dtype(weight):
        return None
    return TensorSpec((*spec.shape[:-1], features), spec.dtype)


@answer(nn.BatchNorm2d, nn.BatchNorm3d)
def batch_norm(layer: Any, call: Call) -> TensorSpec | None:
    """What it was given, by running statistics whose channels fit."""
    spec = _only_input(call, 4 if isinstance(layer, nn.BatchNorm2d) else 5)
    if spec is None or call.training or not layer.track_running_stats or spec.shape[1] != layer.num_features:
        return None
    return spec


@answer(nn.LayerNorm, nn.RMSNorm)
def layer_norm(layer: Any, call: Call) -> TensorSpec | None:
    """What it was given, if it ends in the normalized dimensions."""
    spec, normalized = _only_input(call), tuple(layer.normalized_shape)
    return spec if spec is not None and spec.shape[len(spec.shape) - len(normalized) :] == normalized else None


@answer(nn.GroupNorm)
def group_norm(layer: Any, call: Call) -> TensorSpec | None:
    """What it was given, if the channels fit."""
    spec = _only_input(call)
    return spec if spec is not None and len(spec.shape) > 2 and spec.shape[1] == layer.num_channels else None


_AXES: dict[type[nn.Module], int] = {
    **dict.fromkeys((nn.AvgPool1d, nn.MaxPool1d, nn.AdaptiveAvgPool1d), 1),
    **dict.fromkeys((nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d), 2),
    **dict.fromkeys((nn.AvgPool3d, nn.MaxPool3d, nn.AdaptiveAvgPool3d), 3),
}


def _axes(layer: Any) -> int:
    return next(_AXES[base] for base in type(layer).__mro__ if base in _AXES)


@answer(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
def pool(layer: Any, call: Call) -> TensorSpec | None:
    """Along each axis the windows that fit; what rounds up runs."""
    axes = _axes(layer)
    spec = _only_input(call, axes + 2)
    if spec is None or layer.ceil_mode or getattr(layer, "return_indices", False):
        return None
    kernel, padding = per_axis(layer.kernel_size, axes), per_axis(layer.padding, axes)
    stride = kernel if layer.stride is None else per_axis(layer.stride, axes)
    if any(2 * around > size for around, size in zip(padding, kernel)):
        return None
    dilation = per_axis(getattr(layer, "dilation", 1), axes)
    return _with_last(spec, axes, _windows(spec.shape[-axes:], kernel, stride, padding, dilation))


@answer(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
def adaptive_pool(layer: Any, call: Call) -> TensorSpec | None:
    """The sizes it was asked for."""
    axes, asked = _axes(layer), layer.output_size
    spec = _only_input(call, axes + 2)
    if spec is None:
        return None
    sizes = asked if isinstance(asked, (tuple, list)) else (asked,) * axes
    return _with_last(spec, axes, tuple(old if new is None else new for old, new in zip(spec.shape[-axes:], sizes)))


@answer(nn.Flatten)
def flatten(layer: Any, call: Call) -> TensorSpec | None:
    """The dimensions between the two as one."""
    spec = _only_input(call)
    rank = 0 if spec is None else len(spec.shape)
    if spec is None or not (-rank <= layer.start_dim < rank and -rank <= layer.end_dim < rank):
        return None
    first, last = layer.start_dim % rank, layer.end_dim % rank
    if first > last:
        return None
    merged = TensorSpec(spec.shape[first : last + 1]).elements
    return TensorSpec((*spec.shape[:first], merged, *spec.shape[last + 1 :]), spec.dtype)


@answer(nn.MultiheadAttention)
def multihead_attention(layer: Any, call: Call) -> tuple[TensorSpec, TensorSpec | None] | None:
    """The query's positions in the embedding's width, and the weights if they are wanted."""
    query, key, value = (call.argument(place, name) for place, name in enumerate(("query", "key", "value")))
    if not all(isinstance(each, TensorSpec) and len(each.shape) == 3 and each.floating for each in (query, key, value)):
        return None
    widths = query.shape[2] == layer.embed_dim and key.shape[2] == layer.kdim and value.shape[2] == layer.vdim
    samples, positions = (0, 1) if layer.batch_first else (1, 0)
    together = key.shape[:2] == value.shape[:2] and query.shape[samples] == key.shape[samples]
    same = query.dtype == key.dtype == value.dtype == _dtype(held(layer.out_proj, "weight"))
    if not (widths and together and same) or layer.bias_k is not None or layer.add_zero_attn or 0 in query.shape:
        return None
    if not call.argument(4, "need_weights", True):
        return TensorSpec(query.shape, query.dtype), None
    heads = () if call.argument(6, "average_attn_weights", True) else (layer.num_heads,)
    weights = (query.shape[samples], *heads, query.shape[positions], key.shape[positions])
    return TensorSpec(query.shape, query.dtype), TensorSpec(weights, query.dtype)


@answer(nn.Embedding)
def embedding(layer: Any, call: Call) -> TensorSpec | None:
    """A vector for each index."""
    if len(call.args) != 1 or call.kwargs or not isinstance(call.args[0], TensorSpec):
        return None
    indices, weight = call.args[0], held(layer, "weight")
    if indices.dtype not in ("int32", "int64"):
        return None
    return TensorSpec((*indices.shape, weight.shape[1]), _dtype(weight))


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _fitting(weight: Any, call: Call, axes: int, channels: int) -> TensorSpec | None:
    """The input of a convolution, batched or not, if its channels and type fit."""
    spec = _only_input(call)
    if spec is None or len(spec.shape) not in (axes + 1, axes + 2) or spec.shape[-axes - 1] != channels:
        return None
    return spec if spec.dtype == _dtype(weight) else None


def _windows(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    return tuple(
        (size + 2 * around - gap * (taps - 1) - 1) // step + 1
        for size, taps, step, around, gap in zip(sizes, kernel, stride, padding, dilation)
    )


def _with_last(spec: TensorSpec, dimensions: int, sizes: tuple[int, ...]) -> TensorSpec | None:
    """The input with other sizes in its last dimensions; nothing where one would vanish."""
    if min(sizes) < 1 or 0 in spec.shape:
        return None
    return TensorSpec((*spec.shape[: len(spec.shape) - dimensions], *sizes), spec.dtype)
