"""A term as a closed form: the formula that counted it, run on a symbol for each of its numbers.

Some formulas branch on their numbers: the exponent of a power, windows that reach over an edge. A closed form is that
of the branch this term takes: numbers that decide it stay numbers, and a minimum or maximum is the side that holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from opcount.algebra.library import sympy
from opcount.algebra.notation import axis_symbols, rank_of, symbol_of, words_for
from opcount.formulas import evaluate
from opcount.ops import FIGURES, Convention, Number, OpCount, Term

_GIVEN_FIRST = (
    (),
    ("exponent", "norm", "normalized"),
    ("kernel", "size", "stride", "padding", "dilation"),
    ("output",),
    ("input",),
)
"""Numbers that formulas branch on, in the order in which they are put in until the formula says what the term costs."""


@dataclass(frozen=True)
class ClosedForm:
    """What a term costs, in symbols.

    Attributes:
        term: the term.
        figures: an expression for each figure that is not zero.
        values: the number each symbol stands for, in the order in which factors are written.
        words: what each symbol means.
        given: numbers that stay numbers, by the names of the formula's arguments.
    """

    term: Term
    figures: dict[str, Any]
    values: dict[Any, int]
    words: dict[Any, str] = field(default_factory=dict)
    given: dict[str, Number] = field(default_factory=dict)

    def evaluated(self) -> OpCount:
        """The figures with this term's numbers put in.

        >>> closed_form(Term("dots", count=6, length=25)).evaluated()
        OpCount(multiplications=150, additions=144, macs=150)
        """
        numbers = {symbol: sympy().Integer(value) for symbol, value in self.values.items()}
        return OpCount(**{figure: int(each.xreplace(numbers)) for figure, each in self.figures.items()})


@lru_cache(maxsize=4096)
def closed_form(term: Term, convention: Convention = Convention()) -> ClosedForm:
    """The closed form of a term, exact at its own numbers.

    >>> closed_form(Term("dots", count=6, length=25)).figures["additions"]
    n*(L - 1)

    Raises:
        MissingExtraError: sympy is not installed.
        RuleError: no such formula, or its numbers are not the ones the formula takes.
    """
    counted = evaluate(term, convention)
    given: frozenset[str] = frozenset()
    for step in _GIVEN_FIRST:
        given |= set(step)
        form = _attempt(term, convention, given)
        if form is not None and form.evaluated() == counted:
            return form
    for name in ("output", "input"):  # each alone, with whatever else the formula leaves open
        form = _attempt(term, convention, frozenset((name,)))
        if form is not None and form.evaluated() == counted:
            return form
    figures = {figure: sympy().Integer(getattr(counted, figure)) for figure in FIGURES if getattr(counted, figure)}
    return ClosedForm(term, figures, {}, {}, term.numbers)


def _attempt(term: Term, convention: Convention, given: frozenset[str]) -> ClosedForm | None:
    """The closed form with some numbers put in; None if the formula cannot do without further ones."""
    values: dict[Any, int] = {}
    words: dict[Any, str] = {}
    numbers: dict[str, Number] = {}
    for name, number in sorted(term.numbers.items(), key=lambda item: rank_of(item[0])):
        numbers[name] = number if name in given or name in FIGURES else _symbolic(name, number, values, words)
    try:
        cost = evaluate(Term(term.formula, role=term.role, dtype=term.dtype, phase=term.phase, **numbers), convention)
        figures = {figure: resolved(getattr(cost, figure), values) for figure in FIGURES}
    except Exception:  # a formula that compares or indexes with its numbers fails on symbols in ways of its own
        return None
    shown = {figure: each for figure, each in figures.items() if each != 0}
    used = set().union(*(each.free_symbols for each in shown.values())) if shown else set()
    return ClosedForm(
        term,
        shown,
        {symbol: value for symbol, value in values.items() if symbol in used},
        {symbol: word for symbol, word in words.items() if symbol in used},
        {name: number for name, number in term.numbers.items() if name in given or isinstance(number, float)},
    )


def _symbolic(name: str, number: Number, values: dict[Any, int], words: dict[Any, str]) -> Number:
    """A number, or each number of a tuple, as a symbol that is remembered with its value.

    Zero stays zero: symbols stand for what is positive.
    """
    if isinstance(number, tuple):
        symbols = axis_symbols(name, len(number))
        return tuple(_one(symbol, each, name, values, words) for symbol, each in zip(symbols, number))
    return _one(symbol_of(name), number, name, values, words)


def _one(symbol: str, number: Number, name: str, values: dict[Any, int], words: dict[Any, str]) -> Number:
    if not _is_count(number):
        return number
    made = sympy().Symbol(symbol, integer=True, positive=True)
    values[made], words[made] = number, words_for(name)
    return made


def _is_count(number: Number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def resolved(expression: Any, values: Mapping[Any, int]) -> Any:
    """An expression with every minimum and maximum decided as it falls for these values.

    Where both sides are equal the simpler one is taken.

    >>> from sympy import Min, symbols
    >>> h, o = symbols("h o")
    >>> resolved(Min(h // 2 + 1, o), {h: 6, o: 4})
    o
    """
    package = sympy()
    numbers = {symbol: package.Integer(value) for symbol, value in values.items()}

    def side(*sides: Any, largest: bool) -> Any:
        at_values = [each.xreplace(numbers) for each in sides]
        wanted = max(at_values) if largest else min(at_values)
        return min((each for each, value in zip(sides, at_values) if value == wanted), key=_complexity)

    return (
        package.sympify(expression)
        .replace(package.Max, lambda *sides: side(*sides, largest=True))
        .replace(package.Min, lambda *sides: side(*sides, largest=False))
    )


def _complexity(expression: Any) -> tuple[int, str]:
    return (0 if expression.is_number else sum(1 for _ in _nodes(expression)), str(expression))


def _nodes(expression: Any) -> Iterator[Any]:
    yield from sympy().preorder_traversal(expression)
