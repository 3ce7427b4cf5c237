"""What of an ONNX model is a layer's bias or attention's scale, written as an operator of its own.

An exporter takes a linear layer of three axes apart into a product and a sum, and fused attention into two scaled
factors, their product, a softmax and another product. Which operators those are is seen in the graph: what feeds what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.constants import fixed_in, part_of, shapes_in, total
from opcount import OpCount
from opcount.graphs.onnx.reading import with_functions_inlined
from opcount.graphs.onnx.shaping import Scope

_LAYOUT = frozenset({"Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Identity", "Flatten"})
_ON_SCORES = _LAYOUT | {"Add", "Where", "Mul", "Div"}


def rewritten(model: Any) -> dict[str, OpCount]:
    """What biases and attention's scale cost where they are operators of their own that an input reaches."""
    model = with_functions_inlined(model)
    graph = _Graph(model, shapes_in(model))
    kinds = {"biases": graph.biases(), "attention scale": graph.scales()}
    return {kind: total(part_of(model, graph.scope, list(nodes))) for kind, nodes in kinds.items()}


class _Graph:
    """Which node made what."""

    def __init__(self, model: Any, scope: Scope) -> None:
        self.scope = scope
        self.made = {name: node for node in model.graph.node for name in node.output}
        self.fixed = {name for node in fixed_in(model, scope) for name in node.output}
        self.nodes = [node for node in model.graph.node if not self.fixed.intersection(node.output)]

    def biases(self) -> Iterator[Any]:
        """Sums of what a product with a weight returned and a vector of parameters, or one made of parameters alone."""
        for node in self.nodes:
            if node.op_type == "Add" and any(self._is_bias(*pair) for pair in (node.input, reversed(node.input))):
                yield node

    def _is_bias(self, product: str, vector: str) -> bool:
        spec, maker = self.scope.spec(vector), self.made.get(product)
        known = vector in self.scope.held or vector in self.fixed
        held = known and spec is not None and len(spec.shape) == 1
        return held and maker is not None and maker.op_type == "MatMul"

    def scales(self) -> Iterator[Any]:
        """Products of both factors of scores with a number: a model that scales by itself scales one of them."""
        seen: set[str] = set()
        for node in self.nodes:
            scores = self._scores(node.input[0]) if node.op_type == "Softmax" else None
            if scores is None or scores.output[0] in seen:
                continue
            seen.add(scores.output[0])
            scaled = [self._scaled(name) for name in scores.input]
            if all(scaled):
                yield from scaled

    def _scores(self, name: str) -> Any:
        """The product that a softmax is taken of, behind masks and other layouts."""
        pending = [name]
        while pending:
            node = self.made.get(pending.pop())
            if node is not None and node.op_type == "MatMul":
                return node
            if node is not None and node.op_type in _ON_SCORES:
                pending.extend(reversed(node.input))
        return None

    def _scaled(self, name: str) -> Any:
        """The product with a single number that a factor comes from; None if it comes from none."""
        while (node := self.made.get(name)) is not None and node.op_type in _LAYOUT:
            name = node.input[0]
        if node is None or node.op_type != "Mul":
            return None
        specs = [self.scope.spec(each) for each in node.input]
        return node if any(spec is not None and spec.elements == 1 for spec in specs) else None
