"""Normalizations of ONNX."""

from __future__ import annotations

from collections.abc import Iterator

from opcount.formulas.arithmetic import product
from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import Term
from opcount.rules.normalization import affine_terms
from opcount.rules.shapes import per_row


@rule("BatchNormalization")
def batch_norm(node: Node) -> Iterator[Term]:
    """With running statistics one multiplication and one addition an element; in training each channel's own."""
    training = node.option("training_mode") or (node.version < 14 and len(node.outputs) > 1)
    if not training:
        yield Term("fixed_normalization", count=node.input().elements)
        return
    channels = node.input().shape[1]
    yield Term("normalization", **per_row(node.input(), channels))
    yield from affine_terms(True, True, node.input().elements)
    yield Term("running_update", role="running statistics", channels=channels)


@rule("LayerNormalization")
def layer_norm(node: Node) -> Iterator[Term]:
    """Each row from an axis on normalized, then scale and bias."""
    shape = node.input().shape
    rows = product(shape[: node.option("axis", default=-1) % max(len(shape), 1)])
    yield Term("normalization", **per_row(node.input(), rows))
    yield from affine_terms(True, True if node.has(2) else None, node.input().elements)


@rule("RMSNormalization", "SimplifiedLayerNormalization")
def rms_norm(node: Node) -> Iterator[Term]:
    """Each row from an axis on divided by its root mean square, then the scale."""
    shape = node.input().shape
    rows = product(shape[: node.option("axis", default=-1) % max(len(shape), 1)])
    yield Term("root_mean_square_normalization", **per_row(node.input(), rows))
    yield from affine_terms(True, None, node.input().elements)


@rule("InstanceNormalization")
def instance_norm(node: Node) -> Iterator[Term]:
    """Each channel of each sample normalized, then scale and bias."""
    yield Term("normalization", **per_row(node.input(), product(node.input().shape[:2])))
    yield from affine_terms(True, True, node.input().elements)


@rule("GroupNormalization")
def group_norm(node: Node) -> Iterator[Term]:
    """Each group of channels of each sample normalized, then scale and bias."""
    rows = node.input().shape[0] * node.attributes["num_groups"]
    yield Term("normalization", **per_row(node.input(), rows))
    yield from affine_terms(True, True, node.input().elements)


@rule("MeanVarianceNormalization")
def mean_variance_norm(node: Node) -> Iterator[Term]:
    """Rows over some axes normalized."""
    shape = node.input().shape
    axes = {axis % len(shape) for axis in node.option("axes", default=(0, 2, 3))}
    rows = product(size for axis, size in enumerate(shape) if axis not in axes)
    yield Term("normalization", **per_row(node.input(), rows))


@rule("LRN")
def local_response_norm(node: Node) -> Iterator[Term]:
    """Squares once an element, summed over the neighbouring channels that exist."""
    batch, channels, *positions = node.input().shape
    size = node.attributes["size"]
    yield Term("local_response_normalization", rows=product((batch, *positions)), channels=channels, size=size)


@rule("LpNormalization")
def normalized(node: Node) -> Iterator[Term]:
    """Each row divided by its norm."""
    shape, axis = node.input().shape, node.option("axis", default=-1)
    rows = per_row(node.input(), node.input().elements // shape[axis] if shape[axis] else 0)
    yield Term("vector_norm", **rows, norm=float(node.option("p", default=2)))
    yield Term("division", count=node.out.elements)


@rule("Softmax", "LogSoftmax", "Hardmax")
def softmax(node: Node) -> Iterator[Term]:
    """Each row along an axis; before version 13 of the operators, over all axes from that one on."""
    shape, old = node.out.shape, node.version < 13
    axis = node.option("axis", default=1 if old else -1) % max(len(shape), 1)
    rows = product(shape[:axis]) if old else node.out.elements // shape[axis] if shape and shape[axis] else 0
    formula = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Hardmax": "extrema"}[node.operator]
    yield Term(formula, **per_row(node.out, rows))
