"""ONNX's operators on whole numbers: 8-bit products, 32-bit sums, as quantized layers of PyTorch count."""

from __future__ import annotations

from collections.abc import Iterator

from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.rules.contraction import convolution_numbers
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import Term
from opcount.rules.operators.quantization import dequantized, integer_dots, quantized, requantized


@rule("QuantizeLinear")
def quantize(node: Node) -> Iterator[Term]:
    """A quotient, a sum, a comparison for each end."""
    yield quantized(node.input().elements)


@rule("DequantizeLinear")
def dequantize(node: Node) -> Iterator[Term]:
    """A difference and a product."""
    yield dequantized(node.input().elements)


@rule("DynamicQuantizeLinear")
def quantize_dynamically(node: Node) -> Iterator[Term]:
    """The range of the whole tensor, then scale and zero point, then each element."""
    elements = node.input().elements
    for end in ("smallest", "largest"):
        yield Term("extrema", role=end, rows=1, length=elements)
    yield Term("each", role="scale and zero point", count=1, additions=2, divisions=2)
    yield quantized(elements)


@rule("MatMulInteger", "QLinearMatMul")
def matrix_product(node: Node) -> Iterator[Term]:
    """Dots of whole numbers; the second kind brings its outputs to a grid of their own."""
    yield from integer_dots("dot", count=node.out.elements, length=node.input().shape[-1])
    if node.operator == "QLinearMatMul":
        yield requantized(node.out.elements)


@rule("ConvInteger", "QLinearConv")
def convolution(node: Node) -> Iterator[Term]:
    """The same of a convolution; the second kind may have a bias."""
    weight = node.input(1 if node.operator == "ConvInteger" else 3)
    yield from integer_dots("convolution", **convolution_numbers(node, node.input(), weight, node.out))
    if node.operator == "QLinearConv":
        if node.has(8):
            yield Term("bias", role="bias", dtype="int32", count=node.out.elements)
        yield requantized(node.out.elements)
