"""Numbers as a reader wants them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction


def signed(text: str) -> str:
    """A number's text with its sign set as one: a minus is as wide as a plus, and nothing has none.

    >>> signed(f"{-2.08:+.2f}"), signed(f"{-0.001:+.2f} points"), signed("-0.0624")
    ('−2.08', '0.00 points', '−0.0624')
    """
    return re.sub(r"^[-+](?=0(\.0+)?(?![\d.]))", "", text).replace("-", "−")


def percent(part: float, digits: int = 2) -> str:
    """A part of 1 in percent.

    >>> percent(0.9887)
    '98.87 %'
    """
    return signed(f"{100 * part:.{digits}f} %")


def points(difference: float, digits: int = 2) -> str:
    """How far two parts of 1 are apart, without sign, in words.

    >>> points(-0.0208)
    '2.08 percentage points'
    """
    return f"{abs(100 * difference):.{digits}f} percentage points"


def change(before: float, after: float) -> str:
    """How much more or less, in percent.

    >>> change(804_776, 94_624)
    '−88.24 %'
    """
    return signed(f"{100 * (after - before) / before:+.2f} %") if before else "–"


def less(before: int, after: int) -> str:
    """How much less or more, in words.

    >>> less(117_600, 24_304), less(10, 12), less(5, 5)
    ('79.33 % fewer', '20.00 % more', 'as many')
    """
    if before == after:
        return "as many"
    part = abs(before - after) / before if before else 1.0
    return f"{100 * part:.2f} % {'fewer' if after < before else 'more'}"


def fraction(value: Fraction) -> str:
    """A fraction, or the whole number it is.

    >>> fraction(Fraction(31, 150)), fraction(Fraction(24_304))
    ('31/150', '24,304')
    """
    whole = f"{value.numerator:,}"
    return whole if value.denominator == 1 else f"{whole}/{value.denominator:,}"


def count(number: float, one: str, many: str = "") -> str:
    """A number and what it is of.

    >>> count(1, "seed"), count(15, "epoch"), count(2, "loss", "losses")
    ('1 seed', '15 epochs', '2 losses')
    """
    text = f"{number:,}" if isinstance(number, int) else f"{number:.1f}"
    return f"{text} {one if number == 1 else many or one + 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words in a row.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def duration(seconds: float) -> str:
    """How long something took.

    >>> duration(8.36), duration(125.2), duration(119.7), duration(7_290)
    ('8.4 s', '2 min 5 s', '2 min 0 s', '2 h 2 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def si(number: float) -> str:
    """A large number short.

    >>> si(94_624), si(804_776), si(3_219_104), si(950), si(2_072_586_541_830)
    ('94.6 k', '805 k', '3.22 M', '950', '2.07 T')
    """
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def width_of(width: float) -> str:
    """A width multiplier.

    >>> width_of(1.0), width_of(0.25)
    ('1', '0.25')
    """
    return f"{width:g}"
