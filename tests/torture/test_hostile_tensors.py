"""Tensors that are not what layers are written for: a right answer, by hand, or a documented error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from opcount import OpCount, profile
from opcount.errors import BackwardError, ForwardError
from tests.torture.figures import did

EXECUTIONS = ["auto", "real"]
pytestmark = pytest.mark.filterwarnings("ignore")


class Does(nn.Module):
    """Whatever a function does."""

    def __init__(self, what: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Any:
        return self.what(x)


def linear(dtype: torch.dtype | None = None) -> nn.Module:
    return nn.Linear(4, 5, bias=False, dtype=dtype)


def ragged(**how: Any) -> Tensor:
    """Samples of 2 and of 3 rows."""
    return torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], **how)


def grid() -> Tensor:
    return torch.quantize_per_tensor(torch.ones(2, 4), 0.1, 0, torch.quint8)


RIGHT: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], OpCount]] = {
    # 3 rows of 5 dots of 4 complex products, 4 multiplications and 2 additions each, and 3 complex sums of 2 additions
    "complex": (
        lambda: linear(torch.complex64), lambda: torch.ones(3, 4, dtype=torch.complex64),
        OpCount(multiplications=3 * 5 * 4 * 4, additions=3 * 5 * (4 * 2 + 3 * 2), macs=3 * 5 * 4 * 4),
    ),
    # zeros count dense
    "sparse": (linear, lambda: torch.eye(4).to_sparse(), OpCount(multiplications=80, additions=60, macs=80)),
    "compressed": (linear, lambda: torch.eye(4).to_sparse_csr(), OpCount(multiplications=80, additions=60, macs=80)),
    # 2 + 3 rows
    "nested": (linear, ragged, OpCount(multiplications=100, additions=75, macs=100)),
    "jagged": (linear, lambda: ragged(layout=torch.jagged), OpCount(multiplications=100, additions=75, macs=100)),
    # off the grid each is a difference and a product, then the other product
    "quantized": (lambda: Does(lambda x: x.dequantize() * 2), grid, OpCount(multiplications=16, additions=8)),
    "half": (lambda: linear(torch.half), lambda: torch.ones(2, 4).half(), OpCount(40, 30, macs=40)),
    "bool": (lambda: Does(lambda x: x & ~x), lambda: torch.ones(3, dtype=torch.bool), OpCount()),
}  # fmt: skip


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_right(kind: str, execution: str) -> None:
    model, given, right = RIGHT[kind]
    counted = profile(model(), given(), execution=execution)
    assert counted.ops == right
    assert counted.complete
    did("hostile tensors counted")


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_what_is_not_counted_is_named(execution: str) -> None:
    weights = torch.eye(4).to_sparse()
    counted = profile(Does(lambda x: torch.sparse.mm(weights, x)), torch.ones(4, 3), execution=execution)
    assert [each.name for each in counted.uncounted] == ["aten._sparse_addmm"]
    assert not counted.complete


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_what_pytorch_refuses_is_refused(execution: str) -> None:
    with pytest.raises(ForwardError, match="Linear failed on 2x4: NotImplementedError"):
        profile(linear(), grid(), execution=execution)


def test_element_types_that_do_not_fit_are_told_by_a_real_run() -> None:
    """As docs/reliability.md has it: on shapes alone PyTorch itself lets them pass."""
    given = torch.ones(2, 4, dtype=torch.float64)
    with pytest.raises(ForwardError, match="Linear failed on 2x4: RuntimeError"):
        profile(linear(), given, execution="real")
    assert profile(linear(), given, execution="shapes").macs == 40


class Chooses(nn.Module):
    """One branch is 16 MACs a row, the other 32."""

    def __init__(self, loops: bool = False) -> None:
        super().__init__()
        self.loops = loops
        self.small, self.large = nn.Linear(4, 4, bias=False), nn.Linear(4, 8, bias=False)

    def forward(self, x: Tensor) -> Any:
        if not self.loops:
            return torch.cond(x.sum() > 0, lambda x: self.small(x), lambda x: self.large(x)[:, :4].contiguous(), (x,))
        from torch._higher_order_ops.while_loop import while_loop

        return while_loop(lambda turn, x: turn < 3, lambda turn, x: (turn + 1, self.small(x)), (torch.tensor(0), x))[1]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(("sign", "macs"), [(1, 3 * 16), (-1, 3 * 32)])
def test_the_branch_that_a_value_chooses(sign: int, macs: int, execution: str) -> None:
    assert profile(Chooses(), sign * torch.ones(3, 4), execution=execution).macs == macs


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_turns_of_a_loop(execution: str) -> None:
    assert profile(Chooses(loops=True), torch.ones(3, 4), execution=execution).macs == 3 * 3 * 16


@pytest.mark.parametrize("loops", [False, True])
def test_what_a_value_chooses_cannot_be_told_by_shapes(loops: bool) -> None:
    with pytest.raises(ForwardError, match="chooses by a value what to run; execution='real' runs the model"):
        profile(Chooses(loops), torch.ones(3, 4), execution="shapes")


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(("loops", "name"), [(False, "cond"), (True, "while_loop")])
def test_the_backward_pass_of_what_a_value_chooses_is_a_clear_error(loops: bool, name: str, execution: str) -> None:
    with pytest.raises(BackwardError, match=f"the backward pass of torch's {name} is not counted"):
        profile(Chooses(loops), torch.ones(3, 4), execution=execution, backward=True)
