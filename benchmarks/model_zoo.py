"""What the benchmarks of timm and transformers share: one model counted twice, and a result that grows line by line.

Each model is counted by opcount and, on the meta device or else on fake tensors, by PyTorch's FlopCounterMode. The
result is a file of JSON lines, one a model: a run that was stopped goes on where it was, a complete one does nothing.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.environment import environment, write
from opcount.errors import OpCountError
from opcount.experts import experts
from opcount.inputs import call_arguments
from opcount.ops import FIGURES
from opcount.targets import counted, load

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Entry:
    """One model of a zoo.

    Attributes:
        peer: the MACs that FlopCounterMode finds, half its FLOPs; None where it finds none.
        active: parameters active for a token, of a mixture of experts.
        problem: why there are no figures, of opcount's or of FlopCounterMode's.
    """

    name: str
    family: str
    input: str = ""
    figures: dict[str, int] | None = None
    params: int = 0
    active: int | None = None
    execution: str = ""
    reason: str = ""
    uncounted: tuple[str, ...] = ()
    peer: int | None = None
    by_operator: dict[str, int] | None = None
    problem: str = ""
    seconds: float = 0.0

    @property
    def macs(self) -> int | None:
        return None if self.figures is None else self.figures["macs"]

    @property
    def agrees(self) -> bool | None:
        """Whether both find the same MACs; None where one finds none."""
        return None if self.peer is None or self.figures is None else self.peer == self.macs


def count(
    name: str,
    family: str,
    word: str,
    arguments: dict[str, Any] | None = None,
    peer_arguments: dict[str, Any] | None = None,
) -> Entry:
    """One model counted by both.

    Args:
        arguments: what it is built with.
        peer_arguments: what a mixture of experts is built with beside, for FlopCounterMode.
    """
    begin = time.perf_counter()
    try:
        target = load(word, arguments)
        with torch.no_grad():
            found = counted(target)
    except OpCountError as error:
        return Entry(name, family, problem=f"opcount: {_line(error)}")
    mixed = experts(target.model, found)
    if peer_arguments and mixed is not None:
        target = load(word, {**(arguments or {}), **peer_arguments})
    peer, problem = _peer(target)
    return Entry(
        name=name,
        family=family,
        input=" + ".join("x".join(map(str, shape)) for shape in found.inputs),
        figures={figure: getattr(found.ops, figure) for figure in FIGURES},
        params=found.params,
        active=mixed.active if mixed is not None else None,
        execution=found.execution,
        reason=_line(found.execution_reason),
        uncounted=tuple(sorted({item.name for item in found.uncounted})),
        peer=peer,
        by_operator=None if peer == found.macs else _macs_by_operator(found),
        problem=problem,
        seconds=round(time.perf_counter() - begin, 1),
    )


def _peer(target: Any) -> tuple[int | None, str]:
    """FlopCounterMode's MACs, or why it has none. Its tracking of modules needs parameters without gradients."""
    try:
        return _flops(target.model.requires_grad_(False), target.inputs, shapes_only=True) // 2, ""
    except Exception as error:  # whatever a model raises where nothing has values
        problem = f"{type(error).__name__}: {_line(error)}"
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), sdpa_kernel(SDPBackend.MATH):
            return _flops(target.real().requires_grad_(False), target.inputs, shapes_only=False) // 2, ""
    except Exception as error:
        return None, f"FlopCounterMode: {problem} on meta; {type(error).__name__}: {_line(error)} on fake tensors"


def _flops(model: Any, inputs: Any, *, shapes_only: bool) -> int:
    args, keywords = call_arguments(model, inputs, None, shapes_only=shapes_only)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(*args, **keywords)
    flops: int = counter.get_total_flops()
    return flops


def _macs_by_operator(found: Any) -> dict[str, int]:
    return {name: ops.macs for name, ops in found.by_operator.items() if ops.macs}


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]


class Growing:
    """A result that grows by a line for each model.

    A line that was cut off by a crash is left out, and its model counted again.
    """

    def __init__(self, file: str) -> None:
        self.path = RESULTS / file

    def read(self) -> dict[str, Entry]:
        """What is there, by name."""
        found: dict[str, Entry] = {}
        for line in self.path.read_text("utf-8").splitlines() if self.path.exists() else ():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            entry = Entry(**{**said, "uncounted": tuple(said["uncounted"])})
            found[entry.name] = entry
        return found

    def grow(self, jobs: Iterable[tuple[str, Callable[[], Entry]]]) -> Iterator[Entry]:
        """Do what is not done yet."""
        done = self.read()
        cut_off = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" if cut_off else "")
            for name, job in jobs:
                if name in done:
                    continue
                entry = job()
                file.write(json.dumps(asdict(entry)) + "\n")
                file.flush()
                yield entry


def table(title: str, entries: list[Entry], explained: Callable[[Entry], str]) -> str:
    """The whole result as a page.

    Args:
        explained: why the two differ, or why there is no figure.
    """
    both = [entry for entry in entries if entry.agrees is not None]
    without = [entry for entry in entries if entry.figures is None]
    counted_whole = sum(not entry.uncounted for entry in entries if entry.figures is not None)
    lines = [
        f"# {title} ({environment()})",
        "",
        f"{len(entries)} models of {len({entry.family for entry in entries})} families. MACs as FlopCounterMode has "
        f"them (half its FLOPs, on the meta device): {sum(bool(entry.agrees) for entry in both)} of {len(both)}. "
        f"Counted without anything uncounted: {counted_whole} of {len(entries) - len(without)}.",
        "",
        "| family | model | input | MACs | FlopCounterMode | additions | parameters | by | uncounted | remark |",
        "|---|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for entry in sorted(entries, key=lambda entry: (entry.family, entry.name)):
        figures = entry.figures or {}
        peer = "" if entry.peer is None else ("the same" if entry.agrees else f"{entry.peer:,}")
        shown = [f"{figures[name]:,}" if figures else "" for name in ("macs", "additions")]
        remark = (explained(entry) if entry.agrees is not True else "").replace("|", "\\|")
        if entry.active is not None:
            remark = f"{entry.active:,} parameters active for a token{'; ' if remark else ''}{remark}"
        lines.append(
            f"| {entry.family} | {entry.name} | {entry.input} | {shown[0]} | {peer} | {shown[1]} | {entry.params:,} | "
            f"{entry.execution} | {', '.join(entry.uncounted) or 'none'} | {remark} |"
        )
    return "\n".join([*lines, ""])


def quiet() -> None:
    """One thread, and no warnings of other people's models."""
    import logging

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


__all__ = ["Entry", "Growing", "count", "quiet", "table", "write"]


def told(result: Growing, title: str, explained: Callable[[Entry], str], *, write_table: bool) -> int:
    """Say what does not agree of all that was counted so far, which makes the exit code 1; if asked make the table."""
    entries = list(result.read().values())
    if write_table:
        write(f"{result.path.stem}.md", table(title, entries, explained))
    odd = [entry.name for entry in entries if entry.agrees is False or entry.uncounted or entry.figures is None]
    print(f"{len(entries)} models, {len(odd)} to explain: {', '.join(odd) or 'none'}")
    return 1 if odd else 0
