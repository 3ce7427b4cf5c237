"""Expressions as people write them: a line of unicode, or LaTeX.

Either with the names of the symbols or with numbers in their place, in the same order, nothing worked out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opcount.algebra.library import sympy

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUM, _PRODUCT, _ATOM = range(3)


def write(
    expression: Any, numbers: Mapping[Any, int] | None = None, order: Sequence[Any] = (), latex: bool = False
) -> str:
    """An expression in one line.

    Args:
        expression: a sympy expression.
        numbers: what to write in the place of symbols; symbols that are not named are written by their names.
        order: the order in which factors are to come; others follow by name.
        latex: whether it is for LaTeX's mathematics mode.

    >>> from sympy import symbols
    >>> n, length, K_h = symbols("n L K_h")
    >>> write(n * (length - 1) * K_h**2 / 4, order=[n]), write(n * (length - 1), {n: 6, length: 1000})
    ('n·K_h²·(L − 1)/4', '6·(1,000 − 1)')
    >>> write(n * K_h, order=[n], latex=True)
    'n \\\\cdot K_{h}'
    """
    return _Writer(numbers or {}, order, latex).text(sympy().sympify(expression), _SUM)


def grouped(number: int, latex: bool = False) -> str:
    """A whole number in groups of three.

    >>> grouped(117_600), grouped(117_600, latex=True)
    ('117,600', '117{,}600')
    """
    return f"{number:,}".replace(",", "{,}") if latex else f"{number:,}"


def wrapped(text: str, width: int | None, indent: int) -> list[str]:
    """A sum or product broken before a sign or a multiplication point, the lines after the first indented.

    >>> wrapped("3·4 + 5·6", 7, 2)
    ['3·4 + 5', '  ·6']
    """
    if width is None or len(text) <= width:
        return [text]
    lines, line = [], ""
    for piece in re.split(r"(?<=\S)(?= [+−] )|(?<=\S)(?=·)", text):
        if line.strip() and len(line) + len(piece) > width:
            lines.append(line)
            line = " " * indent + piece.lstrip()
        else:
            line += piece
    return [*lines, line]


class _Writer:
    """One way of writing: which numbers are put in, in which order, and in which dialect."""

    def __init__(self, numbers: Mapping[Any, int], order: Sequence[Any], latex: bool) -> None:
        self.package = sympy()
        self.numbers, self.latex = numbers, latex
        self.order = {symbol: place for place, symbol in enumerate(order)}
        self.times = r" \cdot " if latex else "·"

    def text(self, expression: Any, within: int) -> str:
        """The expression, in parentheses where what stands around it binds more tightly."""
        written, binding = self._written(expression)
        return self.bracketed(written) if binding < within else written

    def bracketed(self, text: str) -> str:
        return rf"\left({text}\right)" if self.latex else f"({text})"

    def _written(self, expression: Any) -> tuple[str, int]:
        package = self.package
        if expression.is_Symbol:
            if expression in self.numbers:
                return grouped(self.numbers[expression], self.latex), _ATOM
            return self._symbol(str(expression)), _ATOM
        if expression.is_Integer:
            return grouped(int(expression), self.latex), _ATOM if expression >= 0 else _SUM
        if expression.is_Add:
            return self._sum(expression), _SUM
        if expression.is_Mul or expression.is_Rational:
            return self._product(expression)
        if expression.is_Pow:
            if expression.exp.is_negative:
                return self._product(expression)
            return self._power(expression), _ATOM
        return self._function(expression, package), _ATOM

    def _symbol(self, name: str) -> str:
        if not self.latex:
            return name
        head, _, mark = name.partition("_")
        head, mark = (part if len(part) < 2 else rf"\mathrm{{{part}}}" for part in (head, mark.replace("_", " ")))
        return f"{head}_{{{mark}}}" if mark else head

    def _sum(self, expression: Any) -> str:
        terms = sorted(expression.args, key=self._term_key)
        terms = [term for term in terms if not _negative(term)] + [term for term in terms if _negative(term)]
        written = self.text(terms[0], _PRODUCT if _negative(terms[0]) else _SUM)
        for term in terms[1:]:
            minus = "-" if self.latex else "−"
            sign = minus if _negative(term) else "+"
            written += f" {sign} {self.text(-term if _negative(term) else term, _PRODUCT)}"
        return written

    def _product(self, expression: Any) -> tuple[str, int]:
        if _negative(expression):
            return f"{'-' if self.latex else '−'}{self.text(-expression, _PRODUCT)}", _SUM
        above, below = self._above(expression), self._below(expression)
        top = self.times.join(self.text(factor, _PRODUCT) for factor in above) or "1"
        if not below:
            return top, _PRODUCT
        if self.latex:
            return rf"\frac{{{top}}}{{{self.times.join(self.text(factor, _PRODUCT) for factor in below)}}}", _PRODUCT
        bottom = self.times.join(self.text(factor, _ATOM) for factor in below)
        return f"{top}/{self.bracketed(bottom) if len(below) > 1 else bottom}", _PRODUCT

    def _above(self, expression: Any) -> list[Any]:
        factors = self.package.Mul.make_args(expression)
        found = [factor for factor in factors if not factor.is_Rational and not _divides(factor)]
        whole = self.package.Integer(_coefficient(factors).p)
        return ([whole] if whole != 1 else []) + sorted(found, key=self._factor_key)

    def _below(self, expression: Any) -> list[Any]:
        factors = self.package.Mul.make_args(expression)
        found = [1 / factor for factor in factors if _divides(factor)]
        whole = self.package.Integer(_coefficient(factors).q)
        return ([whole] if whole != 1 else []) + sorted(found, key=self._factor_key)

    def _power(self, expression: Any) -> str:
        base = self.text(expression.base, _ATOM)
        if self.latex:
            return f"{base}^{{{self.text(expression.exp, _SUM)}}}"
        if expression.exp.is_Integer:
            return f"{base}{str(expression.exp).translate(_RAISED)}"
        return f"{base}^{self.text(expression.exp, _ATOM)}"

    def _function(self, expression: Any, package: Any) -> str:
        inner = [self.text(argument, _SUM) for argument in expression.args]
        shapes: dict[Any, tuple[str, str]] = {package.floor: ("⌊", "⌋"), package.ceiling: ("⌈", "⌉")}
        named = {"⌊": r"\left\lfloor ", "⌋": r"\right\rfloor", "⌈": r"\left\lceil ", "⌉": r"\right\rceil"}
        if expression.func in shapes:
            left, right = (named[mark] if self.latex else mark for mark in shapes[expression.func])
            return f"{left}{inner[0]}{right}"
        name = {package.Max: "max", package.Min: "min"}.get(expression.func, expression.func.__name__)
        return f"{chr(92) if self.latex else ''}{name}{self.bracketed(', '.join(inner))}"

    def _factor_key(self, factor: Any) -> tuple[Any, ...]:
        places = [self.order.get(symbol, len(self.order)) for symbol in factor.free_symbols]
        return (factor.is_Add, min(places, default=-1), str(factor))

    def _term_key(self, term: Any) -> tuple[Any, ...]:
        """Higher powers first, then by the order of the symbols; plain numbers last."""
        degrees = [_degree(factor) for factor in self.package.Mul.make_args(term)]
        places = sorted(self.order.get(symbol, len(self.order)) for symbol in term.free_symbols)
        return (-sum(degrees), places, str(term))


def _degree(factor: Any) -> int:
    if factor.is_number:
        return 0
    return int(factor.exp) if factor.is_Pow and factor.exp.is_Integer else 1


def _divides(factor: Any) -> bool:
    return bool(factor.is_Pow and factor.exp.is_negative)


def _coefficient(factors: Iterable[Any]) -> Any:
    """The product of the plain numbers among factors."""
    product = sympy().Integer(1)
    for factor in factors:
        if factor.is_Rational:
            product *= factor
    return product


def _negative(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)
