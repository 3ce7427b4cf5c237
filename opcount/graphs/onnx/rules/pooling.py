"""Pooling and resampling of ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.rules.contraction import padding_before
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import Term
from opcount.rules.shapes import planes_of, spatial

_TAPS = {"linear": 2, "cubic": 4}


def _windows(node: Node) -> dict[str, Any]:
    kernel = tuple(node.attributes["kernel_shape"])
    axes = len(kernel)
    stride = tuple(node.option("strides", default=(1,) * axes))
    dilation = tuple(node.option("dilations", default=(1,) * axes))
    before, after = spatial(node.input(), axes), spatial(node.out, axes)
    padding = padding_before(node, kernel, before, after, stride, dilation)
    numbers = {"planes": planes_of(node.out, axes), "kernel": kernel, "input": before, "output": after}
    return {**numbers, "stride": stride, "padding": padding, "dilation": dilation}


@rule("MaxPool")
def max_pool(node: Node) -> Iterator[Term]:
    """Each window's real elements compared."""
    yield Term("max_pool", **_windows(node))


@rule("AveragePool")
def average_pool(node: Node) -> Iterator[Term] | None:
    """The sum of each window's real elements and one division; with gaps in the windows uncounted."""
    numbers = _windows(node)
    gaps = numbers.pop("dilation")
    return iter([Term("average_pool", **numbers)]) if product(gaps) == 1 else None


@rule("LpPool")
def power_average_pool(node: Node) -> Iterator[Term] | None:
    """x^p once for each input element, each window's sum, one root; with padding or gaps uncounted."""
    numbers = _windows(node)
    if any(numbers.pop("padding")) or product(numbers.pop("dilation")) != 1:
        return None
    return iter([Term("power_average_pool", **numbers, norm=node.option("p", default=2))])


@rule("GlobalAveragePool", "GlobalMaxPool")
def global_pool(node: Node) -> Iterator[Term]:
    """Each plane folded into one value."""
    axes = len(node.input().shape) - 2
    formula = "adaptive_average_pool" if node.operator == "GlobalAveragePool" else "adaptive_max_pool"
    yield Term(
        formula, planes=planes_of(node.out, axes), input=spatial(node.input(), axes), output=spatial(node.out, axes)
    )


@rule("Resize", "Upsample")
def resize(node: Node) -> Iterator[Term] | None:
    """A weighted sum of neighbours along each axis that changes; by nearest free, antialiased uncounted."""
    mode = node.option("mode", default="nearest")
    if node.option("antialias"):
        return None
    return iter(()) if mode == "nearest" else _interpolation(node, _TAPS[mode])


def _interpolation(node: Node, taps: int) -> Iterator[Term]:
    before, after = node.input().shape, node.out.shape
    axes = sum(old != new for old, new in zip(before, after)) or len(before) - 2
    yield Term("interpolation", count=node.out.elements, taps=taps**axes)


@rule("GridSample")
def grid_sample(node: Node) -> Iterator[Term] | None:
    """Bilinear and nearest sampling, zeros or the border outside; cubic and reflection are uncounted."""
    mode, outside = node.option("mode", default="linear"), node.option("padding_mode", default="zeros")
    if mode not in ("linear", "bilinear", "nearest") or outside not in ("zeros", "border"):
        return None
    return _samples(node, mode == "nearest", outside == "border")


def _samples(node: Node, nearest: bool, border: bool) -> Iterator[Term]:
    grid = node.input(1).shape
    locations, axes = product(grid[:-1]), grid[-1]
    if border:
        yield Term("each", role="border", count=locations * axes, comparisons=2)
    if nearest:
        yield Term("each", role="locations", count=locations * axes, multiplications=1, additions=1)
        return
    yield Term("each", role="locations", count=locations * axes, multiplications=1, additions=3)
    yield Term("each", role="corner weights", count=locations, multiplications=2**axes * (axes - 1))
    yield Term("interpolation", role="samples", count=node.out.elements, taps=2**axes)
