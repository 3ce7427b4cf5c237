"""What generating costs: reading a prompt once, then one token after another with a cache of what was read.

Generating n tokens is one call on the prompt, which gives the first of them, and n - 1 calls on one token each. Each
call is counted with a cache of its own length. What a call costs is a straight line in the position wherever attention
looks at all that came before; so the calls at a few positions tell the others, and every stretch that this is claimed
of is verified at its ends and inside.
"""

from __future__ import annotations

import csv
import inspect
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from opcount.errors import ForwardError, InputError
from opcount.inputs import Input, call_arguments
from opcount.ops import FIGURES, Convention, OpCount
from opcount.profiler import profile
from opcount.report.escape import visible
from opcount.report.forms import table
from opcount.report.sheet import Column, Note, Row, Sheet

_CACHES = ("past_key_values", "cache_params", "cache", "state", "mems")
"""What models call what they keep: the argument need not be called as the output is."""
_SHOWN = ("multiplications", "additions", "macs")


@dataclass(frozen=True)
class Generation:
    """What generating costs, in scalar operations.

    Attributes:
        model: its name.
        batch: sequences that are generated at once; figures are for all of them.
        prompt: tokens that are read.
        tokens: tokens that are generated.
        prefill: the call on the prompt, which gives the first token.
        first, last: the calls on one token, the first and the last of them; the same for two tokens.
        decode: all calls on one token together.
        counted_at: the lengths of the cache that a call was counted at; those between lie on straight lines.
        convention: what was included.
        complete: whether nothing was left uncounted.
    """

    model: str
    batch: int
    prompt: int
    tokens: int
    prefill: OpCount
    first: OpCount
    last: OpCount
    decode: OpCount
    counted_at: tuple[int, ...]
    convention: Convention
    complete: bool

    @property
    def total(self) -> OpCount:
        """The prompt and every token."""
        return self.prefill + self.decode

    def rows(self) -> Iterator[tuple[str, OpCount]]:
        """The rows of the table, but for the total."""
        yield f"prefill ({self.prompt:,} tokens)", self.prefill
        if self.tokens > 1:
            yield f"token 2 (after {self.prompt:,})", self.first
            yield f"token {self.tokens:,} (after {self.prompt + self.tokens - 2:,})", self.last
            yield f"tokens 2 to {self.tokens:,}", self.decode

    def sheet(self) -> Sheet:
        """The table, for any of the reports' forms."""
        columns = [Column("layer", "step", "step", "path")]
        columns += [Column(name, name if name != "macs" else "MACs", name, "count") for name in _SHOWN]
        heading = f"{visible(self.model)} · batch {self.batch:,} · {self.tokens:,} tokens generated with a cache"
        said = "every operation counted" if self.complete else "something was not counted"
        between = f"a token counted after {', '.join(f'{at:,}' for at in self.counted_at)}; straight lines between"
        return Sheet(
            headings=((heading,),),
            columns=tuple(columns),
            rows=tuple(Row((name, *_cells(ops))) for name, ops in self.rows()),
            total=Row(("prefill and all tokens", *_cells(self.total))),
            whole=0,
            drops=(),
            notes=(
                Note((said, *self.convention.notes()), self.complete),
                *([Note((between,))] if self.counted_at else []),
            ),
        )

    def to_json(self) -> str:
        """Its figures as JSON."""
        costs = {name: getattr(self, name).to_dict() for name in ("prefill", "first", "last", "decode", "total")}
        said = {"model": self.model, "batch": self.batch, "prompt": self.prompt, "tokens": self.tokens}
        return json.dumps({**said, **costs, "counted_at": self.counted_at, "complete": self.complete}, indent=1)

    def to_csv(self) -> str:
        """Its rows as comma-separated values."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["step", *FIGURES])
        for name, ops in (*self.rows(), ("total", self.total)):
            writer.writerow([name, *(getattr(ops, figure) for figure in FIGURES)])
        return out.getvalue().rstrip("\n")

    def render(self, form: str, width: int | None) -> str:
        """The table in one of the forms.

        Raises:
            InputError: it cannot be written in that form.
        """
        if form == "json":
            return self.to_json()
        return self.to_csv() if form == "csv" else table(self.sheet(), form, width, "--generate")

    def __str__(self) -> str:
        return self.render("plain", None)


def generate(
    model: Any, inputs: Mapping[str, Any], tokens: int, *, convention: Convention = Convention(), name: str = ""
) -> Generation:
    """What generating some tokens costs.

    Args:
        model: a model of transformers that generates.
        inputs: its keyword arguments, as :func:`opcount.profile` takes them, with the prompt as ``input_ids``.
        tokens: how many to generate, 1 or more.
        convention: what to include.
        name: what the model is called in the table.

    Raises:
        InputError: the model takes no ``input_ids``, or keeps no cache.
        OpCountError: as for :func:`opcount.profile`.
    """
    step = _Steps(model, inputs, convention)
    prefill = profile(model, step.prompted(step.prompt), convention=convention)
    lengths = (step.prompt, step.prompt + tokens - 2)
    known: dict[int, OpCount] = {}
    decode = _summed(step.at, *lengths, known) if tokens > 1 else OpCount()
    first, last = (known.get(length, OpCount()) for length in lengths)
    return Generation(
        name or type(model).__name__, step.batch, step.prompt, tokens, prefill.ops, first, last, decode,
        tuple(sorted(known)), convention, prefill.complete and step.complete,
    )  # fmt: skip


def _summed(cost: Callable[[int], OpCount], first: int, last: int, known: dict[int, OpCount]) -> OpCount:
    """The sum of costs from one length to another: of straight lines, where the ends and two places inside agree."""

    def at(length: int) -> OpCount:
        if length not in known:
            known[length] = cost(length)
        return known[length]

    steps = last - first
    if steps < 2:
        return at(first) if steps == 0 else at(first) + at(last)
    inner = {first + steps // 2, first + steps // 3}
    if all(_on_line(at(first), at(last), at(length), length - first, steps) for length in inner):
        both = at(first) + at(last)
        return OpCount(**{name: getattr(both, name) * (steps + 1) // 2 for name in FIGURES})
    middle = first + steps // 2
    return _summed(cost, first, middle, known) + _summed(cost, middle + 1, last, known)


def _on_line(first: OpCount, last: OpCount, between: OpCount, at: int, steps: int) -> bool:
    return between.times(steps) == first.times(steps - at) + last.times(at)


class _Steps:
    """The calls of a model that generates."""

    def __init__(self, model: Any, inputs: Mapping[str, Any], convention: Convention) -> None:
        self.model, self.convention, self.complete = model, convention, True
        self.inputs = {key: value for key, value in inputs.items() if not key.startswith("decoder_")}
        self.takes = inspect.signature(model.forward).parameters
        prompt = inputs.get("input_ids")
        size = getattr(prompt, "size", None) if isinstance(prompt, Input) else getattr(prompt, "shape", None)
        if size is None or "decoder_input_ids" in self.takes or len(size) != 2:
            raise InputError(
                f"generating is counted of a model that reads input_ids and writes the tokens behind them, "
                f"not of {type(model).__name__}"
            )
        self.batch, self.prompt = int(size[0]), int(size[1])

    def prompted(self, length: int) -> dict[str, Any]:
        """The arguments of the call on a prompt; a generating model works out what it says for the last token alone."""
        given = {**self.inputs, "input_ids": Input((self.batch, length), "int64")}
        given.update(
            {name: value for name, value in (("logits_to_keep", 1), ("use_cache", True)) if name in self.takes}
        )
        return given

    def at(self, length: int) -> OpCount:
        """The call on one token, after so many."""
        name, cache = self.cache(length)
        given = {**self.prompted(1), name: cache}
        found = profile(self.model, given, convention=self.convention)
        self.complete = self.complete and found.complete
        return found.ops

    def cache(self, length: int) -> tuple[str, Any]:
        """What the model keeps of so many tokens, as shapes on the meta device.

        Raises:
            InputError: it keeps nothing.
        """
        args, keywords = call_arguments(self.model, self.prompted(length), None, shapes_only=True)
        try:
            with torch.no_grad():
                output = self.model(*args, **keywords)
        except Exception as error:  # whatever the model's own code raises
            problem = str(error).partition("\n")[0]
            raise ForwardError(
                f"{type(self.model).__name__} cannot read a prompt by shapes alone: {problem}"
            ) from error
        outputs = (getattr(output, name, None) for name in _CACHES)
        kept = next((cache for cache in outputs if cache is not None), None)
        name = next((name for name in _CACHES if name in self.takes), None)
        if kept is not None and name is not None:
            return name, kept
        raise InputError(f"{type(self.model).__name__} keeps no cache of what it has read, so it does not generate")


def _cells(ops: OpCount) -> Iterator[int]:
    for name in _SHOWN:
        yield getattr(ops, name)
