"""The counters that can be reconciled with: their names, and what is known of each before anything is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from opcount.errors import InputError
from opcount.parsing import did_you_mean

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen


class Charge(NamedTuple):
    """What a tool adds to its figure for one call.

    Attributes:
        amount: how much.
        reason: what it stands for; empty for the multiplications of a contraction, as opcount counts them.
    """

    amount: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A counter and its convention.

    Attributes:
        name: what ``--versus`` calls it.
        title: what it calls itself, with the release that the convention was read from.
        figure: which of its figures this is about, in its own words and in ours.
        source: where the convention stands.
        asked: how the tool is called for it.
        limits: what it does that depends on more than the calls of a model, and is not reproduced.
        room: the module that holds ``charges``, and may hold ``why`` and ``closing``.
    """

    name: str
    title: str
    figure: str
    source: str
    asked: str
    limits: tuple[str, ...]
    room: str

    @property
    def charges(self) -> Callable[[Seen], Iterable[Charge]]:
        """What the tool adds for one call."""
        convention: Callable[[Seen], Iterable[Charge]] = import_module(f"opcount.reconciling.{self.room}").charges
        return convention

    @property
    def why(self) -> Callable[[Seen, int], str | None] | None:
        """What the tool does differently about a contraction that it counts as so much, where it says something."""
        return getattr(import_module(f"opcount.reconciling.{self.room}"), "why", None)

    @property
    def closing(self) -> Callable[[Seen, dict[str, int]], Iterable[Charge]] | None:
        """What the tool makes of its sums by level in the end, if anything."""
        return getattr(import_module(f"opcount.reconciling.{self.room}"), "closing", None)


_EAGER = "in evaluation mode on the CPU, as its documentation shows it, gradients enabled"
_BOUND = (
    "functions that a model's file imported by name escape the tool, which replaces attributes of PyTorch's modules"
)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "fvcore",
            "fvcore 0.1.5.post20221221",
            "FlopCountAnalysis(model, inputs).total(), which it calls FLOPs: one a multiplication and addition",
            "fvcore/nn/flop_count.py, fvcore/nn/jit_handles.py",
            "in evaluation mode; it traces the model",
            ("what the output does not depend on is dropped by its tracer, and counted here",),
            "fvcore",
        ),
        Tool(
            "thop",
            "ultralytics-thop 2.2.3",
            "the first number of thop.profile(model, inputs), which it calls MACs",
            "thop/profile.py, thop/vision/basic_hooks.py, thop/vision/calc_func.py, thop/rnn_hooks.py",
            "as its documentation shows it; it counts in evaluation mode, without gradients",
            ("the package thop, of which this one is a successor, counts otherwise",),
            "thop",
        ),
        Tool(
            "ptflops",
            "ptflops 0.7.5, backend pytorch (its default)",
            "the first number of get_model_complexity_info, which it calls MACs: of one sample",
            "ptflops/pytorch_engine.py, ptflops/pytorch_ops.py",
            _EAGER,
            (_BOUND,),
            "ptflops",
        ),
        Tool(
            "ptflops-aten",
            "ptflops 0.7.5, backend aten",
            "the first number of get_model_complexity_info(..., backend='aten'), which it calls MACs",
            "ptflops/aten_engine.py, ptflops/aten_ops.py",
            _EAGER,
            (),
            "ptflops_aten",
        ),
        Tool(
            "torchinfo",
            "torchinfo 1.8.0",
            "summary(model, ...).total_mult_adds",
            "torchinfo/layer_info.py, torchinfo/model_statistics.py",
            "in evaluation mode, with input_data or input_size, without gradients",
            (),
            "torchinfo",
        ),
        Tool(
            "flopcounter",
            "torch.utils.flop_counter.FlopCounterMode of PyTorch 2.14",
            "get_total_flops(), two FLOPs a MAC",
            "torch/utils/flop_counter.py",
            _EAGER,
            ("on another device PyTorch may run other kernels, which it may count otherwise",),
            "flopcounter",
        ),
        Tool(
            "calflops",
            "calflops 0.3.2",
            "the MACs of calculate_flops, the second of its three numbers",
            "calflops/pytorch_ops.py, calflops/calculate_pipline.py",
            _EAGER,
            (_BOUND,),
            "calflops",
        ),
        Tool(
            "deepspeed",
            "DeepSpeed 0.19.8",
            "the MACs of get_model_profile, the second of its three numbers",
            "deepspeed/profiling/flops_profiler/profiler.py",
            _EAGER,
            (_BOUND,),
            "deepspeed",
        ),
    )
}
"""Every tool by the name that ``--versus`` takes."""


def find(name: str) -> Tool:
    """The tool of that name.

    Raises:
        InputError: there is none; the message lists them.

    >>> find("thop").title
    'ultralytics-thop 2.2.3'
    """
    tool = TOOLS.get(name.casefold())
    if tool is None:
        raise InputError(f"there is no tool {name!r}{did_you_mean(name, TOOLS)} (tools: {', '.join(TOOLS)})")
    return tool
