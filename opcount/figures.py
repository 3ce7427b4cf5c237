"""The six figures of whatever has some: a profile, a whole run, a meter."""

from __future__ import annotations

from collections.abc import Iterable

from opcount.ops import OpCount


class Figures:
    """The figures of what has ``ops``."""

    @property
    def ops(self) -> OpCount:
        """The six figures."""
        raise NotImplementedError

    @property
    def multiplications(self) -> int:
        """Scalar products."""
        return self.ops.multiplications

    @property
    def additions(self) -> int:
        """Scalar sums and differences."""
        return self.ops.additions

    @property
    def divisions(self) -> int:
        """Scalar quotients."""
        return self.ops.divisions

    @property
    def comparisons(self) -> int:
        """Scalar compares and max/min selections."""
        return self.ops.comparisons

    @property
    def transcendentals(self) -> int:
        """exp, log, roots, tanh, erf, sin, cos and general powers."""
        return self.ops.transcendentals

    @property
    def macs(self) -> int:
        """Multiplications of contractions; a view on ``multiplications``."""
        return self.ops.macs

    @property
    def total(self) -> int:
        """``multiplications + additions``."""
        return self.ops.total


def grouped(pairs: Iterable[tuple[str, OpCount]]) -> dict[str, OpCount]:
    """The sums of counts by name, of those that are anything.

    >>> grouped([("a", OpCount(additions=1)), ("b", OpCount()), ("a", OpCount(additions=2))])
    {'a': OpCount(additions=3)}
    """
    groups: dict[str, OpCount] = {}
    for name, ops in pairs:
        if ops:
            groups[name] = groups.get(name, OpCount()) + ops
    return groups
