"""Contractions: the arithmetic whose multiplications are MACs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from opcount.formulas.arithmetic import (
    covered_inputs,
    distinct_sums,
    maximum,
    one_less,
    per_axis,
    product,
    quotient,
    reached_outputs,
    real_taps,
    used_taps,
)
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


@formula(contraction=True)
def dots(count: Number, length: Number) -> OpCount:
    """``count`` dot products of ``length``: length products and length - 1 sums each.

    >>> dots(count=2, length=3)
    OpCount(multiplications=6, additions=4, macs=6)
    """
    products = count * length
    return OpCount(multiplications=products, additions=count * one_less(length), macs=products)


@formula(contraction=True)
def uneven_dots(times: Number, products: Number, dots: Number) -> OpCount:
    """``dots`` dot products of various lengths, ``products`` long together, each ``times`` over.

    >>> uneven_dots(times=2, products=7, dots=3)
    OpCount(multiplications=14, additions=8, macs=14)
    """
    found = times * products
    return OpCount(multiplications=found, additions=times * (products - dots), macs=found)


@formula(contraction=True)
def bias(count: Number) -> OpCount:
    """One addition for each of ``count`` outputs.

    >>> bias(count=10)
    OpCount(additions=10)
    """
    return OpCount(additions=count)


@formula(contraction=True)
def convolution(
    batch: Number,
    in_channels: Number,
    out_channels: Number,
    groups: Number,
    kernel: tuple[Number, ...],
    input: tuple[Number, ...],
    output: tuple[Number, ...],
    stride: tuple[Number, ...],
    padding: tuple[Number, ...],
    dilation: tuple[Number, ...],
    zero_padding: bool = True,
) -> OpCount:
    """A convolution in any number of dimensions, without its bias: one dot of C_in/groups·ΠK for each output.

    Args:
        input, output: spatial sizes; ``padding`` is where the first window starts before the input.
        zero_padding: whether taps outside the input count. Without them, the taps that land on the input are
            counted exactly: a product over axes of the clipped windows' sizes.

    >>> layer = dict(batch=1, in_channels=1, out_channels=6, groups=1, kernel=(5, 5), input=(28, 28), output=(28, 28),
    ...              stride=(1, 1), padding=(2, 2), dilation=(1, 1))
    >>> convolution(**layer)
    OpCount(multiplications=117_600, additions=112_896, macs=117_600)
    >>> convolution(**layer, zero_padding=False)
    OpCount(multiplications=107_736, additions=103_032, macs=107_736)
    """
    planes = batch * out_channels
    depth = quotient(in_channels, groups)
    if zero_padding:
        return dots(planes * product(output), depth * product(kernel))
    axes = list(per_axis(input, output, kernel, stride, padding, dilation))
    products = planes * depth * product(real_taps(*axis) for axis in axes)
    reached = planes * product(reached_outputs(*axis) for axis in axes) if depth != 0 else 0
    return OpCount(multiplications=products, additions=products - reached, macs=products)


@formula(contraction=True)
def transposed_convolution(
    batch: Number,
    in_channels: Number,
    out_channels: Number,
    groups: Number,
    kernel: tuple[Number, ...],
    input: tuple[Number, ...],
    stride: tuple[Number, ...],
    dilation: tuple[Number, ...],
) -> OpCount:
    """A transposed convolution in any number of dimensions, without its bias.

    Every input element is multiplied by every tap of its C_out/groups filters and added where it lands. The first
    product to reach a position is stored, each further one is an addition. Products that padding crops away again
    are computed, and counted.

    >>> transposed_convolution(1, 4, 6, 1, kernel=(3, 3), input=(5, 5), stride=(2, 2), dilation=(1, 1))
    OpCount(multiplications=5_400, additions=4_674, macs=5_400)
    """
    products = batch * in_channels * product(input) * quotient(out_channels, groups) * product(kernel)
    if products == 0:
        return OpCount()
    positions = product(distinct_sums(*axis) for axis in per_axis(input, kernel, stride, dilation))
    return OpCount(multiplications=products, additions=products - batch * out_channels * positions, macs=products)


def _apart(whole: Callable[..., OpCount], name: str) -> None:
    """Register a contraction's products and its sums as formulas of their own, for where they differ in width."""

    @wraps(whole)
    def products(*args: Any, **numbers: Any) -> OpCount:
        found = whole(*args, **numbers)
        return OpCount(multiplications=found.multiplications, macs=found.macs)

    @wraps(whole)
    def sums(*args: Any, **numbers: Any) -> OpCount:
        return OpCount(additions=whole(*args, **numbers).additions)

    for part in (products, sums):
        kind = "products" if part is products else "sums"
        part.__name__, part.__doc__ = f"{name}_{kind}", f"The {kind} of {whole.__name__} alone."
        formula(contraction=True)(part)


