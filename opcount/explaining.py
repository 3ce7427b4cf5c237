"""Why a figure is what it is: a layer's formulas in symbols, with its numbers put in, down to the six figures."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opcount.algebra.forms import ClosedForm, closed_form
from opcount.algebra.notation import symbol_of
from opcount.algebra.writing import grouped, wrapped, write
from opcount.formulas import find
from opcount.ops import FIGURES, OpCount
from opcount.parsing import visible
from opcount.result import Entry, LayerRecord, Profile

_INDENT = 4


@dataclass(frozen=True)
class Step:
    """One term of a layer: what it is, and its closed form.

    Attributes:
        entry: the term as the profile holds it: how often it came, and what that cost.
        form: its closed form, for one call.
    """

    entry: Entry
    form: ClosedForm

    @property
    def title(self) -> str:
        """The formula, what the term is for, and how often it came."""
        term = self.entry.term
        parts = [term.formula.replace("_", " ")]
        if term.role and term.role != term.formula:
            parts.append(term.role)
        if self.entry.source != "layer":
            parts.append(f"from {visible(self.entry.name)}")
        if self.entry.times > 1:
            parts.append(f"{self.entry.times:,} times")
        if term.dtype.startswith("complex"):
            parts.append(f"in real arithmetic on {term.dtype}")
        return " · ".join(parts)


@dataclass(frozen=True)
class Explanation:
    """Why a layer costs what it costs.

    ``print`` shows it; :meth:`text` and :meth:`latex` write it. Every expression is the formula that counted, run on
    symbols.

    Attributes:
        profile: the profile it is taken from.
        record: the layer.
        steps: its own terms, each with its closed form.
        children: the layers directly inside it, whose cost comes on top of its own.

    >>> from torch import nn
    >>> from opcount import profile
    >>> print(profile(nn.Sequential(nn.Linear(10, 5, bias=False)), (2, 10)).explain("0"))
      0 · Linear · 2x10 → 2x5
    <BLANKLINE>
      dots
        n dot products of L: length products and length - 1 sums each.
        n = 10 in number · L = 10 values in each
    <BLANKLINE>
        multiplications = n·L
                        = 10·10
                        = 100
        additions       = n·(L − 1)
                        = 10·(10 − 1)
                        = 90
        macs            = multiplications
    """

    profile: Profile
    record: LayerRecord

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The layer's own terms, in the order they came."""
        convention = self.profile.convention
        return tuple(Step(entry, closed_form(entry.term, convention)) for entry in self.record.entries)

    @cached_property
    def children(self) -> tuple[LayerRecord, ...]:
        """The layers directly inside it that cost something."""
        prefix = f"{self.record.path}." if self.record.path else ""
        inside = {each.path: each for each in self.profile.layers if each.path.startswith(prefix) and each.path}
        inside.pop(self.record.path, None)
        return tuple(each for path, each in inside.items() if each.subtree and not _within(path, inside, prefix))

    @property
    def ops(self) -> OpCount:
        """The six figures all of this arrives at: those of the layer with everything in it."""
        return self.record.subtree

    def text(self, width: int | None = None) -> str:
        """The explanation for a terminal of that many columns; without a width no line is broken."""
        return "\n".join(self._lines(width))

    def latex(self) -> str:
        """The explanation as LaTeX: an ``align*`` of amsmath for each term, and one for the sum."""
        return "\n\n".join(self._latex())

    def __str__(self) -> str:
        return self.text()

    def _lines(self, width: int | None) -> Iterator[str]:
        yield from _indented([self._heading()], width, 2, glue=True)
        for step in self.steps:
            if step.form.figures:
                yield from self._step_lines(step, width)
        free = [step.title for step in self.steps if not step.form.figures]
        if free:
            yield from _indented(["", f"costs nothing: {', '.join(dict.fromkeys(free))}"], width, 2)
        if self._needs_sum:
            yield from self._sum_lines(width)
        if not self.ops:
            yield from ("", "  no arithmetic" if self.record.calls else "  never called: no arithmetic")
        for item in self.record.uncounted:
            yield from _indented(["", f"not counted: {item.kind} {visible(item.name)}, {item.calls:,} times"], width, 2)

    def _heading(self) -> str:
        record = self.record
        parts = [visible(record.path or self.profile.model), visible(record.type)]
        if record.input_shapes or record.output_shapes:
            parts.append(f"{_sizes(record.input_shapes)} → {_sizes(record.output_shapes)}")
        if record.calls > 1:
            parts.append(f"called {record.calls:,} times")
        return " · ".join(parts)

    def _step_lines(self, step: Step, width: int | None) -> Iterator[str]:
        form = step.form
        yield from _indented(["", step.title], width, 2)
        yield from _indented(_statement(form), width, _INDENT)
        yield from _indented(_legend(form), width, _INDENT, glue=True)
        yield ""
        for figure, expressions in _figures(form, latex=False):
            for index, expression in enumerate(expressions):
                name = figure if index == 0 else ""
                yield from _equation(name, expression, width)

    @property
    def _needs_sum(self) -> bool:
        steps = [step for step in self.steps if step.form.figures]
        return len(steps) > 1 or bool(self.children) or any(step.entry.times > 1 for step in steps)

    def _sum_lines(self, width: int | None) -> Iterator[str]:
        yield ""
        yield "  altogether, with everything in it" if self.children else "  altogether"
        for figure in FIGURES:
            parts = self._parts(figure)
            if parts:
                yield from _equation(figure, " + ".join(parts), width)
                if len(parts) > 1 or "·" in parts[0] or "(" in parts[0]:
                    yield from _equation("", grouped(getattr(self.ops, figure)), width)

    def _parts(self, figure: str, latex: bool = False) -> list[str]:
        """What a figure is the sum of: the layer's own terms, then the layers inside it."""
        times = r" \cdot " if latex else "·"
        parts = []
        for step in self.steps:
            once = getattr(step.form.evaluated(), figure)
            if once:
                often = f"{grouped(step.entry.times, latex)}{times}" if step.entry.times > 1 else ""
                parts.append(f"{often}{grouped(once, latex)}")
        for child in self.children:
            cost = getattr(child.subtree, figure)
            if cost:
                name = visible(child.path.removeprefix(f"{self.record.path}."))
                shown = rf"_{{\text{{{_escaped(name)}}}}}" if latex else f" ({name})"
                parts.append(f"{grouped(cost, latex)}{shown}")
        return parts

    def _latex(self) -> Iterator[str]:
        yield f"% {self._heading()}"
        for step in self.steps:
            rows = []
            for figure, expressions in _figures(step.form, latex=True):
                rows += [
                    rf"{_named(figure) if index == 0 else ''} &= {expression}"
                    for index, expression in enumerate(expressions)
                ]
            if rows:
                yield "\n".join([f"% {step.title}", *(f"% {line}" for line in _legend(step.form)), _align(rows)])
        if self._needs_sum:
            rows = []
            for figure in FIGURES:
                parts = self._parts(figure, latex=True)
                if parts:
                    rows.append(
                        rf"{_named(figure)} &= {' + '.join(parts)} = {grouped(getattr(self.ops, figure), True)}"
                    )
            yield "\n".join(["% altogether", _align(rows)])


