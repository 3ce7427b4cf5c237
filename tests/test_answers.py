"""What operators answer from shapes alone, against what they return when they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st

from opcount.answers import ANSWERS
from opcount.ops import Call
from opcount.rules import operator_name
from opcount.trace.describe import describe

aten = torch.ops.aten
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.int32, torch.bool])
SIZES = st.lists(st.integers(1, 3), max_size=3)
Draw = Callable[[Any], Any]


def tensor(sizes: Sequence[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Ones of that size and type."""
    return torch.ones(tuple(sizes), dtype=dtype)


def operand(draw: Draw) -> Any:
    """A tensor, or a number of one kind or another."""
    if draw(st.integers(0, 3)):
        return tensor(draw(SIZES), draw(DTYPES))
    return draw(st.sampled_from([1, 2, 1.5, True]))


def indices(draw: Draw) -> torch.Tensor:
    """Tensors of zeros, which are indices, if not of bool."""
    return torch.zeros(tuple(draw(SIZES)), dtype=draw(st.sampled_from([torch.int64, torch.int32, torch.bool])))


OPERATORS: dict[str, Callable[[Draw], tuple[Any, tuple[Any, ...]]]] = {
    **{
        name: lambda draw, name=name: (getattr(aten, name), (tensor(draw(SIZES), draw(DTYPES)), operand(draw)))
        for name in ("add", "sub", "mul", "div", "maximum", "pow", "eq", "lt", "ge")
    },
    **{
        name: lambda draw, name=name: (getattr(aten, name), (tensor(draw(SIZES), draw(DTYPES)),))
        for name in ("neg", "abs", "exp", "relu", "sigmoid", "clone")
    },
    "where": lambda draw: (aten.where, (tensor(draw(SIZES), torch.bool), operand(draw), operand(draw))),
    "index": lambda draw: (aten.index, (tensor(draw(SIZES), draw(DTYPES)), [indices(draw)])),
    "copy": lambda draw: (aten.copy, (tensor(draw(SIZES), draw(DTYPES)), tensor(draw(SIZES), draw(DTYPES)))),
    "_unsafe_view": lambda draw: (
        aten._unsafe_view,
        (tensor(draw(SIZES)), draw(st.lists(st.sampled_from([-1, 1, 2, 3, 4, 6, 9]), max_size=3))),
    ),
    "index_select": lambda draw: (
        aten.index_select,
        (tensor(draw(SIZES)), draw(st.integers(-3, 3)), torch.zeros(draw(st.integers(1, 3)), dtype=torch.int64)),
    ),
    "embedding": lambda draw: (aten.embedding, (tensor(draw(SIZES)), indices(draw))),
    "cat": lambda draw: (
        aten.cat,
        ([tensor(draw(SIZES), draw(DTYPES)) for _ in range(draw(st.integers(1, 3)))], draw(st.integers(-3, 3))),
    ),
    "stack": lambda draw: (
        aten.stack,
        ([tensor(size := draw(SIZES)), tensor(draw(st.sampled_from([size, [2]])))], draw(st.integers(-3, 3))),
    ),
    "mm": lambda draw: (aten.mm, (tensor(draw(SIZES)), tensor(draw(SIZES)))),
    "bmm": lambda draw: (aten.bmm, (tensor(draw(SIZES)), tensor(draw(SIZES), draw(DTYPES)))),
    "addmm": lambda draw: (aten.addmm, (tensor(draw(SIZES)), tensor(draw(SIZES)), tensor(draw(SIZES)))),
    "sum": lambda draw: (
        aten.sum.dim_IntList,
        (tensor(draw(SIZES), draw(DTYPES)), draw(st.lists(st.integers(-2, 2), max_size=2)), draw(st.booleans())),
    ),
    "constant_pad_nd": lambda draw: (
        aten.constant_pad_nd,
        (tensor(draw(SIZES)), draw(st.lists(st.integers(-2, 2), max_size=4))),
    ),
    "upsample_nearest2d": lambda draw: (
        aten.upsample_nearest2d.vec,
        (tensor(draw(st.lists(st.integers(1, 3), min_size=3, max_size=4))), draw(SIZES), None),
    ),
    "upsample_linear1d": lambda draw: (
        aten.upsample_linear1d.vec,
        (tensor(draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))), draw(SIZES), draw(st.booleans()), None),
    ),
}


def shapes(tree: Any) -> Any:
    """Shapes and types."""
    return tuple(map(shapes, tree)) if isinstance(tree, tuple) else (tree.shape, tree.dtype)


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data())
def test_what_an_operator_answers_is_what_it_returns(name: str, data: st.DataObject) -> None:
    packet, args = OPERATORS[name](data.draw)
    operator = overload(packet, args)
    if operator is None:
        return
    try:
        answered = ANSWERS[operator_name(operator)](operator, Call(describe(args), {}, None))
    except (IndexError, TypeError, AttributeError):  # as of any call that PyTorch has not looked at yet
        answered = None
    if answered is not None:
        assert shapes(answered) == shapes(describe(operator(*args)))


def overload(packet: Any, args: tuple[Any, ...]) -> Any:
    """The overload of an operator that takes these arguments."""
    if isinstance(packet, torch._ops.OpOverload):
        return packet
    for name in packet.overloads():
        found = getattr(packet, name)
        if "out" in name or "out" in str(found._schema):
            continue
        try:
            returned = found(*args)
        except Exception:
            continue
        if isinstance(returned, torch.Tensor):  # some of them take tensors of one element for numbers
            return found
    return None
