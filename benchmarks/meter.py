"""What counting costs a training that goes on: opcount.meter beside PyTorch's FlopCounterMode.

    python -m benchmarks.meter [--write]

The steps are those of a small GPT on the CPU, as it is and compiled. Each way of counting trains its own copy from the
same seed, one step of each in turn, in time of the processor; what is told is the median over steps of the difference
to the step beside it that nothing counts. What the meter takes is far below the noise of that, so it is measured by
itself as well: calls of its hook, and of observe(), by the thousand.
"""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import opcount
from benchmarks.environment import environment, print_or_write
from benchmarks.tally import Gpt

STEPS, WARM = 20, 3
WIDTH, DEPTH, WORDS, BATCH, LENGTH = 128, 2, 256, 16, 64
WAYS = ("nothing", "opcount.meter, its hook", "opcount.meter, observe()", "FlopCounterMode")


@dataclass
class Training:
    """One copy of the model in training, and how it is counted."""

    way: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    meter: opcount.Meter | None
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @staticmethod
    def of(way: str, compiled: bool) -> Training:
        """A new one; all begin alike."""
        torch.manual_seed(0)
        model: nn.Module = Gpt(WIDTH, DEPTH, WORDS)
        optimizer = torch.optim.AdamW(model.parameters())
        if compiled:
            model = torch.compile(model)  # type: ignore[assignment]
        meter = opcount.meter(model, optimizer=optimizer, hook="hook" in way) if "meter" in way else None
        return Training(way, model, optimizer, meter)

    def counting(self) -> AbstractContextManager[object]:
        """What a step runs within."""
        return FlopCounterMode(display=False) if self.way == "FlopCounterMode" else nullcontext()

    def step(self, tokens: torch.Tensor) -> None:
        """One step, timed."""
        with self.counting():
            begin = time.thread_time()
            if self.meter is not None and "observe" in self.way:
                self.meter.observe(tokens)
            loss = F.cross_entropy(self.model(tokens).flatten(0, 1), tokens.flatten())
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.meter is not None:
                self.meter.step()
            self.seconds.append(time.thread_time() - begin)
        self.losses.append(loss.item())


def train(compiled: bool) -> list[Training]:
    """Every way, step by step beside each other."""
    trainings = [Training.of(way, compiled) for way in WAYS]
    generator = torch.Generator().manual_seed(0)
    for _ in range(WARM + STEPS):
        tokens = torch.randint(WORDS, (BATCH, LENGTH), generator=generator)
        for training in trainings:
            training.step(tokens)
    for training in trainings:
        del training.seconds[:WARM]
    return trainings


def a_call(training: Training) -> float:
    """Seconds that the meter takes of a step by itself, with ``step()``; the fastest of many."""
    meter: Any = training.meter
    tokens = torch.zeros(BATCH, LENGTH, dtype=torch.long)

    def by_hook() -> None:
        for hook in hooks:
            hook(training.model, (tokens,), {})
        meter.step()

    def by_observing() -> None:
        meter.observe(tokens)
        meter.step()

    hooks = list(training.model._forward_pre_hooks.values())
    call: Callable[[], None] = by_hook if hooks else by_observing
    return min(timeit.repeat(call, number=500, repeat=20)) / 500


def rows(trainings: list[Training]) -> list[str]:
    """The table of one model."""
    plain = trainings[0]
    whole = statistics.median(plain.seconds)
    table = ["| counting with | a step, ms | more than beside it, ms | by itself, µs | of a step | losses |",
             "|---|---:|---:|---:|---:|---|"]  # fmt: skip
    for training in trainings:
        step = statistics.median(training.seconds)
        more = statistics.median(mine - other for mine, other in zip(training.seconds, plain.seconds, strict=True))
        alone = a_call(training) if training.meter is not None else None
        share = more / whole if alone is None else alone / whole
        same = "the same" if training.losses == plain.losses else "OTHERS"
        itself = "" if alone is None else f"{alone * 1e6:.1f}"
        cells = (step * 1e3, more * 1e3)
        row = f"| {training.way} | {cells[0]:.2f} | {cells[1]:.2f} | {itself} | {share:.3%} | {same} |"
        table.append(row if training is not plain else f"| {training.way} | {cells[0]:.2f} | | | | |")
    return table


def measure() -> str:
    """The text of the results."""
    torch.set_num_threads(1)
    parts = ["# What counting costs a training", "", f"`python -m benchmarks.meter --write`. {environment()}", ""]
    parts += [
        f"Steps of a GPT of width {WIDTH} and depth {DEPTH} on {BATCH}x{LENGTH} tokens, forward, backward and AdamW: "
        f"processor time, medians over {STEPS} steps after {WARM}, beside a step that nothing counts.",
    ]
    for title, compiled in (("As it is", False), ("With torch.compile", True)):
        parts += ["", f"## {title}", ""]
        try:
            trainings = train(compiled)
        except Exception as error:
            if not compiled:
                raise
            parts.append(f"No compiler works here: {type(error).__name__}.")
            continue
        parts += rows(trainings)
        meter: Any = trainings[1].meter
        counted = f"{meter.counted} signature counted"
        parts += ["", f"{WARM + STEPS} steps, {meter.last.macs:,} MACs each: {counted}, the rest looked up."]
    return "\n".join([*parts, ""])


if __name__ == "__main__":
    print_or_write(__doc__, "meter.md", measure)
