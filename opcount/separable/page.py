"""The derivation as a page of Markdown, with the check on a model's layers in exact fractions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from opcount.algebra.writing import grouped
from opcount.result import Profile
from opcount.separable.derivation import WORDS, Line, derive, written
from opcount.separable.prediction import PredictedLayer, predict


def derivation_page() -> str:
    """The five steps, each with its words and its equations."""
    lines = []
    for number, step in enumerate(derive().steps, start=1):
        lines += [f"**{number}. {step.title}.** {step.words}", "", *_equations(step.lines), ""]
    return "\n".join(lines).rstrip()


def general_page() -> str:
    """The exact costs beyond the plain function, and what their symbols mean."""
    general = {each.key: each for each in derive().general}
    rows = [f"| {each.title} | {_math(each.expression)} |" for key, each in general.items() if key]
    meanings = [
        f"| {_math(symbol)} | {WORDS[str(symbol)]} |"
        for symbol in _used([each.expression for each in general.values()])
    ]
    return "\n".join(
        ["| what | exactly |", "| --- | --- |", *rows, "", "| symbol | meaning |", "| --- | --- |", *meanings]
    )


def check_page(profile: Profile) -> str:
    """Each convolution of a model: x times the sum of two fractions is what the separable one multiplies.

    >>> from torch import nn
    >>> from opcount import Convention, profile
    >>> layer = profile(nn.Conv2d(6, 16, 5), (1, 6, 14, 14), convention=Convention(bias=False))
    >>> print(check_page(layer).splitlines()[-1])
    | Conv2d | 240,000 · (1/16 + 1/25) = 240,000 · 41/400 | 24,600 |
    """
    lines = ["| layer | x · (1/C_out + 1/K²) | y |", "| --- | --- | ---: |"]
    lines += [
        f"| {each.path or profile.model} | {checked(each)} | {each.after.macs:,} |" for each in predict(profile).layers
    ]
    return "\n".join(lines)


def checked(layer: PredictedLayer) -> str:
    """The multiplications of a layer, in exact fractions."""
    x = grouped(layer.before.macs)
    return f"{x} · ({' + '.join(map(_fraction, layer.parts))}) = {x} · {_fraction(layer.ratio)}"


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}" if value.denominator != 1 else str(value.numerator)


def _equations(lines: tuple[Line, ...]) -> Iterator[str]:
    for line in lines:
        yield f"$$ {written(line.left, latex=True)} = {written(line.right, latex=True)} $$"


def _math(expression: Any) -> str:
    return f"${written(expression, latex=True)}$"


def _used(expressions: list[Any]) -> list[Any]:
    found = set().union(*(each.free_symbols for each in expressions))
    return sorted(found, key=lambda symbol: list(WORDS).index(str(symbol)))
