"""The words of a command line as values. No torch: a mistyped word is answered before anything heavy is imported."""

from __future__ import annotations

import ast
import difflib
import re
import sys
from collections.abc import Iterable
from typing import Any

from opcount.errors import InputError

_SIZE = re.compile(r"\d{1,18}(?:\s*[,xX*]\s*\d{1,18})*", re.ASCII)


def parse_size(text: str) -> tuple[tuple[int, ...], str | None]:
    """The size and the element type that ``--input`` names; no type is the model's own.

    Raises:
        InputError: the numbers cannot be read.

    >>> parse_size("1,3,224,224")
    ((1, 3, 224, 224), None)
    >>> parse_size("8x128:int64")
    ((8, 128), 'int64')
    """
    numbers, colon, dtype = text.strip().partition(":")
    numbers = numbers.strip().strip("()[]").strip().rstrip(",")
    if not _SIZE.fullmatch(numbers) or (colon and not dtype.strip()):
        raise InputError(
            f"cannot read the size {text!r}{_culprit(numbers)}: write whole numbers, batch included, "
            "as in 1,3,224,224 or 8,128:int64"
        )
    size = tuple(int(number) for number in re.split(r"[,xX*]", numbers))
    return size, dtype.strip().removeprefix("torch.") or None


def _culprit(numbers: str) -> str:
    """The first part that is no whole number, in words, if there is one worth naming."""
    for part in re.split(r"[,*]|(?<=\d)[xX](?=\d)", numbers):
        if not part.strip().isdecimal():
            return f" ({part.strip()!r} is no whole number of 0 or more)" if part.strip() else " (a number is missing)"
    return ""


def parse_argument(text: str) -> tuple[str, Any]:
    """The name and the value of ``--arg key=value``: a Python literal if it reads as one, else the word itself.

    Raises:
        InputError: there is no ``=``, or what stands before it is no name.

    >>> parse_argument("width=0.5"), parse_argument("norm=batch"), parse_argument("sizes=(1, 2)")
    (('width', 0.5), ('norm', 'batch'), ('sizes', (1, 2)))
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        raise InputError(f"cannot read the argument {text!r}: write name=value, as in --arg num_classes=10")
    try:
        return name, ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return name, value


def parse_vary(text: str) -> dict[str, list[tuple[int, int]]]:
    """The sizes that ``--vary`` names: for each the (input, axis) pairs that have it, inputs counted from 0.

    Raises:
        InputError: it cannot be read.

    >>> parse_vary("N=0,H=2+3"), parse_vary("S=0.1+1.1")
    ({'N': [(0, 0)], 'H': [(0, 2), (0, 3)]}, {'S': [(0, 1), (1, 1)]})
    """
    sizes: dict[str, list[tuple[int, int]]] = {}
    for part in text.split(","):
        name, _, axes = (word.strip() for word in part.partition("="))
        if not name.isidentifier() or not re.fullmatch(r"(\d+\.)?-?\d+(\+(\d+\.)?-?\d+)*", axes, re.ASCII):
            raise InputError(
                f"cannot read {part.strip()!r} of --vary: write NAME=AXIS as in N=0,S=1; several axes as in H=2+3, "
                "those of a further input as in S=0.1+1.1"
            )
        if name in sizes:
            raise InputError(f"--vary names {name} twice; several axes of one size are written {name}=2+3")
        pairs = [axis.rpartition(".") for axis in axes.split("+")]
        sizes[name] = [(int(index or 0), int(axis)) for index, _, axis in pairs]
    return sizes


def parse_resolution(text: str) -> tuple[int, int]:
    """Height and width that ``--resolution`` names; one number is both.

    Raises:
        InputError: it cannot be read.

    >>> parse_resolution("224"), parse_resolution("480x640")
    ((224, 224), (480, 640))
    """
    numbers = re.split(r"[xX,*]", text.strip())
    if len(numbers) > 2 or not all(re.fullmatch(r"[1-9]\d{0,8}", number, re.ASCII) for number in numbers):
        raise InputError(f"cannot read the resolution {text!r}: write 224, or height x width as in 480x640")
    return int(numbers[0]), int(numbers[-1])


def parse_positive(text: str) -> int:
    """A whole number of 1 or more.

    Raises:
        InputError: it is none.

    >>> parse_positive("128")
    128
    """
    if not re.fullmatch(r"[1-9]\d{0,17}", text.strip(), re.ASCII):
        raise InputError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def nearest(word: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names that look most like a word, best first; the case of letters does not matter.

    >>> nearest("resnet5O", ["vgg16", "resnet50", "ResNet"], 1)
    ['resnet50']
    """
    by_fold: dict[str, str] = {}
    for name in names:
        by_fold.setdefault(name.casefold(), name)
    found = difflib.get_close_matches(word.casefold(), by_fold, n=count, cutoff=0.55)
    return [by_fold[name] for name in found]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The nearest names as the end of a sentence, or nothing.

    >>> did_you_mean("markdwon", ["markdown", "csv"])
    '; did you mean markdown?'
    """
    found = nearest(word, names)
    return f"; did you mean {listed(found, last='or')}?" if found else ""


def listed(names: Iterable[str], most: int = 6, last: str = "and") -> str:
    """Names as a list in a sentence; the ones beyond ``most`` as a number.

    >>> listed(["a", "b"]), listed("abcde", 2), listed("abc", last="or")
    ('a and b', 'a, b and 3 more', 'a, b or c')
    """
    words = list(names)
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def visible(name: str) -> str:
    r"""A name with every character that does not print written as its escape: a model may call its modules anything.

    >>> print(visible("conv\x1b[31m\n1"))
    conv\x1b[31m\n1
    """
    if name.isprintable():
        return name
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in name)


_COUNT = re.compile(r"(\d+(?:_\d+)*)(?:\.(\d+(?:_\d+)*))?(?:[eE]\+?(\d{1,2}))?\s*([kMGT]?)", re.ASCII)
_POWERS = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12}


def parse_count(text: str) -> int:
    """The whole number that a budget names: digits, or with a decimal suffix k, M, G or T.

    Raises:
        InputError: it is no whole number, or has another suffix, such as a binary one.

    >>> parse_count("300M"), parse_count("4.1G"), parse_count("1_000"), parse_count("1e6")
    (300000000, 4100000000, 1000, 1000000)
    """
    found = _COUNT.fullmatch(text.strip())
    whole, decimals, exponent, suffix = found.groups("") if found else ("", "", "", "")
    power = int(exponent or 0) + _POWERS[suffix] - len(decimals.replace("_", ""))
    digits = f"{whole}{decimals}".replace("_", "")
    if found is None or (power < 0 and set(digits[power:]) != {"0"}):
        hint = "; binary suffixes are none of them" if re.search(r"\d\s*[kKMGT]i", text) else ""
        raise InputError(
            f"cannot read {text!r} as a count: write a whole number, as in 300_000_000, 3e8, 300M or 0.3G "
            f"(suffixes: k, M, G, T, powers of 1,000{hint})"
        )
    return int(digits) * 10**power if power >= 0 else int(digits[:power] or "0")


def parse_toml(text: str) -> dict[str, Any]:
    """A text of TOML as a table.

    Raises:
        ValueError: it is none.

    >>> parse_toml("[limits]\\ntime = 60")
    {'limits': {'time': 60}}
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
