"""Laws in whole steps of sizes: polynomials by their coefficients, and beside them what is not polynomial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from opcount.algebra.library import sympy

Exponents = tuple[int, ...]


@dataclass(frozen=True)
class Law:
    """An exact function of whole numbers.

    Attributes:
        coefficients: of a polynomial, by the exponents of its variables.
        others: sympy expressions to be added that are not polynomials in the variables.
    """

    coefficients: Mapping[Exponents, Fraction] = field(default_factory=dict)
    others: tuple[Any, ...] = ()

    def __add__(self, other: Law) -> Law:
        return total([self, other])

    def times(self, factor: Law) -> Law:
        """The product with a polynomial; with a constant only, where the law is none itself.

        Raises:
            ValueError: neither is the case.
        """
        if factor.constant() == 1:
            return self
        product: dict[Exponents, Fraction] = {}
        for left, a in self.coefficients.items():
            for right, b in factor.coefficients.items():
                exponents = tuple(map(sum, zip(left, right)))
                product[exponents] = product.get(exponents, Fraction(0)) + a * b
        if not self.others:
            return Law(product)
        often = factor.constant()
        if often is None:
            raise ValueError("a law that is no polynomial came a varying number of times")
        return Law(product, tuple(each * often for each in self.others))

    def constant(self) -> int | None:
        """The value of a law that does not vary; None if it does."""
        if self.others or any(any(exponents) for exponents in self.coefficients):
            return None
        return int(sum(self.coefficients.values()))

    def value(self, at: Sequence[int], variables: Sequence[Any]) -> Fraction:
        """The law with whole numbers for its variables."""
        known = sum(
            (
                value * math.prod(x**power for x, power in zip(at, exponents))
                for exponents, value in self.coefficients.items()
            ),
            Fraction(0),
        )
        numbers = {variable: sympy().Integer(x) for variable, x in zip(variables, at)}
        for each in self.others:
            known += int(each.xreplace(numbers))
        return known

    def expression(self, variables: Sequence[Any]) -> Any:
        """The law as a sympy expression of these."""
        package = sympy()
        terms = [
            package.Rational(value.numerator, value.denominator)
            * package.Mul(*(variable**power for variable, power in zip(variables, exponents)))
            for exponents, value in self.coefficients.items()
        ]
        return package.Add(*terms, *self.others)


def total(laws: Sequence[Law]) -> Law:
    """The sum of laws."""
    coefficients: dict[Exponents, Fraction] = {}
    for law in laws:
        for exponents, value in law.coefficients.items():
            coefficients[exponents] = coefficients.get(exponents, Fraction(0)) + value
    others = tuple(each for law in laws for each in law.others)
    return Law({exponents: value for exponents, value in coefficients.items() if value}, others)


def law_of(expression: Any, variables: Sequence[Any]) -> Law:
    """A sympy expression as a law.

    >>> from sympy import symbols
    >>> h, w = symbols("h w")
    >>> law_of(2 * h * w + 3, [h, w]).coefficients == {(1, 1): 2, (0, 0): 3}
    True
    """
    package = sympy()
    expression = package.sympify(expression)
    if expression.is_number:
        return Law({(0,) * len(variables): _fraction(expression)} if expression != 0 else {})
    try:
        polynomial = package.Poly(expression, *variables)
        terms = {tuple(exponents): _fraction(value) for exponents, value in polynomial.terms()}
        return Law({exponents: value for exponents, value in terms.items() if value})
    except (package.PolynomialError, TypeError, ValueError):
        return Law({}, (expression,))


def _fraction(number: Any) -> Fraction:
    rational = sympy().Rational(number)
    return Fraction(int(rational.p), int(rational.q))
