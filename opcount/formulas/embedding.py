"""Bags of vectors folded into one vector each."""

from __future__ import annotations

from opcount.formulas.arithmetic import maximum
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


@formula()
def bag_sums(entries: Number, bags: Number, features: Number) -> OpCount:
    """``entries`` vectors in ``bags`` bags, none of them empty, added up bag by bag.

    >>> bag_sums(entries=7, bags=3, features=10)
    OpCount(additions=40)
    """
    return OpCount(additions=maximum(entries - bags, 0) * features)


@formula()
def bag_maxima(entries: Number, bags: Number, features: Number) -> OpCount:
    """``entries`` vectors in ``bags`` bags, none of them empty: the largest of each feature.

    >>> bag_maxima(entries=7, bags=3, features=10)
    OpCount(comparisons=40)
    """
    return OpCount(comparisons=maximum(entries - bags, 0) * features)
