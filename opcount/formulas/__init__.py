"""Closed forms: plain arithmetic from a layer's numbers to an :class:`~opcount.ops.OpCount`.

No torch here. A formula runs on ints and gives a count, or on sympy symbols and gives a closed form. Each is
proven in the tests against textbook loops over numbers that count their own arithmetic.
"""

from opcount.formulas import (
    contraction,
    distance,
    embedding,
    folding,
    loss,
    normalization,
    optimizer,
    pointwise,
    pooling,
    reduction,
    resampling,
)
from opcount.formulas.registry import FORMULAS, Formula, evaluate, find, formula

__all__ = [
    "FORMULAS",
    "Formula",
    "contraction",
    "distance",
    "embedding",
    "evaluate",
    "find",
    "folding",
    "formula",
    "loss",
    "normalization",
    "optimizer",
    "pointwise",
    "pooling",
    "reduction",
    "resampling",
]
