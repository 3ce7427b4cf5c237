"""What counting a running training step costs an operator: opcount.tally beside PyTorch's FlopCounterMode.

    python -m benchmarks.tally [--write]

The step is that of a small GPT on the CPU, so small that its operators take about as long as calling them. Every
repetition runs all three in turn, and the fastest of each is kept, in time of the processor: what else runs on the
machine does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.environment import environment, print_or_write
from opcount import tally

REPEATS = 8


class Block(nn.Module):
    """A transformer's block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attention and feed forward, each added."""
        heads = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    """A small GPT."""

    def __init__(self, width: int = 32, depth: int = 4, words: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.head = nn.Linear(width, words)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.head(self.blocks(self.words(tokens)))
        return logits


class Counting(TorchDispatchMode):
    """How many operators reach a dispatch mode."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operators += 1
        return func(*args, **(kwargs or {}))


def training_step() -> Callable[[], None]:
    """Forward, backward and AdamW of a small GPT."""
    torch.manual_seed(0)
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.randint(64, (2, 16))

    def step() -> None:
        loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure() -> str:
    """The table."""
    torch.set_num_threads(1)
    step = training_step()
    step()
    with Counting() as counting:
        step()
    counted = tally()
    ways: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "nothing": nullcontext,
        "opcount.tally": lambda: counted,
        "FlopCounterMode": lambda: FlopCounterMode(display=False),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(REPEATS):
        for name, way in ways.items():
            with way():
                begin = time.thread_time()
                step()
                best[name] = min(best[name], time.thread_time() - begin)
    rows = ["| counting with | a step, ms | more for an operator, µs |", "|---|---:|---:|"]
    for name, seconds in best.items():
        more = (seconds - best["nothing"]) / counting.operators * 1e6
        rows.append(f"| {name} | {seconds * 1e3:.2f} | {more:.1f} |")
    return "\n".join(
        [
            "# What counting a running step costs",
            "",
            f"`python -m benchmarks.tally --write`. {environment()}",
            "",
            f"One training step of a small GPT: {counting.operators:,} operators; processor time, "
            f"the fastest of {REPEATS}.",
            "",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    print_or_write(__doc__, "tally.md", measure)
