"""How far a sweep is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Points by what became of them.

    Attributes:
        total: how many there are, if that is known.
        counted: counted now, with or without success.
        answered: found in the store.
        repeated: the same as another that was just being counted.
        failed: of those counted or found, how many are errors.
        seconds: how long it took.
    """

    total: int | None = None
    counted: int = 0
    answered: int = 0
    repeated: int = 0
    failed: int = 0
    begun: float = field(default_factory=time.monotonic, repr=False)
    ended: float | None = field(default=None, repr=False)

    @property
    def done(self) -> int:
        """How many are dealt with."""
        return self.counted + self.answered + self.repeated

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return (time.monotonic() if self.ended is None else self.ended) - self.begun

    def count(self, *, well: bool) -> None:
        """One was counted."""
        self.counted += 1
        self.failed += not well

    def answer(self, *, well: bool) -> None:
        """The store knew one."""
        self.answered += 1
        self.failed += not well

    def text(self) -> str:
        """It in words.

        >>> Tally(3, counted=2, answered=1, failed=1, begun=0, ended=4).text()
        '2 points counted in 4.0 s (0.5 a second) · 1 answered from the store · 1 failed'
        """
        rate = f" ({self.counted / self.seconds:,.1f} a second)" if self.counted and self.seconds > 0 else ""
        points = "point" if self.counted == 1 else "points"
        parts = [f"{self.counted:,} {points} counted in {self.seconds:,.1f} s{rate}"]
        if self.answered:
            parts.append(f"{self.answered:,} answered from the store")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return " · ".join(parts)
