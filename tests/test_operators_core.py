"""Every operator of PyTorch's core set is counted or known to be free; nothing free computes."""

from __future__ import annotations

import pytest
import torch
from torch._ops import OpOverload

from opcount.rules import OPERATORS, operator_name

ELSEWHERE: set[str] = set()  # what only other versions of PyTorch have
HARMLESS = {
    *("fft_fftfreq", "fft_rfftfreq"),  # constants
    *("normal", "log_normal", "normal_functional"),  # random numbers
    *("_weight_norm_interface", "mkldnn_reorder_conv2d_weight", "mkldnn_reorder_conv3d_weight"),  # weights made again
    *("max_unpool2d", "max_unpool3d", "masked_scatter_backward"),  # placement
    *("as_strided_scatter", "diagonal_scatter", "masked_scatter", "select_scatter", "slice_scatter"),
}


def every_operator() -> list[OpOverload]:
    """All overloads of all operators of PyTorch's own library."""
    found = []
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        packet = getattr(torch.ops.aten, name, None) if namespace == "aten" else None
        operator = getattr(packet, schema.overload_name or "default", None)
        if isinstance(operator, OpOverload):
            found.append(operator)
    return found


def core() -> set[str]:
    return {operator_name(operator) for operator in every_operator() if torch.Tag.core in operator.tags}


def test_the_core_set_is_counted():
    assert len(core()) > 150
    assert {name for name in core() if name not in OPERATORS} == set()


def test_rules_are_for_operators_that_there_are():
    """A misspelt name would be a rule for nothing."""
    if not hasattr(torch.ops.aten, "hash_tensor"):
        pytest.skip("this PyTorch is older than some of the operators that have rules")
    here = {operator_name(operator) for operator in every_operator()}
    assert {name for name in OPERATORS if name.startswith("aten.") and name not in here} <= ELSEWHERE


def test_what_is_free_moves_draws_or_relabels():
    free = {name.removeprefix("aten.") for name, made in OPERATORS.items() if made.free}
    arithmetic = "add sub mul div mm bmm sum mean norm exp log sqrt sin cos pow max min round sgn put scatter"
    assert not free & set(arithmetic.split())
    words = ("relu", "softmax", "norm", "matmul", "pool", "fft", "mean", "conv", "scatter", "unique")
    assert {name for name in free for word in words if word in name} == HARMLESS
