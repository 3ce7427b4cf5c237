"""PyTorch's FlopCounterMode: PyTorch's operators as they are dispatched on the CPU, two FLOPs for every MAC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opcount.formulas.arithmetic import product
from opcount.reconciling import calls
from opcount.reconciling.calls import Convention, asked
from opcount.reconciling.tools import Charge
from opcount.rules import operator_name

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen


def charges(seen: Seen) -> Iterator[Charge]:
    """What its registry has for the operator, in MACs; attention in the CPU's one kernel is not in it."""
    if seen.level == "function" and seen.subject in calls.RECURRENT:
        yield from _recurrent(seen)
    if seen.level == "operator" and not calls.in_one_kernel(seen):
        handle = _OPERATORS.get(operator_name(seen.subject))
        if handle is not None:
            yield from handle(seen)


def closing(_: Seen, levels: dict[str, int]) -> Iterator[Charge]:
    """A MAC is two FLOPs."""
    yield Charge(sum(levels.values()), "two FLOPs for each MAC")


def _recurrent(seen: Seen) -> Iterator[Charge]:
    yield Charge(calls.recurrent_steps(seen)[0])


def _added(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    left, right = (call.get("mat1") or call.get("batch1")), (call.get("mat2") or call.get("batch2"))
    yield Charge(product((left.elements, right.shape[-1])))


_OPERATORS: Convention = {
    "aten.mm": calls.matrix_product,
    "aten.bmm": calls.matrix_product,
    "aten.addmm": _added,
    "aten.baddbmm": _added,
    "aten.convolution": calls.any_convolution,
    "aten._convolution": calls.any_convolution,
}
