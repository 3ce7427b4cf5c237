"""Optimizers: what one step costs a parameter's element, by the algorithm in the optimizer's documentation.

What hyperparameters and the number of the step alone decide (a learning rate's schedule, 1 - beta^t) is free. It is the
step of a run under way: the momentum of a first step is only copied.
"""

from __future__ import annotations

from opcount.formulas.pointwise import operations
from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount

_DECAY = operations(mul=1, add=1)  # g + lambda * p, or p - (lr * lambda) * p
_UPDATE = operations(mul=1, add=1)  # p - lr * step
_MOMENTUM = operations(mul=1, add=1)  # mu * b + g
_NESTEROV = operations(mul=1, add=1)  # g + mu * b
_FIRST_MOMENT = operations(mul=2, add=1)  # b1 * m + (1 - b1) * g
_SECOND_MOMENT = operations(mul=3, add=1)  # b2 * v + (1 - b2) * g * g
_CORRECTIONS = operations(div=2)  # m / (1 - b1^t), v / (1 - b2^t)
_QUOTIENT = operations(special=1, add=1, div=1)  # m / (sqrt(v) + eps)
_LARGEST = operations(cmp=1)  # max(v, largest v so far)


@formula()
def stochastic_gradient_descent(
    count: Number, momentum: bool = False, dampening: bool = False, nesterov: bool = False, weight_decay: bool = False
) -> OpCount:
    """A step of SGD for each of ``count`` elements.

    Args:
        momentum, dampening, nesterov, weight_decay: whether each is other than 0.

    >>> stochastic_gradient_descent(count=10)
    OpCount(multiplications=10, additions=10)
    >>> stochastic_gradient_descent(count=10, momentum=True, weight_decay=True)
    OpCount(multiplications=30, additions=30)
    """
    one = _UPDATE
    if weight_decay:
        one += _DECAY
    if momentum:
        one += _MOMENTUM
        one += operations(mul=1) if dampening else OpCount()
        one += _NESTEROV if nesterov else OpCount()
    return one.times(count)


@formula()
def adam(count: Number, weight_decay: bool = False, amsgrad: bool = False) -> OpCount:
    """A step of Adam, or of AdamW, for each of ``count`` elements: they differ in what decays, not in its cost.

    Args:
        weight_decay: whether it is other than 0.
        amsgrad: whether the largest second moment so far is used.

    >>> adam(count=10)
    OpCount(multiplications=60, additions=40, divisions=30, transcendentals=10)
    """
    one = _FIRST_MOMENT + _SECOND_MOMENT + _CORRECTIONS + _QUOTIENT + _UPDATE
    if weight_decay:
        one += _DECAY
    if amsgrad:
        one += _LARGEST
    return one.times(count)
