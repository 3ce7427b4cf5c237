"""torch.einsum: pairwise products, left to right, of labelled dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term
from opcount.rules.registry import rule

_FIRST_OF_ELLIPSIS = 10_000


@rule(torch.einsum)
def einsum(function: Any, call: Call) -> Iterator[Term]:
    """Operands are taken in pairs, left to right; what no later operand and no output needs is contracted.

    An index that one operand alone has, and the output has not, is summed there first.
    """
    inputs, output, shapes = _read(call.args)
    left: dict[Any, int] = {}
    for position, (labels, shape) in enumerate(zip(inputs, shapes)):
        needed = set(output).union(*inputs[position + 1 :])
        right = dict(zip(labels, shape))  # an index that one operand has twice reads its diagonal
        yield from _sum_away(right, needed.union(left))
        if position == 0:
            left = right
            continue
        yield from _sum_away(left, needed.union(right))
        sizes = {label: _broadcast(left.get(label, 1), right.get(label, 1)) for label in (*left, *right)}
        left = {label: size for label, size in sizes.items() if label in needed}
        contracted = [size for label, size in sizes.items() if label not in needed]
        count = product(left.values())
        if contracted:
            yield Term("dots", count=count, length=product(contracted))
        else:
            yield Term("multiplication", count=count)
    yield from _sum_away(left, set(output))


def _sum_away(operand: dict[Any, int], kept: set[Any]) -> Iterator[Term]:
    """Sum an operand over its indices that nothing else has, which it loses."""
    lost = [label for label in operand if label not in kept]
    if lost:
        length = product(operand.pop(label) for label in lost)
        yield Term("sums", rows=product(operand.values()), length=length)


def _broadcast(first: int, second: int) -> int:
    """A length of 1 repeats, also where the other is 0."""
    return second if first == 1 else first


def _read(args: tuple[Any, ...]) -> tuple[list[list[Any]], list[Any], list[tuple[int, ...]]]:
    """Labels of every operand and of the output, from an equation or from lists of numbers, ellipses spelt out."""
    if isinstance(args[0], str):
        operands = args[1] if len(args) == 2 and isinstance(args[1], tuple) else args[1:]
        shapes = [operand.shape for operand in operands]
        left, arrow, right = args[0].replace(" ", "").partition("->")
        inputs = [_labels(part) for part in left.split(",")]
        output = _labels(right) if arrow else None
    else:
        shapes = [operand.shape for operand in args[0::2] if isinstance(operand, TensorSpec)]
        lists = [[... if item in (..., "ellipsis") else item for item in part] for part in args[1::2]]
        inputs = lists[: len(shapes)]
        output = list(args[-1]) if len(args) % 2 else None
        output = None if output is None else [... if item in (..., "ellipsis") else item for item in output]
    spelt = [_spell_out(labels, len(shape)) for labels, shape in zip(inputs, shapes)]
    broadcast = max((len(shape) - len(labels) + 1 for labels, shape in zip(inputs, shapes) if ... in labels), default=0)
    ellipsis = [_FIRST_OF_ELLIPSIS + index for index in reversed(range(broadcast))]
    if output is None:
        seen = Counter(label for labels in spelt for label in labels if label not in ellipsis)
        return spelt, ellipsis + sorted(label for label, times in seen.items() if times == 1), shapes
    return spelt, [label for item in output for label in (ellipsis if item is ... else [item])], shapes


def _labels(part: str) -> list[Any]:
    before, dots, after = part.partition("...")
    return [*before, *([...] if dots else []), *after]


def _spell_out(labels: Sequence[Any], dimensions: int) -> list[Any]:
    """Broadcast dimensions get labels of their own, counted from the right."""
    covered = dimensions - len(labels) + 1
    ellipsis = [_FIRST_OF_ELLIPSIS + index for index in reversed(range(covered))]
    return [label for item in labels for label in (ellipsis if item is ... else [item])]
