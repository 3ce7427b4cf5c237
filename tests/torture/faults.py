"""Faults thrown in from outside: an exception at the n-th call of a module or of an operator, wherever that is.

The interpreter's own profiler calls us at every call of a Python function. Nothing of the code under test is replaced,
so what is struck is what users run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from torch import nn

from opcount.trace.answering import OperatorAnswerer
from opcount.trace.functions import FunctionObserver
from opcount.trace.liveness import _Operators
from opcount.trace.operators import OperatorObserver
from opcount.trace.propagating import GradientFunctions, GradientOperators
from opcount.trace.recalling import FunctionAnswerer
from opcount.trace.stubs import Stub
from opcount.trace.whole import StorageObserver

_OBSERVERS = (
    *(OperatorAnswerer, OperatorObserver, FunctionAnswerer, FunctionObserver),
    *(GradientFunctions, GradientOperators, StorageObserver, _Operators),
)
POINTS: frozenset[CodeType] = frozenset(
    (
        nn.Module._call_impl.__code__,
        Stub.__call__.__code__,
        *(
            getattr(observer, name).__code__
            for observer in _OBSERVERS
            for name in ("__torch_dispatch__", "__torch_function__")
            if hasattr(getattr(observer, name, None), "__code__")
        ),
    )
)
"""Where a fault can strike: the call of a module, of an operator, of a function of torch."""


class Struck:
    """How many points were passed, and whether the fault has struck."""

    def __init__(self) -> None:
        self.points = 0
        self.happened = False


@contextmanager
def fault(error: type[BaseException], at: int | None) -> Iterator[Struck]:
    """Raise ``error`` at the ``at``-th point within, the first being 0; None only counts the points."""
    struck = Struck()

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        if event != "call" or frame.f_code not in POINTS:
            return
        if struck.points == at:
            sys.setprofile(None)
            struck.happened = True
            raise error("thrown in from outside")
        struck.points += 1

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield struck
    finally:
        sys.setprofile(before)
