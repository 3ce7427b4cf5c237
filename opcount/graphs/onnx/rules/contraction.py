"""Contractions of ONNX: products of matrices, convolutions, recurrent layers, attention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import Call, TensorSpec, Term
from opcount.rules.attention import attention_terms
from opcount.rules.einsum import einsum as einsum_terms
from opcount.rules.linear import bias_terms
from opcount.rules.recurrent import cells_of
from opcount.rules.shapes import batch_of, spatial


@rule("MatMul")
def matrix_product(node: Node) -> Iterator[Term]:
    """One dot of the shared dimension for each output."""
    yield Term("dots", count=node.out.elements, length=node.input().shape[-1])


@rule("Gemm")
def general_matrix_product(node: Node) -> Iterator[Term]:
    """alpha·A·B + beta·C: neutral factors cost nothing. A row of C is a linear layer's bias."""
    rows, outputs = node.input().shape, node.out.elements
    yield Term("dots", count=outputs, length=rows[0] if node.option("transA") else rows[-1])
    factors = {name: node.option(name, default=1.0) for name in ("alpha", "beta")}
    added = node.has(2) and factors["beta"] != 0
    for name, factor in factors.items():
        if factor not in (0, 1) and (name == "alpha" or added):
            yield Term("multiplication", role=name, count=outputs)
    if added:
        biased = node.input(2).elements <= node.out.shape[-1]
        yield Term("bias", role="bias", count=outputs) if biased else Term("addition", role="input", count=outputs)


@rule("Einsum")
def einsum(node: Node) -> Iterable[Term] | None:
    """Pairwise products, left to right, of labelled dimensions."""
    operands = tuple(node.input(place) for place in range(len(node.inputs)))
    return einsum_terms(None, Call((node.attributes["equation"], *operands), {}, node.out))


@rule("Conv")
def convolution(node: Node) -> Iterator[Term]:
    """One dot of C_in/groups x kernel for each output, and the bias."""
    yield Term("convolution", **convolution_numbers(node, node.input(), node.input(1), node.out))
    yield from bias_terms(True if node.has(2) else None, node.out.elements)


def convolution_numbers(node: Node, before: TensorSpec, weight: TensorSpec, after: TensorSpec) -> dict[str, Any]:
    """The numbers of a convolution's formula."""
    axes, groups = len(weight.shape) - 2, node.option("group", default=1)
    ones = (1,) * axes
    kernel, dilation = weight.shape[2:], tuple(node.option("dilations", default=ones))
    stride = tuple(node.option("strides", default=ones))
    return {
        "batch": batch_of(after, axes),
        "in_channels": weight.shape[1] * groups,
        "out_channels": weight.shape[0],
        "groups": groups,
        "kernel": kernel,
        "input": spatial(before, axes),
        "output": spatial(after, axes),
        "stride": stride,
        "padding": padding_before(node, kernel, spatial(before, axes), spatial(after, axes), stride, dilation),
        "dilation": dilation,
    }


def padding_before(node: Node, kernel: Any, before: Any, after: Any, stride: Any, dilation: Any) -> tuple[int, ...]:
    """Padding in front of each axis, also where only "the same size" is asked for."""
    auto = node.option("auto_pad", default="NOTSET")
    if auto in ("NOTSET", ""):
        return tuple(node.option("pads", default=(0,) * 2 * len(kernel)))[: len(kernel)]
    if auto == "VALID":
        return (0,) * len(kernel)
    sizes = zip(kernel, before, after, stride, dilation)
    added = [max((out - 1) * step + gap * (size - 1) + 1 - at, 0) for size, at, out, step, gap in sizes]
    return tuple(total - total // 2 if auto == "SAME_LOWER" else total // 2 for total in added)


@rule("ConvTranspose")
def transposed_convolution(node: Node) -> Iterator[Term]:
    """Every input element times C_out/groups filters; each product but the first to land somewhere is added."""
    weight = node.input(1).shape
    axes, groups = len(weight) - 2, node.option("group", default=1)
    ones = (1,) * axes
    yield Term(
        "transposed_convolution",
        batch=batch_of(node.out, axes),
        in_channels=weight[0],
        out_channels=weight[1] * groups,
        groups=groups,
        kernel=weight[2:],
        input=spatial(node.input(), axes),
        stride=tuple(node.option("strides", default=ones)),
        dilation=tuple(node.option("dilations", default=ones)),
    )
    yield from bias_terms(True if node.has(2) else None, node.out.elements)


@rule("DeformConv")
def deformable_convolution(node: Node) -> Iterator[Term]:
    """A bilinear sample for every tap of every position, a mask's product, and the convolution's dots and bias."""
    weight, groups = node.input(1).shape, node.option("group", default=1)
    batch, _, height, width = node.out.shape
    channels, taps = node.input().shape[1], weight[2] * weight[3]
    positions = batch * height * width * taps
    offsets = positions * node.option("offset_group", default=1)
    yield Term("each", role="sample positions", count=offsets, multiplications=4, additions=6)
    yield Term("each", role="samples", count=positions * channels, multiplications=4, additions=3)
    if node.has(4):
        yield Term("multiplication", role="mask", count=positions * channels)
    yield Term("dots", count=node.out.elements, length=channels // groups * taps)
    yield from bias_terms(True if node.has(3) else None, node.out.elements)


@rule("LSTM", "GRU", "RNN")
def recurrent(node: Node) -> Iterator[Term] | None:
    """Each step and direction runs its cell; other activations than the usual ones are uncounted."""
    kind = node.operator.lower()
    usual = {"lstm": ["Sigmoid", "Tanh", "Tanh"], "gru": ["Sigmoid", "Tanh"], "rnn": ["Tanh"]}[kind]
    given = list(node.option("activations", default=usual))
    activations = [given[place : place + len(usual)] for place in range(0, len(given), len(usual))]
    relu = kind == "rnn" and all(each == ["Relu"] for each in activations)
    if (not relu and any(each != usual for each in activations)) or node.has(7) or node.option("input_forget"):
        return None
    return _recurrent(node, "relu" if relu else "tanh" if kind == "rnn" else kind)


def _recurrent(node: Node, kind: str) -> Iterator[Term]:
    sequence = node.input()
    directions, _, inputs = node.input(1).shape
    state = node.input(2).shape[-1]
    for name, cell in cells_of(kind, 1, directions, inputs, state, node.has(3)):
        yield from cell.terms(product(sequence.shape[:-1]), name)


@rule("Attention", "com.microsoft.MultiHeadAttention")
def attention(node: Node) -> Iterator[Term] | None:
    """Scores, scale, a float mask, softmax and the weighted values; packed or cached inputs are uncounted."""
    if node.operator != "Attention" or node.has(4) or node.option("softcap", default=0.0):
        return None
    return _attention(node)


def _attention(node: Node) -> Iterator[Term]:
    query, key, value = (node.input(place).shape for place in range(3))
    heads = query[1] if len(query) == 4 else node.attributes["q_num_heads"]
    shared = key[1] if len(key) == 4 else node.attributes["kv_num_heads"]
    positions = query[-2]
    features = query[-1] if len(query) == 4 else query[-1] // heads
    width = value[-1] if len(value) == 4 else value[-1] // shared
    yield from attention_terms(
        rows=query[0] * heads * positions,
        sources=key[-2],
        features=features,
        width=width,
        masks=int(node.has(3) and node.input(3).floating),
    )
