"""Conditions on rows, such as ``macs < 300e6 and width > 0.5``: in Python's grammar, never run as code.

Names are columns. There are numbers, words, ``True``, ``False``, ``None``, lists, comparisons (``in`` too), arithmetic
without powers, ``and``, ``or``, ``not`` and brackets. A comparison with a column that is empty in a row is false there.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from opcount.errors import InputError
from opcount.parsing import did_you_mean, listed

Row: TypeAlias = Mapping[str, Any]
_Value: TypeAlias = Callable[[Row], Any]

_LONGEST = 2000
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many,
}  # fmt: skip
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


class Condition:
    """A condition on rows.

    Args:
        text: the condition.

    Raises:
        InputError: it is not one.

    >>> condition = Condition("macs < 300e6 and kind in ['plain', 'wide']")
    >>> condition({"macs": 2, "kind": "wide"}), condition({"macs": None, "kind": "wide"})
    (True, False)
    >>> condition.names
    ('macs', 'kind')
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            if len(text) > _LONGEST:
                raise InputError(f"the condition is longer than {_LONGEST:,} characters")
            tree = ast.parse(text.strip(), mode="eval").body
            self.names = tuple(dict.fromkeys(node.id for node in _in_order(tree) if isinstance(node, ast.Name)))
            self._value = self._read(tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(
                f'cannot read the condition {text!r}: write it as in "macs < 300e6 and width > 0.5"'
            ) from error

    def __call__(self, row: Row) -> bool:
        """Whether a row meets it.

        Raises:
            InputError: it names what the row does not have, or compares what cannot be compared.
        """
        try:
            return bool(self._value(row))
        except KeyError as error:
            name = error.args[0]
            meant = did_you_mean(name, row) or f"; there are {listed(row, 20)}"
            raise InputError(f"the condition {self.text!r} names {name!r}, which is no column{meant}") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"the condition {self.text!r} cannot be told of a row: {error}") from None
        except (ArithmeticError, RecursionError):
            return False

    def _read(self, node: ast.AST) -> _Value:
        """What a part of it is worth in a row."""
        if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, type(None))):
            value = node.value
            return lambda _: value
        if isinstance(node, ast.Name):
            name = node.id
            return lambda row: row[name]
        if isinstance(node, (ast.List, ast.Tuple)):
            items = [self._read(item) for item in node.elts]
            return lambda row: [item(row) for item in items]
        if isinstance(node, ast.BoolOp):
            parts = [self._read(part) for part in node.values]
            every = isinstance(node.op, ast.And)
            return lambda row: all(part(row) for part in parts) if every else any(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            inner = self._read(node.operand)
            if isinstance(node.op, ast.Not):
                return lambda row: not inner(row)
            return lambda row: None if inner(row) is None else -inner(row)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return self._arithmetic(node)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        raise InputError(
            f"the condition {self.text!r} has {ast.unparse(node)!r} in it: there are columns, numbers, words in "
            "quotes, comparisons, + - * / // %, and, or, not"
        )

    def _arithmetic(self, node: ast.BinOp) -> _Value:
        left, right, work = self._read(node.left), self._read(node.right), _ARITHMETIC[type(node.op)]

        def value(row: Row) -> Any:
            one, other = left(row), right(row)
            if one is None or other is None:
                return None
            if not isinstance(one, (int, float)) or not isinstance(other, (int, float)):
                raise TypeError(f"{one!r} and {other!r} are not both numbers")
            return work(one, other)

        return value

    def _comparison(self, node: ast.Compare) -> _Value:
        values = [self._read(part) for part in (node.left, *node.comparators)]
        steps = [_step(step) for step in node.ops]

        def holds(row: Row) -> bool:
            found = [value(row) for value in values]
            return all(step(one, other) for step, one, other in zip(steps, found, found[1:]))

        return holds


def _step(step: ast.cmpop) -> Callable[[Any, Any], bool]:
    """One comparison; with what is empty, only that it is can be told."""
    if isinstance(step, (ast.Eq, ast.Is)):
        return lambda one, other: bool(_flat(one) == _flat(other))
    if isinstance(step, (ast.NotEq, ast.IsNot)):
        return lambda one, other: bool(_flat(one) != _flat(other))
    compare = _COMPARISONS[type(step)]
    return lambda one, other: False if one is None or other is None else bool(compare(one, other))


def _flat(value: Any) -> Any:
    """A tuple as a list: a condition has lists."""
    return list(value) if isinstance(value, tuple) else value


def _in_order(tree: ast.AST) -> list[ast.AST]:
    return sorted(ast.walk(tree), key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
