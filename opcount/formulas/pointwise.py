"""Element-wise functions: what one element costs, by the function's documented formula, every branch evaluated."""

from __future__ import annotations

from opcount.formulas.registry import formula
from opcount.ops import Number, OpCount


def operations(mul: int = 0, add: int = 0, div: int = 0, cmp: int = 0, special: int = 0) -> OpCount:
    """A few operations, named as in a table."""
    return OpCount(multiplications=mul, additions=add, divisions=div, comparisons=cmp, transcendentals=special)


_SIGMOID = operations(add=1, div=1, special=1)
_HARDSIGMOID = operations(add=1, cmp=2, div=1)
_PRODUCT = operations(mul=1)

POINTWISE: dict[str, OpCount] = {
    # arithmetic
    "addition": operations(add=1),
    "multiplication": _PRODUCT,
    "division": operations(div=1),
    "comparison": operations(cmp=1),
    "transcendental": operations(special=1),
    "remainder": operations(div=1, mul=1, add=1),
    "linear_interpolation": operations(add=2, mul=1),
    # activations
    "relu": operations(cmp=1),
    "relu6": operations(cmp=2),
    "hardtanh": operations(cmp=2),
    "leaky_relu": operations(cmp=1, mul=1),
    "threshold": operations(cmp=1),
    "hardshrink": operations(cmp=2),
    "softshrink": operations(cmp=2, add=2),
    "sigmoid": _SIGMOID,
    "tanh": operations(special=1),
    "silu": _SIGMOID + _PRODUCT,
    "gated_linear_unit": _SIGMOID + _PRODUCT,
    "gelu": operations(mul=3, add=1, special=1),
    "gelu_tanh": operations(mul=6, add=2, special=1),
    "hardsigmoid": _HARDSIGMOID,
    "hardswish": _HARDSIGMOID + _PRODUCT,
    "elu": operations(cmp=1, special=1, add=1, mul=1),
    "selu": operations(cmp=2, special=1, add=2, mul=2),
    "celu": operations(cmp=2, special=1, add=2, mul=1, div=1),
    "softplus": operations(mul=2, add=1, special=2),
    "mish": operations(add=1, mul=1, special=3),
    "log_sigmoid": operations(special=2, add=1, div=1),
    "softsign": operations(add=1, div=1),
    "tanhshrink": operations(special=1, add=1),
}

_FROM_OUTPUT = operations(mul=2, add=1)  # dy * y * (1 - y), or dy * (1 - y * y)

GRADIENTS: dict[str, OpCount] = {
    # what the gradient of one element costs, the product with the gradient that comes in included
    "relu": operations(cmp=1),
    "relu6": operations(cmp=2),
    "hardtanh": operations(cmp=2),
    "leaky_relu": operations(cmp=1, mul=1),
    "threshold": operations(cmp=1),
    "hardshrink": operations(cmp=2),
    "softshrink": operations(cmp=2),
    "sigmoid": _FROM_OUTPUT,
    "tanh": _FROM_OUTPUT,
    "silu": _SIGMOID + operations(mul=3, add=2),  # dy * s * (1 + x * (1 - s))
    "gated_linear_unit": _SIGMOID + operations(mul=3, add=1),  # dy * s, and that times a * (1 - s)
    "gelu": operations(mul=7, add=2, special=2),  # dy * (P(x) + x * p(x)), P and p of the normal distribution
    "gelu_tanh": operations(mul=12, add=5, special=1),
    "hardsigmoid": operations(cmp=2, mul=1),
    "hardswish": operations(cmp=2, mul=1, add=1, div=1),  # dy * (x / 3 + 0.5)
    "elu": operations(cmp=1, special=1, mul=2),  # dy * alpha * exp(x)
    "elu_from_output": operations(cmp=1, add=1, mul=1),  # dy * (y + alpha)
    "selu": operations(cmp=1, special=1, mul=3),
    "celu": operations(cmp=1, special=1, mul=2),
    "softplus": operations(mul=2, add=1, div=1, special=1),  # dy * z / (1 + z), z = exp(beta * x)
    "mish": operations(mul=4, add=3, div=1, special=3),  # dy * (t + x * s * (1 - t * t)), t = tanh(softplus(x))
    "log_sigmoid": _SIGMOID + _PRODUCT,  # dy * sigmoid(-x)
}


def register_pointwise(name: str, one: OpCount) -> None:
    """Make ``one`` operation an element the formula of that name."""

    def pointwise(count: Number) -> OpCount:
        return one.times(count)

    pointwise.__name__ = name
    pointwise.__doc__ = f"{name}: {one!r} for each of ``count`` elements."
    formula()(pointwise)


for _name, _one in POINTWISE.items():
    register_pointwise(_name, _one)
for _name, _one in GRADIENTS.items():
    register_pointwise(f"{_name}_gradient", _one)


@formula()
def each(
    count: Number,
    multiplications: int = 0,
    additions: int = 0,
    divisions: int = 0,
    comparisons: int = 0,
    transcendentals: int = 0,
) -> OpCount:
    """The same few operations for each of ``count`` elements: the formula for a layer that has none of its own.

    >>> each(count=10, multiplications=2, additions=1)
    OpCount(multiplications=20, additions=10)
    """
    return OpCount(multiplications, additions, divisions, comparisons, transcendentals).times(count)


@formula()
def power(count: Number, exponent: float) -> OpCount:
    """``x**exponent`` of ``count`` elements: small whole exponents by multiplication, any other one general power.

    >>> power(count=5, exponent=3)
    OpCount(multiplications=10)
    >>> power(count=5, exponent=0.5)
    OpCount(transcendentals=5)
    """
    by_products: dict[float, OpCount] = {
        0: OpCount(),
        1: OpCount(),
        2: operations(mul=1),
        3: operations(mul=2),
        -1: operations(div=1),
        -2: operations(mul=1, div=1),
    }
    return by_products.get(exponent, operations(special=1)).times(count)
