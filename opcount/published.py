"""Published figures kept as data: tables of energy and devices, of the package or in a user's own file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

from opcount.errors import InputError
from opcount.parsing import listed


def packaged(name: str) -> Mapping[str, Any]:
    """The data file of that name that comes with the package."""
    return read_numbers((resources.files("opcount") / "data" / name).read_text(encoding="utf-8"), name)


def read_file(path: str, what: str) -> Mapping[str, Any]:
    """A user's own file.

    Args:
        path: where it is.
        what: what it should be, for the message.

    Raises:
        InputError: it cannot be read, or is not JSON with an object in it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"cannot read {path!r}: {reason}; give a file of JSON with {what}") from error
    return read_numbers(text, path)


def read_numbers(text: str, name: str) -> Mapping[str, Any]:
    """An object of JSON, whose numbers stay as exact as they are written.

    Raises:
        InputError: it is something else.
    """
    try:
        data = json.loads(text, parse_float=_exact, parse_constant=_no_number, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON that can be read: {error}") from None
    if not isinstance(data, Mapping):
        raise InputError(f"{name} holds a {type(data).__name__}, not an object of JSON")
    return data


def _exact(word: str) -> Fraction:
    if not 1e-60 < abs(float(word)) < 1e60 and float(word):
        raise ValueError(f"{word} is beyond all measure")
    return Fraction(word)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ValueError(f"{listed(twins)} stands there twice")
    return dict(pairs)


def amount(value: Any, where: str, *, zero: bool) -> Fraction:
    """A number of a table, exactly.

    Args:
        value: what stands there.
        where: how the place is called in the message.
        zero: whether nothing is allowed.

    Raises:
        InputError: it is no finite number, or is below what is allowed.

    >>> amount(0.9, "additions of float32", zero=True)
    Fraction(9, 10)
    """
    least = "0 or more" if zero else "more than 0"
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise InputError(f"{where} is {value!r}, which is no number: write a number, {least}")
    try:
        exact = Fraction(str(value)) if isinstance(value, float) else Fraction(value)
    except (ValueError, OverflowError):
        raise InputError(f"{where} is {value!r}: write a number, {least}") from None
    if exact < 0 or (exact == 0 and not zero):
        raise InputError(f"{where} is {value if isinstance(value, int) else float(value)}: it has to be {least}")
    return exact
