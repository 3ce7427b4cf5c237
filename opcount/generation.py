"""What generating costs: reading a prompt once, then one token after another with a cache of what was read.

Generating n tokens is one call on the prompt, which gives the first of them, and n - 1 calls on one token each. With an
encoder, the first call is the encoder's on the prompt and the decoder's on the token that says to begin. Each call is
counted with a cache of its own length. What a call costs is a straight line in the position wherever attention looks at
all that came before; so the calls at a few positions tell the others, and every stretch that this is claimed of is
verified at its ends and inside.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opcount.decoding import calls_of
from opcount.errors import ForwardError, InputError
from opcount.ops import FIGURES, Convention, OpCount
from opcount.report.escape import visible
from opcount.report.forms import table
from opcount.report.sheet import Column, Note, Row, Sheet

_SHOWN = ("multiplications", "additions", "macs")


@dataclass(frozen=True)
class Generation:
    """What generating costs, in scalar operations.

    Attributes:
        model: its name.
        batch: sequences that are generated at once; figures are for all of them.
        prompt: tokens that are in the cache after the first call: those read, or with an encoder the one that says to
            begin.
        tokens: tokens that are generated.
        prefill: the call on the prompt, which gives the first token.
        first, last: the calls on one token, the first and the last of them; the same for two tokens.
        decode: all calls on one token together.
        counted_at: the lengths of the cache that a call was counted at; those between lie on straight lines.
        convention: what was included.
        complete: whether nothing was left uncounted.
        read: what is read, in words.
        encoder: what of the call on the prompt is an encoder's; None where there is none.
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
    read: str
    encoder: OpCount | None = None

    @property
    def total(self) -> OpCount:
        """The prompt and every token."""
        return self.prefill + self.decode

    def rows(self) -> Iterator[tuple[str, OpCount]]:
        """The rows of the table, but for the total."""
        if self.encoder is None:
            yield f"prefill ({self.read})", self.prefill
        else:
            yield f"encoder ({self.read})", self.encoder
            yield "token 1 (cross-attention cached)", _without(self.prefill, self.encoder)
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
            total=Row((f"{'prefill' if self.encoder is None else 'encoder'} and all tokens", *_cells(self.total))),
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
        if self.encoder is not None:
            costs["encoder"] = self.encoder.to_dict()
        said = {"model": self.model, "batch": self.batch, "read": self.read, "prompt": self.prompt}
        said["tokens"] = self.tokens
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
        inputs: its keyword arguments, as :func:`opcount.profile` takes them: the prompt as ``input_ids``, what is read
            beside it, or what its encoder reads.
        tokens: how many to generate, 1 or more.
        convention: what to include.
        name: what the model is called in the table.

    Raises:
        InputError: the model takes no ``input_ids`` and has no encoder, keeps no cache, or looks at values.
        OpCountError: as for :func:`opcount.profile`.
    """
    calls = calls_of(model, inputs, convention)
    lengths = (calls.prompt, calls.prompt + tokens - 2)
    known: dict[int, OpCount] = {}
    try:
        encoder, prefill = calls.encoded(), calls.first()
        decode = _summed(calls.at, *lengths, known) if tokens > 1 else OpCount()
    except ForwardError as error:
        raise InputError(
            f"what a cache holds is worked out by shapes alone, which does not do for {type(model).__name__}: {error}"
        ) from error
    first, last = (known.get(length, OpCount()) for length in lengths)
    whole = prefill + (encoder or OpCount())
    return Generation(
        name or type(model).__name__, calls.batch, calls.prompt, tokens, whole, first, last, decode,
        tuple(sorted(known)), convention, calls.complete, calls.read, encoder,
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


def _without(whole: OpCount, part: OpCount) -> OpCount:
    return OpCount(**{name: getattr(whole, name) - getattr(part, name) for name in FIGURES})


def _cells(ops: OpCount) -> Iterator[int]:
    for name in _SHOWN:
        yield getattr(ops, name)
