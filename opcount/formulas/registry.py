"""How a formula gets its name, and how a term becomes a count."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from opcount.errors import RuleError
from opcount.ops import Convention, Number, OpCount, Term


@dataclass(frozen=True, slots=True)
class Formula:
    """A closed form: a function of a layer's numbers that returns an :class:`OpCount`."""

    name: str
    function: Callable[..., OpCount]
    contraction: bool
    options: frozenset[str]


FORMULAS: dict[str, Formula] = {}

_OPTIONS = frozenset(Convention().to_dict())


def formula(*, contraction: bool = False) -> Callable[[Callable[..., OpCount]], Callable[..., OpCount]]:
    """Register a function as the formula of its own name.

    Args:
        contraction: its arithmetic counts in every element type. Anything else costs nothing on integers and bools.

    A keyword of the function that carries the name of a :class:`Convention` option receives that option.

    Raises:
        RuleError: the name is taken.
    """

    def register(function: Callable[..., OpCount]) -> Callable[..., OpCount]:
        name = function.__name__
        if name in FORMULAS:
            first = FORMULAS[name].function
            raise RuleError(
                f"formula {name!r} is already defined in {first.__module__} "
                f"(line {first.__code__.co_firstlineno}); give yours another name"
            )
        options = _OPTIONS.intersection(inspect.signature(function).parameters)
        FORMULAS[name] = Formula(name, function, contraction, options)
        return function

    return register


def find(name: str) -> Formula:
    """The formula of that name.

    Raises:
        RuleError: there is none; the nearest names are given.
    """
    try:
        return FORMULAS[name]
    except KeyError:
        near = difflib.get_close_matches(name, FORMULAS, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see opcount.formulas.FORMULAS for what there is"
        raise RuleError(f"there is no formula named {name!r}; {hint}") from None


def evaluate(term: Term, convention: Convention = Convention()) -> OpCount:
    """What a term costs under a convention.

    >>> evaluate(Term("dots", count=6, length=25))
    OpCount(multiplications=150, additions=144, macs=150)
    >>> evaluate(Term("dots", count=6, length=25, dtype="complex64"))
    OpCount(multiplications=600, additions=588, macs=600)
    >>> evaluate(Term("bias", count=6, role="bias"), Convention(bias=False))
    OpCount()

    Raises:
        RuleError: no such formula, or its numbers are not the ones the formula takes.
    """
    closed_form = find(term.formula)
    if term.role == "bias" and not convention.bias:
        return OpCount()
    if not closed_form.contraction and term.dtype.startswith(("int", "uint", "bool")):
        return OpCount()
    options = {name: getattr(convention, name) for name in closed_form.options}
    numbers: dict[str, Number] = term.numbers
    try:
        real = closed_form.function(**numbers, **options)
    except TypeError as error:
        raise RuleError(f"the formula cannot be used as {term}: {error}") from error
    return complex_arithmetic(real) if term.dtype.startswith("complex") else real


def complex_arithmetic(real: OpCount) -> OpCount:
    """The same formula on complex numbers, in textbook real arithmetic.

    A product is 4 multiplications and 2 additions, a sum 2 additions, a quotient 6 multiplications, 3 additions and
    2 divisions.

    >>> complex_arithmetic(OpCount(multiplications=1))
    OpCount(multiplications=4, additions=2)
    """
    products, sums, quotients = real.multiplications, real.additions, real.divisions
    return OpCount(
        multiplications=4 * products + 6 * quotients,
        additions=2 * products + 2 * sums + 3 * quotients,
        divisions=2 * quotients,
        comparisons=real.comparisons,
        transcendentals=real.transcendentals,
        macs=4 * real.macs,
    )
