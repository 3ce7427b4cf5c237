"""Element-wise operators of ONNX: one formula for each output element, broadcasting included."""

from __future__ import annotations

from collections.abc import Iterator

from opcount.graphs.onnx.node import Node, UnknownShape
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import Term

_FORMULAS = {
    "addition": "Add Sub",
    "multiplication": "Mul",
    "division": "Div Reciprocal",
    "comparison": "Equal Less LessOrEqual Greater GreaterOrEqual",
    "transcendental": """
        Exp Log Sqrt Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Erf
    """,
    "relu": "Relu ThresholdedRelu",
    "leaky_relu": "LeakyRelu PRelu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "elu": "Elu",
    "celu": "Celu",
    "selu": "Selu",
    "hardsigmoid": "HardSigmoid",
    "hardswish": "HardSwish",
    "softsign": "Softsign",
    "mish": "Mish",
    "softshrink": "Shrink",
}


def _tie(formula: str, names: str) -> None:
    @rule(*names.split())
    def pointwise(node: Node) -> Iterator[Term]:
        yield Term(formula, dtype=_compared(node), count=node.out.elements)


def _compared(node: Node) -> str:
    """The type of what is compared: what comes out is true or false."""
    return node.input().dtype if node.out.dtype == "bool" else ""


for _formula, _names in _FORMULAS.items():
    _tie(_formula, _names)


@rule("Swish")
def swish(node: Node) -> Iterator[Term]:
    """x·sigmoid(alpha·x): an alpha other than 1 multiplies first."""
    yield Term("silu", count=node.out.elements)
    if node.option("alpha", default=1.0) != 1:
        yield Term("multiplication", role="alpha", count=node.out.elements)


@rule("Softplus")
def softplus(node: Node) -> Iterator[Term]:
    """log(exp(x) + 1), which has no beta."""
    yield Term("each", count=node.out.elements, additions=1, transcendentals=2)


@rule("Gelu")
def gelu(node: Node) -> Iterator[Term]:
    """By erf, or by tanh where it is approximated."""
    approximated = node.option("approximate", default="none") == "tanh"
    yield Term("gelu_tanh" if approximated else "gelu", count=node.out.elements)


@rule("Max", "Min")
def extremum(node: Node) -> Iterator[Term]:
    """One comparison for each operand but the first."""
    yield Term("comparison", count=node.out.elements * max(len(node.inputs) - 1, 0))


@rule("Sum")
def several_added(node: Node) -> Iterator[Term]:
    """One addition for each operand but the first."""
    yield Term("addition", count=node.out.elements * max(len(node.inputs) - 1, 0))


@rule("Mean")
def several_averaged(node: Node) -> Iterator[Term]:
    """Their sum, and one division."""
    yield Term("means", rows=node.out.elements, length=len(node.inputs))


@rule("Clip")
def clip(node: Node) -> Iterator[Term]:
    """One comparison for each bound that is given."""
    bounds = (node.has(1) or "min" in node.attributes) + (node.has(2) or "max" in node.attributes)
    yield Term("each", count=node.out.elements, comparisons=bounds)


@rule("Pow")
def power(node: Node) -> Iterator[Term]:
    """A fixed small exponent by multiplication; any other, one general power."""
    try:
        exponent = node.option("exponent", 1)
    except UnknownShape:
        exponent = None
    while isinstance(exponent, (list, tuple)) and len(exponent) == 1:
        exponent = exponent[0]
    if isinstance(exponent, (int, float)):
        yield Term("power", count=node.out.elements, exponent=exponent)
    else:
        yield Term("transcendental", count=node.out.elements)


@rule("Mod")
def remainder(node: Node) -> Iterator[Term]:
    """A quotient, a product, a difference."""
    yield Term("remainder", count=node.out.elements)


@rule("Dropout")
def dropout(node: Node) -> Iterator[Term]:
    """Free, unless it is told to train."""
    training = node.option("training_mode", 2, False)
    while isinstance(training, (list, tuple)) and training:
        training = training[0]
    if training:
        yield Term("each", count=node.out.elements, comparisons=1, multiplications=1)


@rule("RotaryEmbedding")
def rotated(node: Node) -> Iterator[Term]:
    """Each pair turned: four products and two sums, of the dimensions that are turned."""
    heads, width = node.option("num_heads", default=0), node.input().shape[-1]
    features = width if len(node.input().shape) == 4 else width // heads
    turned = node.option("rotary_embedding_dim", default=0) or features
    yield Term("each", count=node.out.elements // features * turned // 2, multiplications=4, additions=2)
