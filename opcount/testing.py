"""Budgets in tests: what the pytest fixture ``assert_ops`` is, for any test runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opcount.budgets import Budgets

if TYPE_CHECKING:
    from torch import nn

    from opcount.ops import Convention
    from opcount.result import Profile


def assert_ops(
    model: nn.Module,
    inputs: Any = None,
    *,
    max_macs: int | str | None = None,
    max_total: int | str | None = None,
    max_params: int | str | None = None,
    max_layer_macs: int | str | None = None,
    kwargs: Mapping[str, Any] | None = None,
    convention: Convention | None = None,
) -> Profile:
    """See that one call of a model keeps its budgets, and that nothing in it is left uncounted.

    Args:
        model, inputs, kwargs, convention: as for :func:`opcount.profile`.
        max_macs, max_total, max_params, max_layer_macs: whole numbers, or texts such as ``"300M"``.

    Returns:
        The profile, for further asserts.

    Raises:
        AssertionError: a budget is not kept, or cannot be known to be; the message has the heaviest layers.
        OpCountError: as for :func:`opcount.profile`, or a budget cannot be read.

    >>> from torch import nn
    >>> assert_ops(nn.Linear(10, 5), (2, 10), max_macs=100).macs
    100
    >>> assert_ops(nn.Linear(10, 5), (2, 10), max_macs="0.05k")
    Traceback (most recent call last):
        ...
    AssertionError: Linear has 100 MACs, 50 more than max_macs allows (50); heaviest: (model) 100
    """
    __tracebackhide__ = True
    from opcount import Convention, profile

    limits: Any = {"max_macs": max_macs, "max_total": max_total, "max_params": max_params}
    budgets = Budgets(**limits, max_layer_macs=max_layer_macs)  # type: ignore[arg-type]
    counted = profile(model, inputs, kwargs=kwargs, convention=convention or Convention())
    excesses = budgets.check(counted)
    if excesses:
        raise AssertionError("\n".join(map(str, excesses)))
    return counted
