"""Numbers as people read them: digits in groups, SI units, shares, bars. Whole numbers stay whole throughout."""

from __future__ import annotations

from collections.abc import Sequence

EXACT_BELOW = 100_000
"""In SI form a number below this is still written out."""

_UNITS = ("k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")
_EIGHTHS = "▏▎▍▌▋▊▉"


def exact(count: int) -> str:
    """Every digit, in groups of three.

    >>> exact(4_089_184_256)
    '4,089,184,256'
    """
    return f"{count:,}"


def si(count: int) -> str:
    """Four significant digits and a unit; a number below 100,000 in full.

    >>> si(99_999), si(804_776), si(999_960), si(4_089_184_256)
    ('99,999', '804.8 k', '1.000 M', '4.089 G')
    """
    if abs(count) < EXACT_BELOW:
        return exact(count)
    sign, count = ("-", -count) if count < 0 else ("", count)
    for power, unit in enumerate(_UNITS, start=1):
        for decimals in (3, 2, 1):  # 1.234, 12.34, 123.4: whole-number arithmetic, so that nothing is rounded twice
            scaled = _rounded(count * 10**decimals, 1000**power)
            if scaled < 10_000:
                return f"{sign}{scaled // 10**decimals}.{scaled % 10**decimals:0{decimals}} {unit}"
    exponent = len(str(count)) - 1
    digits = _rounded(count, 10 ** (exponent - 3))
    if digits == 10_000:
        digits, exponent = 1_000, exponent + 1
    return f"{sign}{digits // 1000}.{digits % 1000:03}e{exponent}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent, to a tenth; an empty whole has no shares.

    >>> share(1, 3), share(1, 10**6), share(0, 5), share(5, 5), share(0, 0)
    ('33.3 %', '<0.1 %', '0.0 %', '100 %', '–')
    """
    if whole <= 0:
        return "–"
    tenths = _rounded(1000 * part, whole)
    if part == whole:
        return "100 %"
    if part and not tenths:
        return "<0.1 %"
    if part != whole and tenths == 1000:
        return ">99.9 %"
    return f"{tenths // 10}.{tenths % 10} %"


def apportioned(parts: Sequence[int], seats: int, whole: int | None = None) -> list[int]:
    """Whole numbers in proportion to the parts that sum to ``seats``, by largest remainders; the larger part first.

    Args:
        parts: what is shared out in proportion, none below zero.
        seats: what the answer sums to.
        whole: what the parts sum to, or more if something stands beside them; their sum if not given.

    >>> apportioned([1, 1, 1], 100), apportioned([0, 0], 100), apportioned([1, 1], 1000, whole=4)
    ([34, 33, 33], [0, 0], [250, 250])
    """
    whole = sum(parts) if whole is None else whole
    if whole <= 0:
        return [0] * len(parts)
    floors = [part * seats // whole for part in parts]
    missing = sum(parts) * seats // whole - sum(floors)
    order = sorted(range(len(parts)), key=lambda index: (-(parts[index] * seats % whole), -parts[index], index))
    for index in order[:missing]:
        floors[index] += 1
    return floors


def tenths(part: int, shown: int, whole: int) -> str:
    """A share that was rounded together with its neighbours, in tenths of a percent, as text.

    >>> tenths(1, 333, 3), tenths(1, 0, 10**6), tenths(0, 0, 5), tenths(5, 1000, 5), tenths(0, 0, 0)
    ('33.3 %', '<0.1 %', '0.0 %', '100 %', '–')
    """
    if whole <= 0:
        return "–"
    if part == whole:
        return "100 %"
    return "<0.1 %" if part and not shown else f"{shown // 10}.{shown % 10} %"


def change(percent: float | None) -> str:
    """A difference in percent with its sign; None is one that has no percentage.

    >>> change(-88.2416), change(3.0), change(0.0), change(None), change(123456.0)
    ('-88.24 %', '+3.00 %', '0.00 %', '–', '+123,456 %')
    """
    if percent is None:
        return "–"
    if abs(percent) < 0.005:
        return "0.00 %"
    return f"{percent:+,.0f} %" if abs(percent) >= 10_000 else f"{percent:+.2f} %"


def duration(seconds: float) -> str:
    """A time to two or three digits.

    >>> duration(0.0004), duration(0.0123), duration(3.456), duration(75)
    ('0.4 ms', '12 ms', '3.5 s', '75 s')
    """
    milliseconds = seconds * 1000
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def bar(part: int, whole: int, width: int, ascii_only: bool = False) -> str:
    """A bar of at most ``width`` cells; whatever is more than nothing shows.

    >>> bar(5, 16, 4), bar(1, 10**9, 4), bar(4, 4, 4), bar(0, 4, 4)
    ('█▎', '▏', '████', '')
    >>> bar(5, 16, 4, ascii_only=True), bar(1, 10**9, 4, ascii_only=True)
    ('#', '.')
    """
    if whole <= 0 or part <= 0:
        return ""
    if ascii_only:
        return "#" * _rounded(part * width, whole) or "."
    eighths = max(_rounded(8 * part * width, whole), 1)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def times(calls: int) -> str:
    """How often something was called, where that is worth saying.

    >>> times(1), times(12)
    ('', ' ×12')
    """
    return f" ×{calls:,}" if calls > 1 else ""


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "call"), plural(1_176, "division")
    ('1 call', '1,176 divisions')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
