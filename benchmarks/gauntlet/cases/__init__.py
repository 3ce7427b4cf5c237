"""Every case of the gauntlet. Importing them imports torch, and none of the counters that are judged."""

from benchmarks.gauntlet.case import Case
from benchmarks.gauntlet.cases import (
    attention,
    blocks,
    convolution,
    elementwise,
    flow,
    functional,
    inputs,
    plain,
    recurrent,
    subclass,
)

FAMILIES = (plain, convolution, functional, attention, blocks, recurrent, flow, subclass, inputs, elementwise)
CASES: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family.family.cases)

__all__ = ["CASES", "Case"]
