"""What the numbers of formulas are called where they are written out: a symbol and words for each."""

from __future__ import annotations

NOTATION: dict[str, tuple[str, str]] = {
    "batch": ("N", "samples"),
    "planes": ("P", "planes"),
    "rows": ("R", "rows"),
    "count": ("n", "in number"),
    "entries": ("E", "entries"),
    "bags": ("B", "bags"),
    "out_channels": ("C_out", "output channels"),
    "output": ("O", "output size"),
    "in_channels": ("C_in", "input channels"),
    "channels": ("C", "channels"),
    "input": ("I", "input size"),
    "length": ("L", "values in each"),
    "features": ("D", "features"),
    "taps": ("T", "neighbours of each"),
    "kernel": ("K", "kernel"),
    "size": ("w", "window"),
    "stride": ("s", "stride"),
    "padding": ("p", "padding"),
    "dilation": ("d", "dilation"),
    "groups": ("g", "groups"),
    "normalized": ("n_div", "numbers divided"),
}
"""For each name of a number its symbol and what it means, in the order in which factors are written."""

_AXES = {1: ("",), 2: ("h", "w"), 3: ("d", "h", "w")}


def symbol_of(name: str) -> str:
    """The symbol a number is written as; one that has none of its own is written by its name.

    >>> symbol_of("in_channels"), symbol_of("heads")
    ('C_in', 'heads')
    """
    return NOTATION.get(name, (name, name))[0]


def words_for(name: str) -> str:
    """What a number means.

    >>> words_for("in_channels"), words_for("kept_rows")
    ('input channels', 'kept rows')
    """
    return NOTATION.get(name, (name, name.replace("_", " ")))[1]


def rank_of(name: str) -> int:
    """Where among the factors of a product a number is written."""
    return list(NOTATION).index(name) if name in NOTATION else len(NOTATION)


def axis_symbols(name: str, axes: int) -> tuple[str, ...]:
    """The symbols of a number that is one for each axis.

    >>> axis_symbols("kernel", 2), axis_symbols("output", 1)
    (('K_h', 'K_w'), ('O',))
    """
    symbol = symbol_of(name)
    marks = _AXES.get(axes) or tuple(str(axis + 1) for axis in range(axes))
    return tuple(f"{symbol}_{mark}" if mark else symbol for mark in marks)
