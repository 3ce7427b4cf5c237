"""The counters that are judged: how each is asked, through its documented interface, for raw numbers.

Each adapter returns the MACs the tool reports. Counters whose unit is FLOPs at two a MAC are halved. No counter is
imported before it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.gauntlet.case import Built

FIGURES = ("macs", "multiplications", "additions", "divisions", "comparisons", "transcendentals")


@dataclass(frozen=True)
class Reading:
    """What a tool said of one case: its MACs, other fair ways to read them, and further figures if it has any."""

    macs: float
    also: tuple[float, ...] = ()
    figures: Mapping[str, int] | None = None

    def judge(self, truth: Mapping[str, int]) -> str:
        """Empty if right, otherwise what is wrong: all figures are judged where a tool gives them."""
        if self.figures is None:
            return "" if truth["macs"] in (self.macs, *self.also) else f"{self.macs:,.10g}"
        wrong = [f"{name} {self.figures[name]:,}" for name in FIGURES if self.figures[name] != truth[name]]
        return ", ".join(wrong)


@dataclass(frozen=True)
class Tool:
    """A counter: the name of its column, its module and distribution, and how to ask it."""

    name: str
    module: str
    distribution: str
    ask: Callable[[Built], Reading]
    note: str
    pip: str = ""

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install {self.pip or self.distribution}"

    def version(self) -> str | None:
        """The installed version, or None where the tool is not installed."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            if self.distribution == "opcount" and importlib.util.find_spec(self.module) is not None:
                return "checkout"
            return None

    def load(self) -> None:
        """Import it, so that what a case costs is not the import."""
        importlib.import_module(self.module)


def tool(module: str, name: str) -> Any:
    """Fetch a function of a counter that need not be installed."""
    return getattr(importlib.import_module(module), name)


def positional(built: Built) -> tuple[Any, ...]:
    """The arguments in forward's order, for tools that pass no keywords on."""
    if not built.kwargs:
        return built.args
    bound = inspect.signature(built.model.forward).bind(*built.args, **built.kwargs)
    if bound.kwargs:
        raise TypeError(f"takes no keyword arguments: {', '.join(bound.kwargs)}")
    return bound.args


def ask_opcount(built: Built) -> Reading:
    """All six figures."""
    from opcount import profile

    inputs: Any = built.args
    result = profile(built.model, inputs, kwargs=built.kwargs) if inputs else profile(built.model, built.kwargs)
    return Reading(result.macs, figures={name: int(getattr(result, name)) for name in FIGURES})


def ask_fvcore(built: Built) -> Reading:
    """Its FLOPs are MACs."""
    analyse = tool("fvcore.nn", "FlopCountAnalysis")

    analysis = analyse(built.model, positional(built))
    return Reading(analysis.total())


def ask_torch(built: Built) -> Reading:
    """PyTorch's own counter, two FLOPs a MAC."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        built.model(*built.args, **built.kwargs)
    return Reading(counter.get_total_flops() / 2)


def ask_thop(built: Built) -> Reading:
    """Its first number is MACs."""
    profile = tool("thop", "profile")

    return Reading(float(profile(built.model, inputs=positional(built), verbose=False)[0]))


def ask_ptflops(backend: str) -> Callable[[Built], Reading]:
    """One of its two backends. A single tensor goes in as such, anything else as keywords, as it documents."""

    def ask(built: Built) -> Reading:
        get_model_complexity_info = tool("ptflops", "get_model_complexity_info")
        from torch import Tensor

        batch: Any
        if len(built.args) == 1 and isinstance(built.args[0], Tensor) and not built.kwargs:
            batch = built.args[0]
        else:
            batch = inspect.signature(built.model.forward).bind(*built.args, **built.kwargs).arguments
        macs, _ = get_model_complexity_info(
            built.model,
            (1,),
            input_constructor=lambda _: batch,
            as_strings=False,
            print_per_layer_stat=False,
            backend=backend,
        )
        if macs is None:
            raise RuntimeError("returned None after an exception in forward")
        per_sample = backend == "pytorch" and isinstance(batch, Tensor)
        return Reading(macs, (macs * len(batch),) if per_sample else ())

    return ask


def ask_torchinfo(built: Built) -> Reading:
    """Its mult-adds, in the mode the model is in."""
    summary = tool("torchinfo", "summary")

    args: dict[str, Any] = (
        {"input_data": list(built.args), **built.kwargs} if built.args else {"input_data": built.kwargs}
    )
    mode = "train" if built.model.training else "eval"
    return Reading(summary(built.model, mode=mode, depth=100, verbose=0, **args).total_mult_adds)


def ask_calflops(built: Built) -> Reading:
    """Its MACs, the second of its three numbers."""
    calculate_flops = tool("calflops", "calculate_flops")

    _, macs, _ = calculate_flops(
        built.model,
        args=list(built.args),
        kwargs=dict(built.kwargs),
        output_as_string=False,
        print_results=False,
    )
    return Reading(macs)


TOOLS: tuple[Tool, ...] = (
    Tool("opcount", "opcount", "opcount", ask_opcount, "all six figures", pip="-e ."),
    Tool("fvcore", "fvcore.nn", "fvcore", ask_fvcore, "its FLOPs, which are MACs"),
    Tool("torch", "torch.utils.flop_counter", "torch", ask_torch, "`FlopCounterMode`, its FLOPs halved"),
    Tool("thop", "thop", "ultralytics-thop", ask_thop, "the MACs of `profile`"),
    Tool(
        "ptflops",
        "ptflops",
        "ptflops",
        ask_ptflops("pytorch"),
        "backend `pytorch`; a figure per sample is right too",
    ),
    Tool("ptflops-aten", "ptflops", "ptflops", ask_ptflops("aten"), "backend `aten`"),
    Tool("torchinfo", "torchinfo", "torchinfo", ask_torchinfo, "`total_mult_adds`"),
    Tool("calflops", "calflops", "calflops", ask_calflops, "its MACs", pip="calflops transformers"),
)


def python_version() -> str:
    """The interpreter's version."""
    return platform.python_version()
