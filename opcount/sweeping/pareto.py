"""The Pareto front of rows under two columns, found in one pass, with only the front in memory."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

R = TypeVar("R", bound=Mapping[str, Any])


def front(rows: Iterable[R], x: str, y: str, *, most: Iterable[str] = ()) -> list[R]:
    """The rows that no other row beats: none is as good in both columns and better in one. Ordered by ``x``.

    Args:
        rows: the rows; those without a number in either column take no part.
        x, y: two columns, of which less is better,
        most: unless they are named here, where more is.

    >>> rows = [{"macs": 1, "loss": 3}, {"macs": 2, "loss": 2}, {"macs": 3, "loss": 2}, {"macs": None, "loss": 0}]
    >>> [row["macs"] for row in front(rows, "macs", "loss")]
    [1, 2]
    """
    signs = [-1 if name in set(most) else 1 for name in (x, y)]
    places: list[tuple[Any, Any]] = []  # ascending in the first, descending in the second
    members: list[list[R]] = []
    for row in rows:
        place = _place(row, (x, y), signs)
        if place is None:
            continue
        index = bisect.bisect_left(places, place)
        if index < len(places) and places[index] == place:
            members[index].append(row)
            continue
        if index and places[index - 1][1] <= place[1]:
            continue
        end = index
        while end < len(places) and places[end][1] >= place[1]:
            end += 1
        places[index:end], members[index:end] = [place], [[row]]
    found = [row for group in members for row in group]
    return found if signs[0] > 0 else found[::-1]


def _place(row: Mapping[str, Any], names: tuple[str, str], signs: list[int]) -> tuple[Any, Any] | None:
    values = [row[name] for name in names]
    for value in values:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
            return None
    return signs[0] * values[0], signs[1] * values[1]
