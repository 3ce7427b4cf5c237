"""Convolutions and transposed convolutions in any number of dimensions, as torch.nn states them."""

from __future__ import annotations

from typing import Any

from tests.reference.geometry import cells, inside, pad, per_axis, same_sides, sides, starts, window
from tests.reference.machine import Array, contract, dot, objects


def convolution(
    inputs: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    skip_padding: bool = False,
) -> Array:
    """Each output is one dot over the input channels of its group and the taps of the kernel, plus the bias.

    inputs (N, C, ...) or (C, ...), weight (C_out, C / groups, ...). `padding` is a number, one per axis, a
    (left, right) pair per axis, 'same' or 'valid'. Taps on zero padding are products with a zero and count, unless
    `skip_padding`: then only taps on real input are taken. Other padding modes extend the input by copies.
    """
    axes, batched = weight.ndim - 2, inputs.ndim == weight.ndim
    if not batched:
        inputs = inputs[None]
    steps, gaps, kernel = per_axis(stride, axes), per_axis(dilation, axes), weight.shape[2:]
    named = {"same": same_sides(kernel, gaps), "valid": sides(0, axes)}
    around = named[padding] if isinstance(padding, str) else sides(padding, axes)
    if padding_mode != "zeros":
        inputs, around = pad(inputs, around, padding_mode), sides(0, axes)
    sizes = inputs.shape[2:]
    walks = [starts(*along) for along in zip(sizes, kernel, steps, gaps, around, strict=True)]
    channels, per_group = weight.shape[1], weight.shape[0] // groups

    output = objects((inputs.shape[0], weight.shape[0], *map(len, walks)))
    for n, c_out, *position in cells(output.shape):
        first = c_out // per_group * channels
        start = [walk[index] for walk, index in zip(walks, position, strict=True)]
        seen, kernels = [], []
        for c in range(channels):
            for tap, place in window(start, kernel, gaps):
                real = inside(place, sizes)
                if real or not skip_padding:
                    factor = weight[(c_out, c, *tap)]
                    kernels.append(factor)
                    seen.append(inputs[(n, first + c, *place)] if real else factor.like(0.0))
        value = dot(seen, kernels)
        output[(n, c_out, *position)] = value if bias is None else value + bias[c_out]
    return output if batched else output.squeeze(0)


def transposed_convolution(
    inputs: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """Every input element times the kernel is scattered over the output, and what meets there is added up.

    inputs (N, C, ...) or (C, ...), weight (C, C_out / groups, ...). The scatter is done on the whole reach of the
    input; `padding` then crops it and `output_padding` extends it on the right. The bias is added to every output,
    also to one that no product reached.
    """
    axes, batched = weight.ndim - 2, inputs.ndim == weight.ndim
    if not batched:
        inputs = inputs[None]
    steps, gaps, crop = per_axis(stride, axes), per_axis(dilation, axes), per_axis(padding, axes)
    kernel, sizes = weight.shape[2:], inputs.shape[2:]
    per_group, channels = inputs.shape[1] // groups, weight.shape[1]

    landed: dict[tuple[int, ...], Any] = {}
    for n, c_in, *place in cells(inputs.shape):
        for c, *tap in cells(weight.shape[1:]):
            where = [i * step + gap * k for i, step, gap, k in zip(place, steps, gaps, tap, strict=True)]
            target = (n, c_in // per_group * channels + c, *where)
            value = contract(inputs[(n, c_in, *place)], weight[(c_in, c, *tap)])
            landed[target] = landed[target] + value if target in landed else value

    extra = per_axis(output_padding, axes)
    lengths = [
        (size - 1) * step - 2 * cut + gap * (length - 1) + more + 1
        for size, step, cut, gap, length, more in zip(sizes, steps, crop, gaps, kernel, extra, strict=True)
    ]
    output = objects((inputs.shape[0], channels * groups, *lengths))
    for n, c_out, *position in cells(output.shape):
        uncropped = [index + cut for index, cut in zip(position, crop, strict=True)]
        value = landed.get((n, c_out, *uncropped), 0.0)
        output[(n, c_out, *position)] = value if bias is None else value + bias[c_out]
    return output if batched else output.squeeze(0)
