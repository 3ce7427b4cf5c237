"""Element-wise operators: one formula for each output element, broadcasting included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, TensorSpec, Term, Tree
from opcount.rules.operators.parts import is_complex, on_parts
from opcount.rules.reading import named
from opcount.rules.registry import rule

_FORMULAS = {
    "division": "reciprocal floor_divide",
    "remainder": "remainder fmod",
    "comparison": "eq ne lt le gt ge maximum minimum fmax fmin clamp_min clamp_max heaviside isin",
    "multiplication": "deg2rad rad2deg",
    "transcendental": """
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan atan2 sinh cosh asinh acosh
        atanh erf erfc erfinv lgamma digamma polygamma i0 igamma igammac mvlgamma float_power special_erfcx special_i0e
        special_i1 special_i1e special_ndtri special_log_ndtr special_zeta special_bessel_j0 special_bessel_j1
        special_bessel_y0 special_bessel_y1
    """,
}


def _tie(formula: str, names: str) -> None:
    @rule(*(f"aten.{name}" for name in names.split()))
    def pointwise(operator: Any, call: Call) -> Iterator[Term]:
        yield Term(formula, count=call.out.elements)


for _formula, _names in _FORMULAS.items():
    _tie(_formula, _names)


def _tie_each(name: str, **operations: Any) -> None:
    @rule(f"aten.{name}")
    def composed(operator: Any, call: Call) -> Iterator[Term]:
        yield Term("each", count=call.out.elements, **operations)


_tie_each("frac", additions=1)
_tie_each("hypot", multiplications=2, additions=1, transcendentals=1)
_tie_each("logaddexp", additions=1, transcendentals=3)
_tie_each("logaddexp2", additions=1, transcendentals=3)
_tie_each("logit", additions=1, divisions=1, transcendentals=1)
_tie_each("xlogy", multiplications=1, transcendentals=1)
_tie_each("special_xlog1py", multiplications=1, additions=1, transcendentals=1)
_tie_each("special_entr", multiplications=1, transcendentals=1)
_tie_each("sinc", multiplications=1, divisions=1, transcendentals=1)


@rule("aten.add", "aten.sub", "aten.rsub")
def addition(operator: Any, call: Call) -> Iterator[Term]:
    """One addition; a real and a complex number meet in the real part alone. alpha other than 1 multiplies first."""
    arguments = named(operator, call)
    yield _mixed("addition", call, arguments["self"], arguments["other"], additions=1)
    if arguments.get("alpha", 1) not in (None, 1):
        yield Term("multiplication", role="alpha", count=call.out.elements)


@rule("aten.mul")
def multiplication(operator: Any, call: Call) -> Iterator[Term]:
    """One multiplication; a real by a complex number takes two."""
    arguments = named(operator, call)
    yield _mixed("multiplication", call, arguments["self"], arguments["other"], multiplications=2)


@rule("aten.div")
def division(operator: Any, call: Call) -> Iterator[Term]:
    """One division; a complex by a real number takes two."""
    arguments = named(operator, call)
    dividend, divisor = arguments["self"], arguments["other"]
    if is_complex(dividend) and not is_complex(divisor):
        yield on_parts(call, call.out.elements, divisions=2)
    else:
        yield Term("division", count=call.out.elements)


@rule("aten.pow")
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
    """start + weight·(end - start)."""
    yield Term("linear_interpolation", count=call.out.elements)


@rule("aten.addcmul")
def add_product(operator: Any, call: Call) -> Iterator[Term]:
    """A product added; a value other than 1 multiplies it first."""
    scaled = named(operator, call)["value"] != 1
    yield Term("each", count=call.out.elements, multiplications=2 if scaled else 1, additions=1)


@rule("aten.addcdiv")
def add_quotient(operator: Any, call: Call) -> Iterator[Term]:
    """A quotient added; a value other than 1 multiplies it first."""
    scaled = named(operator, call)["value"] != 1
    yield Term("each", count=call.out.elements, multiplications=int(scaled), additions=1, divisions=1)


@rule("aten.index_add", "aten.scatter_add")
def add_at(operator: Any, call: Call) -> Iterator[Term]:
    """One addition for each value put in place."""
    arguments = named(operator, call)
    source = arguments["source"] if "source" in arguments else arguments["src"]
    count = source.elements if isinstance(source, TensorSpec) else call.out.elements
    if arguments.get("alpha", 1) not in (None, 1):
        yield Term("multiplication", role="alpha", count=count)
    yield Term("addition", count=count)


@rule("aten.index_put", "aten._index_put_impl", "aten._unsafe_index_put")
def put_at(operator: Any, call: Call) -> Iterator[Term]:
    """Placing is free; accumulating is one addition for each value."""
    arguments = named(operator, call)
    if arguments["accumulate"]:
        yield Term("addition", count=arguments["values"].elements)


@rule("aten.scatter_reduce", "aten.index_reduce")
def reduce_at(operator: Any, call: Call) -> Iterator[Term]:
    """One sum, product or comparison for each value put in place; a mean divides each position once."""
    arguments = named(operator, call)
    source = arguments["src"] if "src" in arguments else arguments["source"]
    step = {"sum": "addition", "mean": "addition", "prod": "multiplication"}.get(arguments["reduce"], "comparison")
    yield Term(step, count=source.elements)
    if arguments["reduce"] == "mean":
        yield Term("division", count=call.out.elements)


def _mixed(formula: str, call: Call, left: Tree, right: Tree, **operations: Any) -> Term:
    """The formula; where just one of the two is complex, the operations on real and imaginary parts instead."""
    if is_complex(left) != is_complex(right):
        return on_parts(call, call.out.elements, **operations)
    return Term(formula, count=call.out.elements)
