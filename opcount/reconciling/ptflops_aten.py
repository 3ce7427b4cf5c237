"""ptflops, backend aten: PyTorch's operators as they are dispatched on the CPU, biases among the MACs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec
from opcount.reconciling import calls
from opcount.reconciling.calls import Convention, asked, output
from opcount.reconciling.tools import Charge
from opcount.rules import operator_name

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

BIAS = "bias, 1 an output"


def charges(seen: Seen) -> Iterator[Charge]:
    """What its table has for the operator; attention in one kernel is not in it."""
    if seen.level == "function" and seen.subject in calls.RECURRENT:
        yield from _recurrent(seen)
    if seen.level == "operator" and not calls.in_one_kernel(seen):
        handle = _OPERATORS.get(operator_name(seen.subject))
        if handle is not None:
            yield from handle(seen)


def _recurrent(seen: Seen) -> Iterator[Charge]:
    products, biases = calls.recurrent_steps(seen)
    yield Charge(products)
    yield Charge(biases, BIAS)


def _addmm(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    yield Charge(product((call.mat1.elements, call.mat2.shape[1])))
    yield Charge(output(seen).elements, BIAS)


def _convolution(seen: Seen) -> Iterator[Charge]:
    yield from calls.any_convolution(seen)
    if isinstance(asked(seen).bias, TensorSpec):
        yield Charge(output(seen).elements, BIAS)


_OPERATORS: Convention = {
    "aten.mm": calls.matrix_product,
    "aten.bmm": calls.matrix_product,
    "aten.addmm": _addmm,
    "aten.convolution": _convolution,
    "aten._convolution": _convolution,
}
