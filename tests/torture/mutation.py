"""Damage to what was whole: a value somewhere in a structure replaced, bytes flipped, cut off or made to claim much.

Everything starts from what the code under test wrote itself or reads every day, because random bytes are refused at
the first look and prove nothing of what comes after.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.torture.figures import did


def deep(levels: int) -> Any:
    """Lists within lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 1.5, -0.0, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "-1", "nan", "x" * 3000, "\0", "\x1b[2J", "a\nb", "\u202e", "\ud800", "../../etc/passwd", "%s{}"),
    *("/dev/zero", "[" * 400, "Symbol('s0', integer=True)", "torch.ops.aten.add.Tensor", "onnx::Add"),
    *([], {}, [[]], [None], {"": None}, ["a", 1], {"a": {"b": {}}}, [1] * 300, deep(90), [[], {}, "", 0]),
]
"""What somewhere somebody did not expect."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside a value of lists and tables."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found += places(item, (*path, key))
    return found


@st.composite
def structures(draw: Callable[..., Any], whole: Any) -> Any:
    """A value of which one to three parts are replaced, left out, doubled or put elsewhere."""
    did("inputs fuzzed")
    damaged = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        ways = places(damaged)[1:]
        if not ways:
            break
        *way, last = draw(st.sampled_from(ways))
        holder = damaged
        for step in way:
            holder = holder[step]
        what = draw(st.sampled_from(["replace", "remove", "wrap", "move", "copy"]))
        if what == "remove":
            del holder[last]
        elif what == "wrap":
            holder[last] = [holder[last]]
        elif what == "move":
            holder[last] = copy.deepcopy(_at(damaged, draw(st.sampled_from(places(damaged)))))
        elif what == "copy" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        else:
            holder[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return damaged


def _at(value: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        value = value[step]
    return value


def texts(whole: Any) -> st.SearchStrategy[str]:
    """The JSON of a structure that was damaged."""
    return structures(whole).map(json.dumps)


SIZES = [bytes([255]) * 4, bytes([255]) * 8, b"\x7f" + bytes([255]) * 3, bytes(4), b"\0\0\0\x01", b"\x80" + bytes(7)]
"""What fields of lengths, counts and offsets may claim."""


@st.composite
def contents(draw: Callable[..., Any], whole: bytes) -> bytes:
    """The bytes of a file, cut off, flipped, overwritten with sizes, shifted, or followed by others."""
    did("inputs fuzzed")
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        what = draw(st.sampled_from(["cut", "flip", "size", "drop", "insert", "repeat"]))
        if what == "cut":
            del data[at:]
        elif what == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "size":
            size = draw(st.sampled_from(SIZES))
            data[at : at + len(size)] = size
        elif what == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        elif what == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        else:
            data += data[at : at + 200]
    return bytes(data)
