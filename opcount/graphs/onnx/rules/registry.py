"""Which rule speaks for which ONNX operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from opcount.errors import RuleError
from opcount.graphs.onnx.node import Node, UnknownShape
from opcount.ops import Term

Count: TypeAlias = Callable[[Node], "Iterable[Term] | None"]

RULES: dict[str, Count] = {}


def rule(*operators: str) -> Callable[[Count], Count]:
    """Tie a counting function to operators by their names.

    Raises:
        RuleError: an operator has a rule already.
    """

    def tie(count: Count) -> Count:
        for name in operators:
            if name in RULES:
                raise RuleError(f"the ONNX operator {name} already has a rule, {RULES[name].__name__}")
            RULES[name] = count
        return count

    return tie


def terms(node: Node) -> tuple[Term, ...] | None:
    """What a call costs; None if there is no rule for it, or the rule needs a shape that is not known."""
    count = RULES.get(node.operator)
    if count is None:
        return None
    try:
        yielded = count(node)
        return None if yielded is None else tuple(term.with_dtype(node.dtype) for term in yielded)
    except UnknownShape:
        return None
