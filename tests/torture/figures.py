"""What the suite did, for ``docs/reliability.md``: every test says how many of what it tried."""

from __future__ import annotations

from collections import Counter

DONE: Counter[str] = Counter()


def did(what: str, times: int = 1) -> None:
    """Something was tried so many times more."""
    DONE[what] += times
