"""Quantities with a unit: bytes in powers of 1024 (KiB, MiB), everything else in powers of 1000 (nJ, GB/s).

Four significant digits, worked out in whole numbers and fractions, so that nothing is rounded twice.
"""

from __future__ import annotations

from fractions import Fraction

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SMALL = ("", "m", "µ", "n", "p", "f", "a")
_LARGE = ("", "k", "M", "G", "T", "P", "E", "Z")


def size(count: int) -> str:
    """A number of bytes.

    >>> size(0), size(1023), size(1536), size(10_436_608), size(1_048_575)
    ('0 B', '1,023 B', '1.500 KiB', '9.953 MiB', '1.000 MiB')
    """
    if count < 1024:
        return f"{count:,} B"
    for power, unit in enumerate(_BINARY[1:], start=1):
        if unit == _BINARY[-1] or _digits(Fraction(count, 1024**power), limit=1024) is not None:
            return f"{_digits(Fraction(count, 1024**power), limit=1024) or f'{count // 1024**power:,}'} {unit}"
    raise AssertionError("the last unit takes everything")


def si(value: Fraction | float, unit: str) -> str:
    """A quantity in a unit with a prefix of its size.

    >>> si(Fraction(37, 10**13), "J"), si(1.94e-6, "J"), si(2039e9, "B/s"), si(0, "J"), si(12.5, "op/B")
    ('3.700 pJ', '1.940 µJ', '2.039 TB/s', '0 J', '12.50 op/B')
    """
    exact = Fraction(value)
    if not exact:
        return f"0 {unit}"
    power = 0
    while exact < 1 and power > 1 - len(_SMALL):
        exact, power = exact * 1000, power - 1
    while (exact >= 1000 or _digits(exact) is None) and power < len(_LARGE) - 1:
        exact, power = exact / 1000, power + 1
    prefix = _LARGE[power] if power >= 0 else _SMALL[-power]
    return f"{_digits(exact) or f'{float(exact):.3e}'} {prefix}{unit}"


def _digits(value: Fraction, limit: int = 1000) -> str | None:
    """Four significant digits of a number below a limit; None if it rounds to the limit or more."""
    for decimals in (3, 2, 1, 0):
        scaled = (2 * value.numerator * 10**decimals + value.denominator) // (2 * value.denominator)
        if scaled < 10_000:
            if scaled >= limit * 10**decimals:
                return None
            whole, rest = divmod(scaled, 10**decimals)
            return f"{whole}.{rest:0{decimals}}" if decimals else f"{whole}"
    return None
