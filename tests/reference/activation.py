"""Element-wise functions by their documented formulas.

Every branch is computed on every element and one comparison per boundary picks among them, so a count does not depend
on the values. Each function takes single numbers, or arrays that broadcast against each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from tests.reference.geometry import cells
from tests.reference.machine import Array, erf, exp, log, maximum, minimum, objects, tanh, whole_power


def elementwise(formula: Callable[..., Any]) -> Callable[..., Any]:
    """The formula of one element, over whole arrays."""

    @wraps(formula)
    def over(*operands: Any, **options: Any) -> Any:
        if not any(isinstance(operand, np.ndarray) for operand in operands):
            return formula(*operands, **options)
        spread = np.broadcast_arrays(*(np.asarray(operand, dtype=object) for operand in operands))
        output = objects(spread[0].shape)
        for place in cells(output.shape):
            output[place] = formula(*(array[place] for array in spread), **options)
        return output

    return over


@elementwise
def relu(x: Any) -> Any:
    """max(0, x)"""
    return maximum(x, 0.0)


@elementwise
def hardtanh(x: Any, *, low: float = -1.0, high: float = 1.0) -> Any:
    """low below low, high above high, x between"""
    return minimum(maximum(x, low), high)


def relu6(x: Any) -> Any:
    """min(max(0, x), 6)"""
    return hardtanh(x, low=0.0, high=6.0)


@elementwise
def leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    """x if x ≥ 0 else slope · x; with a learnt or drawn slope it is PReLU or RReLU"""
    scaled = x * slope
    return x if x >= 0.0 else scaled


@elementwise
def threshold(x: Any, *, limit: float, value: float) -> Any:
    """x if x > limit else value"""
    return x if x > limit else x.like(value)


@elementwise
def hardshrink(x: Any, *, lambd: float = 0.5) -> Any:
    """x above lambda and below -lambda, else 0"""
    above, below = x > lambd, x < -lambd
    return x if above or below else x.like(0.0)


@elementwise
def softshrink(x: Any, *, lambd: float = 0.5) -> Any:
    """x - lambda above lambda, x + lambda below -lambda, else 0"""
    less, more = x - lambd, x + lambd
    above, below = x > lambd, x < -lambd
    return less if above else more if below else x.like(0.0)


@elementwise
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))"""
    return 1.0 / (1.0 + exp(-x))


hyperbolic_tangent = elementwise(tanh)


@elementwise
def silu(x: Any) -> Any:
    """x · sigmoid(x)"""
    return x * sigmoid(x)


def glu(inputs: Array, axis: int = -1) -> Array:
    """a · sigmoid(b), a and b the two halves of the input along the axis"""
    first, second = np.split(inputs, 2, axis=axis)
    output = objects(first.shape)
    for place in cells(output.shape):
        output[place] = first[place] * sigmoid(second[place])
    return output


@elementwise
def gelu(x: Any) -> Any:
    """0.5 · x · (1 + erf(x / √2))"""
    return 0.5 * x * (1.0 + erf(x * (1 / math.sqrt(2))))


@elementwise
def gelu_tanh(x: Any) -> Any:
    """0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))"""
    return 0.5 * x * (1.0 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


@elementwise
def hardsigmoid(x: Any) -> Any:
    """0 up to -3, 1 from 3 on, x / 6 + 1/2 between"""
    between = x / 6.0 + 0.5
    low, high = x <= -3.0, x >= 3.0
    return x.like(0.0) if low else x.like(1.0) if high else between


@elementwise
def hardswish(x: Any) -> Any:
    """0 up to -3, x from 3 on, x · (x + 3) / 6 between"""
    between = x * (x + 3.0) / 6.0
    low, high = x <= -3.0, x >= 3.0
    return x.like(0.0) if low else x if high else between


@elementwise
def elu(x: Any, *, alpha: float = 1.0) -> Any:
    """x if x > 0 else alpha · (exp(x) - 1)"""
    curved = alpha * (exp(x) - 1.0)
    return x if x > 0.0 else curved


@elementwise
def selu(x: Any) -> Any:
    """scale · (max(0, x) + min(0, alpha · (exp(x) - 1)))"""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * (maximum(x, 0.0) + minimum(alpha * (exp(x) - 1.0), 0.0))


@elementwise
def celu(x: Any, *, alpha: float = 1.0) -> Any:
    """max(0, x) + min(0, alpha · (exp(x / alpha) - 1))"""
    return maximum(x, 0.0) + minimum(alpha * (exp(x / alpha) - 1.0), 0.0)


@elementwise
def softplus(x: Any, *, beta: float = 1.0) -> Any:
    """1/beta · log(1 + exp(beta · x))"""
    return (1.0 / beta) * log(1.0 + exp(beta * x))


@elementwise
def mish(x: Any) -> Any:
    """x · tanh(log(1 + exp(x)))"""
    return x * tanh(log(1.0 + exp(x)))


@elementwise
def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + exp(-x)))"""
    return log(sigmoid(x))


@elementwise
def softsign(x: Any) -> Any:
    """x / (1 + |x|)"""
    return x / (1.0 + abs(x))


@elementwise
def tanhshrink(x: Any) -> Any:
    """x - tanh(x)"""
    return x - tanh(x)


raise_to = elementwise(whole_power)


@elementwise
def clamp(x: Any, *, low: float | None = None, high: float | None = None) -> Any:
    """x kept between the bounds that are given"""
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


@elementwise
def floor_divide(x: Any, y: Any) -> Any:
    """⌊x / y⌋"""
    return math.floor(x / y)


@elementwise
def remainder(x: Any, y: Any) -> Any:
    """x - y · ⌊x / y⌋"""
    return x - y * math.floor(x / y)


@elementwise
def lerp(start: Any, end: Any, weight: Any) -> Any:
    """start + weight · (end - start)"""
    return start + weight * (end - start)


@elementwise
def addcmul(x: Any, first: Any, second: Any, *, value: float = 1) -> Any:
    """x + value · first · second; a neutral value is not multiplied"""
    both = first * second
    return x + (both if value == 1 else value * both)


@elementwise
def addcdiv(x: Any, first: Any, second: Any, *, value: float = 1) -> Any:
    """x + value · first / second; a neutral value is not multiplied"""
    both = first / second
    return x + (both if value == 1 else value * both)


@elementwise
def add(x: Any, y: Any, *, alpha: float = 1) -> Any:
    """x + alpha · y; a neutral alpha is not multiplied"""
    return x + (y if alpha == 1 else alpha * y)


@elementwise
def multiply(x: Any, y: Any) -> Any:
    """x · y"""
    return x * y


@elementwise
def divide(x: Any, y: Any) -> Any:
    """x / y"""
    return x / y


@elementwise
def absolute(x: Any) -> Any:
    """|x|: free for reals, √(a² + b²) for complex numbers"""
    return abs(x)
