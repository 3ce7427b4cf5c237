"""Operators that take functions: what runs counts, as often as it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from opcount import OpCount, profile
from opcount.errors import ForwardError

flex_attention = pytest.importorskip("torch.nn.attention.flex_attention").flex_attention


class Call(nn.Module):
    """A forward made of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


class Branches(nn.Module):
    """Positive sums through one layer, others through two."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda t: self.first(t), lambda t: self.second(self.first(t)), (x,))


@pytest.mark.parametrize(("value", "layers"), [(1.0, 1), (-1.0, 2)])
def test_of_two_branches_the_one_taken_counts(value: float, layers: int) -> None:
    counted = profile(Branches(), torch.full((2, 8), value))
    # the sum of 16 and its comparison, then 16 dots of 8 for each layer
    assert counted.ops == OpCount(
        multiplications=128 * layers, additions=15 + 112 * layers, comparisons=1, macs=128 * layers
    )
    assert counted.execution == "real"
    assert "torch.cond chooses by a value" in counted.execution_reason
    assert counted["second"].calls == layers - 1


def test_by_shapes_alone_nobody_knows_which_branch_is_taken() -> None:
    with pytest.raises(ForwardError, match=r"torch\.cond chooses by a value what to run"):
        profile(Branches(), (2, 8), execution="shapes")


def test_a_loop_counts_its_turns() -> None:
    while_loop = pytest.importorskip("torch._higher_order_ops.while_loop").while_loop

    def thrice(x: torch.Tensor) -> Any:
        return while_loop(lambda turn, _: turn < 3, lambda turn, t: (turn + 1, t * 2.0), (torch.tensor(0), x))

    assert profile(Call(thrice), (2, 8)).ops == OpCount(multiplications=3 * 16)


@pytest.mark.parametrize("execution", ["shapes", "real"])
def test_a_scan_counts_its_steps(execution: str) -> None:
    scan = pytest.importorskip("torch._higher_order_ops.scan").scan

    def running(x: torch.Tensor) -> Any:
        return scan(lambda carry, step: (carry + step, carry * step), torch.zeros(8), x)

    model = Call(running)
    assert profile(model, (5, 8), execution=execution).ops == OpCount(multiplications=40, additions=40)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_is_what_is_in_it(reentrant: bool) -> None:
    layer = nn.Linear(8, 4)
    counted = profile(Call(lambda x: checkpoint(layer, x, use_reentrant=reentrant)), (2, 8))
    assert counted.ops == OpCount(multiplications=64, additions=64, macs=64)


def test_vmap_is_what_it_maps() -> None:
    layer = nn.Linear(8, 4)
    assert profile(Call(lambda x: torch.vmap(layer)(x)), (3, 2, 8)).macs == 3 * 2 * 4 * 8


# One sample, 2 heads, 16 positions, 8 features: 512 scores, each a dot of 8 and a scale; 32 rows of softmax over 16;
# 256 values, each a dot of 16.
ATTENTION = OpCount(
    multiplications=512 * 8 + 512 + 256 * 16,
    additions=512 * 7 + 512 + 32 * 15 + 256 * 15,
    divisions=512,
    comparisons=32 * 15,
    transcendentals=512,
    macs=512 * 8 + 256 * 16,
)


def test_flex_attention_is_attention() -> None:
    counted = profile(Call(lambda q: flex_attention(q, q, q)), (1, 2, 16, 8))
    assert counted.ops == ATTENTION
    assert counted.complete


def test_flex_attention_counts_what_is_made_of_each_score() -> None:
    def nearer(score: Any, batch: Any, head: Any, row: Any, column: Any) -> Any:
        return score + (row - column) * 0.5

    counted = profile(Call(lambda q: flex_attention(q, q, q, score_mod=nearer)), (1, 2, 16, 8))
    # the distance is in whole numbers; half of it is a product, adding it a sum, for each of 512 scores
    assert counted.ops == ATTENTION + OpCount(multiplications=512, additions=512)


def test_a_higher_order_operator_that_nobody_knows_is_uncounted_by_name() -> None:
    higher_order: Any = torch._ops.HigherOrderOperator

    class Strange(higher_order):
        def __init__(self) -> None:
            super().__init__("opcount_strange")

        def __call__(self, x: torch.Tensor) -> Any:
            return super().__call__(x)

    strange = Strange()
    strange.fallthrough(torch._C.DispatchKey.AutogradCPU)
    strange.py_impl(torch._C.DispatchKey.CompositeExplicitAutograd)(lambda x: x.clone())
    counted = profile(Call(lambda x: strange(x)), (2, 8), execution="real")
    assert [(item.name, item.kind) for item in counted.uncounted] == [("higher_order.opcount_strange", "operator")]