def explain(profile: Profile, path: str) -> Explanation:
    """Why the layer at ``path`` costs what it costs; ``""`` is the model itself.

    Raises:
        UnknownLayerError: there is no such layer.
        MissingExtraError: sympy is not installed.
    """
    from opcount.algebra.library import sympy

    sympy()
    return Explanation(profile, profile[path])


def _figures(form: ClosedForm, latex: bool) -> Iterator[tuple[str, list[str]]]:
    """Each figure with the lines that lead to it: in symbols, in numbers, the number; or the figure it equals."""
    seen: dict[Any, str] = {}
    cost = form.evaluated()
    for figure, expression in form.figures.items():
        if expression in seen:
            yield figure, [rf"\text{{{seen[expression]}}}" if latex else seen[expression]]
            continue
        seen[expression] = figure
        order = list(form.values)
        lines = [write(expression, None, order, latex), write(expression, form.values, order, latex)]
        yield figure, list(dict.fromkeys([*lines, grouped(getattr(cost, figure), latex)]))


def _statement(form: ClosedForm) -> list[str]:
    """What the formula says of itself in its first line, where it says it in words."""
    first, _, _ = (find(form.term.formula).function.__doc__ or "").strip().partition("\n")
    words = re.sub(r"``(\w+)``", lambda name: symbol_of(name[1]), first)
    return [words] if words and "OpCount(" not in words else []


def _legend(form: ClosedForm) -> list[str]:
    """What the symbols stand for: equal numbers of several axes together."""
    groups: dict[tuple[str, int], list[str]] = {}
    for symbol, value in form.values.items():
        groups.setdefault((form.words[symbol], value), []).append(str(symbol))
    parts = [f"{' = '.join(symbols)} = {value:,} {words}" for (words, value), symbols in groups.items()]
    if form.given:
        parts += [f"{name} {_number(number)}" for name, number in form.given.items()]
    return [" · ".join(parts)] if parts else []


def _number(number: Any) -> str:
    if isinstance(number, tuple):
        return "x".join(map(str, number))
    return f"{number:g}" if isinstance(number, float) else str(number)


def _equation(name: str, right: str, width: int | None) -> Iterator[str]:
    """``name = right`` with the equals signs below one another, folded behind them."""
    lead = " " * _INDENT + name.ljust(max(map(len, FIGURES)))
    for index, line in enumerate(wrapped(right, None if width is None else max(width - len(lead) - 3, 20), 2)):
        yield f"{lead if index == 0 else ' ' * len(lead)} {'=' if index == 0 else ' '} {line}"


def _indented(lines: list[str], width: int | None, indent: int, glue: bool = False) -> Iterator[str]:
    """Lines of words, folded between words, or with ``glue`` only at the points between parts."""
    for text in lines:
        glued = " · ".join(part.replace(" ", "\0") for part in text.split(" · ")) if glue else text
        room = max(width - indent, 20) if width is not None else len(text) + 1
        for line in textwrap.wrap(glued, room, break_on_hyphens=False, break_long_words=False) or [""]:
            yield f"{' ' * indent}{line}".replace("\0", " ").rstrip()


def _align(rows: list[str]) -> str:
    body = " \\\\\n".join(f"  {row}" for row in rows)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _named(figure: str) -> str:
    return rf"\text{{{figure}}}"


def _escaped(name: str) -> str:
    r"""A name as LaTeX's text.

    >>> print(_escaped("a_b%"))
    a\_b\%
    """
    words = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    return "".join(words.get(sign, f"\\{sign}" if sign in "_%&#${}" else sign) for sign in name)


def _sizes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes) or "no tensor"


def _within(path: str, paths: dict[str, LayerRecord], prefix: str) -> bool:
    """Whether a path lies inside another of them."""
    parts = path.removeprefix(prefix).split(".")
    return any(prefix + ".".join(parts[:end]) in paths for end in range(1, len(parts)))
