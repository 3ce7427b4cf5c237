"""What calflops and DeepSpeed's profiler, of one ancestor, take the functions for that they put themselves before.

Both are about MACs alone: of everything but contractions these tools say 0 MACs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from opcount.errors import OpCountError
from opcount.formulas.arithmetic import product
from opcount.reconciling import calls
from opcount.reconciling.calls import CONVOLUTIONS, Convention, asked
from opcount.reconciling.tools import Charge
from opcount.rules.shapes import per_axis

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

RESIZED = "convolutions whose output it works out again, with other sizes than they have"


def convolution(tool: str) -> Callable[[Seen], Iterator[Charge]]:
    """The weight for each position of an output whose size it works out from the arguments."""

    def charged(seen: Seen) -> Iterator[Charge]:
        call = asked(seen)
        weight, sizes = call.weight.shape, call.input.shape[2:]
        axes = len(weight) - 2
        if len(call.input.shape) != axes + 2:
            raise OpCountError(f"{tool} fails on this model: it takes no convolution of an unbatched input")
        stride, gaps = per_axis(call.stride, axes), per_axis(call.dilation, axes)
        output = [
            (size + 2 * pad - (gap * (taps - 1) + 1)) // step + 1
            for size, pad, gap, taps, step in zip(sizes, _padding(call, weight, gaps), gaps, weight[2:], stride)
        ]
        yield Charge(product((call.input.shape[0], *weight, *output)))

    return charged


def _padding(call: Any, weight: tuple[int, ...], gaps: tuple[int, ...]) -> tuple[int, ...]:
    """Half of what "same" adds, rounded down, for each axis."""
    axes = len(weight) - 2
    if call.padding == "same":
        return tuple(gap * (taps - 1) // 2 for gap, taps in zip(gaps, weight[2:]))
    return (0,) * axes if call.padding == "valid" else per_axis(call.padding, axes)


def transposed_convolution(divided: bool) -> Callable[[Seen], Iterator[Charge]]:
    """The weight for each position of the input; ``divided`` once more by the groups."""

    def charged(seen: Seen) -> Iterator[Charge]:
        call = asked(seen)
        channels, filters, *kernel = call.weight.shape
        filters = filters // call.groups if divided else filters
        yield Charge(product((call.input.shape[0], channels, filters, *kernel, *call.input.shape[2:])))

    return charged


def added(seen: Seen) -> Iterator[Charge]:
    """The product of an addmm or a baddbmm."""
    call = asked(seen)
    left, right = call.get("mat1") or call.get("batch1"), call.get("mat2") or call.get("batch2")
    yield Charge(product((left.elements, right.shape[-1])))


def functions(tool: str, *, divided: bool) -> Convention:
    """The functions that both know."""
    return {
        F.linear: calls.linear,
        **dict.fromkeys(CONVOLUTIONS, convolution(tool)),
        **dict.fromkeys(calls.TRANSPOSED, transposed_convolution(divided)),
        torch.matmul: calls.matrix_product,
        torch.Tensor.matmul: calls.matrix_product,
        torch.addmm: added,
        torch.Tensor.addmm: added,
        torch.baddbmm: added,
    }


def why(seen: Seen, charged: int) -> str | None:
    """What differs of a convolution that is seen, and of an einsum."""
    for each in seen.walk():
        if each.subject in CONVOLUTIONS and charged:
            return RESIZED
        if each.subject in calls.TRANSPOSED and seen is not None:
            return "transposed convolutions in groups, divided by the groups twice"
        if each.subject is torch.einsum and not charged:
            return "einsum: 0 MACs, though it counts FLOPs"
    return None
