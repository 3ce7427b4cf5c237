"""Element-wise operators: one formula for each output element, broadcasting included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from opcount.ops import Call, TensorSpec, Term, Tree, tensors
from opcount.rules.operators.parts import is_complex, on_parts, scaling
from opcount.rules.reading import named
from opcount.rules.registry import rule
from opcount.rules.shapes import broadcast

_FORMULAS = {
    "division": "reciprocal floor_divide",
    "remainder": "remainder fmod",
    "comparison": "eq ne lt le gt ge maximum minimum fmax fmin clamp_min clamp_max heaviside",
    "multiplication": "deg2rad rad2deg",
    "transcendental": """
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan atan2 sinh cosh asinh acosh
        atanh erf erfc erfinv lgamma digamma polygamma i0 igamma igammac special_erfcx special_i0e special_i1
        special_i1e
        special_ndtri special_log_ndtr special_zeta special_airy_ai special_bessel_j0 special_bessel_j1
        special_bessel_y0 special_bessel_y1 special_modified_bessel_i0 special_modified_bessel_i1
        special_modified_bessel_k0 special_modified_bessel_k1 special_scaled_modified_bessel_k0
        special_scaled_modified_bessel_k1 special_spherical_bessel_j0
    """,
}


def _tie(formula: str, names: str) -> None:
    @rule(*(f"aten.{name}" for name in names.split()))
    def pointwise(operator: Any, call: Call) -> Iterator[Term]:
        yield Term(formula, count=call.out.elements)


for _formula, _names in _FORMULAS.items():
    _tie(_formula, _names)


def _tie_each(name: str, *functions: Any, **operations: Any) -> None:
    @rule(f"aten.{name}", *functions)
    def composed(operator: Any, call: Call) -> Iterator[Term]:
        yield Term("each", count=call.out.elements, **operations)


_tie_each("frac", additions=1)
_tie_each("hypot", multiplications=2, additions=1, transcendentals=1)
_tie_each("logaddexp", additions=1, transcendentals=3)
_tie_each("logaddexp2", additions=1, transcendentals=3)
_tie_each("ldexp", torch.ldexp, multiplications=1, transcendentals=1)
_tie_each("xlogy", multiplications=1, transcendentals=1)
_tie_each("special_xlog1py", multiplications=1, additions=1, transcendentals=1)
_tie_each("special_entr", multiplications=1, transcendentals=1)
_tie_each("sinc", multiplications=1, divisions=1, transcendentals=1)


@rule("aten.add", "aten.sub", "aten.rsub")
def addition(operator: Any, call: Call) -> Iterator[Term]:
    """One addition; a real and a complex number meet in the real part alone. alpha other than 1 multiplies first."""
    arguments = named(operator, call)
    yield _mixed("addition", call, arguments["self"], arguments["other"], additions=1)
    yield from scaling("alpha", arguments.get("alpha"), call, call.out.elements)


@rule("aten.mul")
def multiplication(operator: Any, call: Call) -> Iterator[Term]:
    """One multiplication; a real by a complex number takes two."""
    arguments = named(operator, call)
    yield _mixed("multiplication", call, arguments["self"], arguments["other"], multiplications=2)


@rule(torch.Tensor.__rdiv__)
def reciprocal_times(function: Any, call: Call) -> Iterator[Term]:
    """A number over a tensor: one division, which PyTorch makes a reciprocal and a product of."""
    yield Term("division", count=call.out.elements)


@rule("aten.div")
def division(operator: Any, call: Call) -> Iterator[Term]:
    """One division; a complex by a real number takes two."""
    arguments = named(operator, call)
    dividend, divisor = arguments["self"], arguments["other"]
    if is_complex(dividend) and not is_complex(divisor):
        yield on_parts(call, call.out.elements, divisions=2)
    else:
        yield Term("division", count=call.out.elements)


@rule("aten.pow", "aten.float_power")
def power(operator: Any, call: Call) -> Iterator[Term]:
    """A fixed small exponent by multiplication; any other, one general power."""
    exponent = named(operator, call)["exponent"]
    if isinstance(exponent, (int, float)):
        yield Term("power", count=call.out.elements, exponent=exponent)
    else:
        yield Term("transcendental", count=call.out.elements)


@rule("aten.abs", "aten.absolute")
def absolute(operator: Any, call: Call) -> Iterator[Term]:
    """Free on real numbers; of a complex number 2 multiplications, 1 addition, 1 root."""
    if is_complex(call.input):
        yield on_parts(call, call.out.elements, multiplications=2, additions=1, transcendentals=1)


@rule("aten.sgn")
def sign(operator: Any, call: Call) -> Iterator[Term]:
    """Free on real numbers; a complex number is divided by its absolute value."""
    if is_complex(call.input):
        yield on_parts(call, call.out.elements, multiplications=2, additions=1, divisions=2, transcendentals=1)


@rule("aten.angle")
def angle(operator: Any, call: Call) -> Iterator[Term]:
    """Free on real numbers; of a complex number one arc tangent and the quotient in it."""
    if is_complex(call.input):
        yield on_parts(call, call.out.elements, divisions=1, transcendentals=1)


@rule("aten.polar")
def polar(operator: Any, call: Call) -> Iterator[Term]:
    """r·cos and r·sin."""
    yield on_parts(call, call.out.elements, multiplications=2, transcendentals=2)


@rule("aten.clamp", "aten.clip")
def clamp(operator: Any, call: Call) -> Iterator[Term]:
    """One comparison for each bound that is given."""
    arguments = named(operator, call)
    bounds = sum(arguments[bound] is not None for bound in ("min", "max"))
    yield Term("each", count=call.out.elements, comparisons=bounds)


@rule("aten.linalg_cross")
def cross_product(operator: Any, call: Call) -> Iterator[Term]:
    """Three differences of two products each."""
    yield Term("each", count=call.out.elements // 3, multiplications=6, additions=3)


@rule("aten.lerp")
def linear_interpolation(operator: Any, call: Call) -> Iterator[Term]:
    """start + weight·(end - start); a real weight takes two products between complex ends."""
    if is_complex(call.out) and not is_complex(named(operator, call)["weight"]):
        yield on_parts(call, call.out.elements, multiplications=2, additions=4)
    else:
        yield Term("linear_interpolation", count=call.out.elements)


@rule("aten.addcmul")
def add_product(operator: Any, call: Call) -> Iterator[Term]:
    """A product added; a value other than 1 multiplies it first."""
    yield Term("each", count=call.out.elements, multiplications=1, additions=1)
    yield from scaling("value", named(operator, call)["value"], call, call.out.elements)


@rule("aten.addcdiv")
def add_quotient(operator: Any, call: Call) -> Iterator[Term]:
    """A quotient added; a value other than 1 multiplies it first."""
    yield Term("each", count=call.out.elements, additions=1, divisions=1)
    yield from scaling("value", named(operator, call)["value"], call, call.out.elements)


@rule("aten.logit")
def logit(operator: Any, call: Call) -> Iterator[Term]:
    """log(x / (1 - x)); with an eps x is kept to [eps, 1 - eps] first, in two comparisons."""
    yield Term("each", count=call.out.elements, additions=1, divisions=1, transcendentals=1)
    if named(operator, call)["eps"] is not None:
        yield Term("each", role="eps", count=call.out.elements, comparisons=2)


@rule("aten.mvlgamma")
def multivariate_log_gamma(operator: Any, call: Call) -> Iterator[Term]:
    """A constant and the sum of p logarithms of the gamma function, at the input less 0, 1/2, 1, ..."""
    order = named(operator, call)["p"]
    yield Term("each", count=call.out.elements, additions=2 * order - 1, transcendentals=order)


@rule("aten.round")
def rounded(operator: Any, call: Call) -> Iterator[Term]:
    """Free to whole numbers; to decimals a product before and a quotient after."""
    if named(operator, call).get("decimals"):
        yield Term("each", count=call.out.elements, multiplications=1, divisions=1)


@rule(torch.isclose, torch.Tensor.isclose, torch.allclose, torch.Tensor.allclose, "aten.isclose", "aten.allclose")
def is_close(subject: Any, call: Call) -> Iterator[Term]:
    """|a - b| <= atol + rtol·|b|."""
    first, second, *_ = tensors((call.args, call.kwargs))
    count = broadcast(first.shape, second.shape).elements
    yield Term("each", dtype=first.dtype, count=count, multiplications=1, additions=2, comparisons=1)


@rule(torch.equal, torch.Tensor.equal)
def all_equal(function: Any, call: Call) -> Iterator[Term]:
    """One comparison for each pair of elements, as if none were found different early."""
    yield Term("comparison", dtype=call.input.dtype, count=call.input.elements)


@rule("aten.isin")
def is_in(operator: Any, call: Call) -> Iterator[Term]:
    """Each element compared with each it may be equal to."""
    tests = [*named(operator, call).values()][1]
    yield Term("comparison", count=call.out.elements * (tests.elements if isinstance(tests, TensorSpec) else 1))


def _mixed(formula: str, call: Call, left: Tree, right: Tree, **operations: Any) -> Term:
    """The formula; where just one of the two is complex, the operations on real and imaginary parts instead."""
    if is_complex(left) != is_complex(right):
        return on_parts(call, call.out.elements, **operations)
    return Term(formula, count=call.out.elements)
