"""Reductions of ONNX."""

from __future__ import annotations

from collections.abc import Iterator

from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import TensorSpec, Term
from opcount.rules.shapes import rows_along, rows_into

_FORMULAS = {
    "ReduceSum": "sums",
    "ReduceMean": "means",
    "ReduceProd": "products",
    "ReduceMax": "extrema",
    "ReduceMin": "extrema",
    "ReduceLogSumExp": "log_sum_exp",
}
_STEPS = {"add": "addition", "mul": "multiplication", "max": "comparison", "min": "comparison"}


@rule(*_FORMULAS)
def reduction(node: Node) -> Iterator[Term]:
    """Each row folded into one value; over no axes, nothing."""
    if not _keeps(node):
        yield Term(_FORMULAS[node.operator], **rows_into(node.input(), node.out))


def _keeps(node: Node) -> bool:
    """Whether no axes are given and that means none rather than all."""
    return bool(node.option("noop_with_empty_axes")) and not node.has(1)


@rule("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum")
def norm(node: Node) -> Iterator[Term]:
    """Sums of absolute values or of squares, and the root or logarithm of those that have one."""
    if _keeps(node):
        return
    rows = rows_into(node.input(), node.out)
    if node.operator == "ReduceLogSum":
        yield Term("sums", **rows)
        yield Term("transcendental", count=rows["rows"])
    elif node.operator == "ReduceSumSquare":
        yield Term("multiplication", count=node.input().elements)
        yield Term("sums", **rows)
    else:
        yield Term("vector_norm", **rows, norm=1.0 if node.operator == "ReduceL1" else 2.0)


@rule("ArgMax", "ArgMin")
def extremum(node: Node) -> Iterator[Term]:
    """Where the largest or smallest of each row is."""
    yield Term("extrema", dtype=node.input().dtype, **rows_into(node.input(), node.out))


@rule("TopK")
def largest(node: Node) -> Iterator[Term]:
    """Each row sorted."""
    yield Term("sorting", **rows_along(node.input(), node.option("axis", default=-1)))


@rule("CumSum")
def running_sum(node: Node) -> Iterator[Term]:
    """Each row added up step by step."""
    axis = node.option("axis", 1, 0)
    yield Term("sums", **rows_along(node.input(), axis[0] if isinstance(axis, list) else axis))


@rule("NonZero")
def nonzero(node: Node) -> Iterator[Term]:
    """One comparison for each element; placing is on integers."""
    yield Term("comparison", dtype=node.input().dtype, count=node.input().elements)


@rule("Unique")
def unique(node: Node) -> Iterator[Term]:
    """All elements sorted."""
    yield Term("sorting", rows=1, length=node.input().elements)


@rule("ScatterElements", "ScatterND")
def scattered(node: Node) -> Iterator[Term]:
    """Free, or with a reduction one step for each value put in place."""
    step = _STEPS.get(node.option("reduction", default="none"))
    if step is not None:
        yield Term(step, count=_values(node).elements)


def _values(node: Node) -> TensorSpec:
    return node.input(2)