_apart(dots, "dot")
_apart(convolution, "convolution")
_apart(transposed_convolution, "transposed_convolution")


@formula(contraction=True)
def dots_into(products: Number, outputs: Number) -> OpCount:
    """``products`` shared out over ``outputs`` dots, none of them empty: each product but an output's first is added.

    >>> dots_into(products=6, outputs=2)
    OpCount(multiplications=6, additions=4, macs=6)
    """
    return OpCount(multiplications=products, additions=maximum(products - outputs, 0), macs=products)


@formula(contraction=True)
def convolution_input_gradient(
    batch: Number,
    in_channels: Number,
    out_channels: Number,
    groups: Number,
    kernel: tuple[Number, ...],
    input: tuple[Number, ...],
    output: tuple[Number, ...],
    stride: tuple[Number, ...],
    padding: tuple[Number, ...],
    dilation: tuple[Number, ...],
    zero_padding: bool = True,
) -> OpCount:
    """The gradient of a convolution's input: the output's gradient through the transposed convolution.

    Args:
        input, output: spatial sizes of the convolution; ``padding`` is where the first window starts before the input.
        zero_padding: whether products that land on the padding count, though nobody asks for their sums.

    >>> layer = dict(batch=1, in_channels=1, out_channels=6, groups=1, kernel=(5, 5), input=(28, 28), output=(28, 28),
    ...              stride=(1, 1), padding=(2, 2), dilation=(1, 1))
    >>> convolution_input_gradient(**layer)
    OpCount(multiplications=117_600, additions=116_576, macs=117_600)
    >>> convolution_input_gradient(**layer, zero_padding=False)
    OpCount(multiplications=107_736, additions=106_952, macs=107_736)
    """
    if zero_padding:
        return transposed_convolution(batch, out_channels, in_channels, groups, kernel, output, stride, dilation)
    axes = list(per_axis(input, output, kernel, stride, padding, dilation))
    products = batch * out_channels * quotient(in_channels, groups) * product(real_taps(*axis) for axis in axes)
    if products == 0:
        return OpCount()
    return dots_into(products, batch * in_channels * product(covered_inputs(*axis) for axis in axes))


@formula(contraction=True)
def convolution_weight_gradient(
    batch: Number,
    in_channels: Number,
    out_channels: Number,
    groups: Number,
    kernel: tuple[Number, ...],
    input: tuple[Number, ...],
    output: tuple[Number, ...],
    stride: tuple[Number, ...],
    padding: tuple[Number, ...],
    dilation: tuple[Number, ...],
    zero_padding: bool = True,
) -> OpCount:
    """The gradient of a convolution's weight: for each weight one dot over the outputs of all samples.

    >>> layer = dict(batch=1, in_channels=1, out_channels=6, groups=1, kernel=(5, 5), input=(28, 28), output=(28, 28),
    ...              stride=(1, 1), padding=(2, 2), dilation=(1, 1))
    >>> convolution_weight_gradient(**layer)
    OpCount(multiplications=117_600, additions=117_450, macs=117_600)
    """
    filters = out_channels * quotient(in_channels, groups)
    if zero_padding:
        return dots(filters * product(kernel), batch * product(output))
    axes = list(per_axis(input, output, kernel, stride, padding, dilation))
    products = batch * filters * product(real_taps(*axis) for axis in axes)
    if products == 0:
        return OpCount()
    return dots_into(products, filters * product(used_taps(*axis) for axis in axes))
