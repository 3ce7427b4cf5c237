"""The order of rows: a module right before what is below it."""

from __future__ import annotations

from collections.abc import Iterable


def in_order(known: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Paths with what is below them right behind, else as wanted.

    Args:
        known: the paths there are.
        wanted: them in the order that is wanted, repeated or not.

    >>> in_order(["", "a", "b", "a.x"], ["", "a", "b", "a.x"])
    ['', 'a', 'a.x', 'b']
    """
    children: dict[str, list[str]] = {}
    paths = set(known)
    for path in dict.fromkeys(wanted):
        above = path
        while above:
            above = above.rpartition(".")[0]
            if above in paths:
                break
        if path:
            children.setdefault(above, []).append(path)
    ordered, pending = [], [""] if "" in paths else children.get("", [])[::-1]
    while pending:
        path = pending.pop()
        ordered.append(path)
        pending.extend(reversed(children.get(path, [])))
    return ordered
