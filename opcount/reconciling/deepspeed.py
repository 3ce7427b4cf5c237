"""DeepSpeed's profiler: functions of PyTorch that it puts itself before; the MACs of each, where it has any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from opcount.formulas.arithmetic import product
from opcount.reconciling import calls, patched
from opcount.reconciling.calls import Convention, asked
from opcount.reconciling.tools import Charge

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

why = patched.why


def charges(seen: Seen) -> Iterator[Charge]:
    """What it adds when one of its functions is called, ``@`` among them."""
    by_sign = seen.as_operator and seen.subject is not torch.Tensor.matmul
    if seen.level == "function" and not (by_sign or calls.kept_by_layer(seen)):
        handle = _FUNCTIONS.get(seen.subject)
        if handle is not None:
            yield from handle(seen)


def _attention(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    query, key, value = call.query, call.key, call.value
    yield Charge(product((query.elements, key.shape[-2])))
    yield Charge(product((*query.shape[:-1], key.shape[-2], value.shape[-1])))


_FUNCTIONS: Convention = {
    **patched.functions("DeepSpeed", divided=False),
    **dict.fromkeys((torch.mm, torch.Tensor.mm, torch.bmm, torch.Tensor.bmm), calls.matrix_product),
    calls.FUSED: _attention,
}
