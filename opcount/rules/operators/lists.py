"""Operators on lists of tensors, as optimizers use them: for each tensor what the operator of one tensor costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import optim

from opcount.ops import Call, TensorSpec, Term, tensors
from opcount.rules.operators.parts import scaling
from opcount.rules.optimizer import step_term
from opcount.rules.reading import given
from opcount.rules.registry import free, rule

_POINTWISE = {
    "addition": "add sub",
    "multiplication": "mul",
    "division": "div reciprocal",
    "comparison": "maximum minimum clamp_max clamp_min",
    "transcendental": """
        sqrt rsqrt exp expm1 log log10 log1p log2 sin cos tan asin acos atan sinh cosh tanh erf erfc lgamma
    """,
    "sigmoid": "sigmoid",
    "linear_interpolation": "lerp",
}

free(
    *(
        f"aten._foreach_{name}"
        for name in ["abs", "ceil", "clone", "copy", "floor", "neg", "round", "sign", "trunc", "zero"]
    )
)


def _tie(formula: str, names: str) -> None:
    @rule(*(f"aten._foreach_{name}" for name in names.split()))
    def pointwise(operator: Any, call: Call) -> Iterator[Term]:
        """One for each element of each tensor; alpha other than 1 multiplies first."""
        asked = given(operator, call)
        for spec in tensors(asked.input):
            yield Term(formula, dtype=spec.dtype, count=spec.elements)
            yield from scaling("alpha", asked.get("alpha"), Call((spec,), {}, spec), spec.elements)


for _formula, _names in _POINTWISE.items():
    _tie(_formula, _names)


@rule("aten._foreach_addcmul", "aten._foreach_addcdiv")
def add_product(operator: Any, call: Call) -> Iterator[Term]:
    """A product or quotient added; a value other than 1 multiplies it first."""
    asked = given(operator, call)
    operation: Any = "multiplications" if "addcmul" in operator._schema.name else "divisions"
    values = asked.get("scalars", asked.get("value", 1))
    for place, spec in enumerate(tensors(asked.input)):
        value = values[place] if isinstance(values, (tuple, list)) else values
        yield Term("each", dtype=spec.dtype, count=spec.elements, additions=1, **dict[str, Any]({operation: 1}))
        if isinstance(value, TensorSpec) or value != 1:
            yield Term("multiplication", role="value", dtype=spec.dtype, count=spec.elements)


@rule("aten._foreach_pow")
def powers(operator: Any, call: Call) -> Iterator[Term]:
    """A fixed small exponent by multiplication; any other, one general power."""
    asked = given(operator, call)
    exponent = asked.get("exponent")
    for spec in tensors(asked.input):
        if isinstance(exponent, (int, float)):
            yield Term("power", dtype=spec.dtype, count=spec.elements, exponent=exponent)
        else:
            yield Term("transcendental", dtype=spec.dtype, count=spec.elements)


@rule("aten._foreach_norm")
def norms(operator: Any, call: Call) -> Iterator[Term]:
    """The p-norm of each tensor."""
    asked = given(operator, call)
    for spec in tensors(asked.input):
        yield Term("vector_norm", dtype=spec.dtype, rows=1, length=spec.elements, norm=float(asked.ord))


@rule("aten._fused_adam", "aten._fused_adamw", "aten._fused_sgd")
def fused_steps(operator: Any, call: Call) -> Iterator[Term] | None:
    """A whole step of each parameter."""
    asked = given(operator, call)
    kind = optim.SGD if "sgd" in operator._schema.name else optim.Adam
    names = ("momentum", "dampening", "nesterov", "weight_decay", "amsgrad")
    options = {name: asked.get(name) for name in names}
    steps = (step_term(kind, options, spec.elements, spec.dtype) for spec in tensors(asked.input))
    return (step for step in steps if step is not None)


@rule("aten._amp_foreach_non_finite_check_and_unscale")
def unscaled(operator: Any, call: Call) -> Iterator[Term]:
    """Each gradient times the inverse of the loss's scale; whether it is finite is free."""
    for spec in tensors(given(operator, call).input):
        yield Term("multiplication", dtype=spec.dtype, count=spec.elements)


@rule("aten._amp_update_scale")
def scale_updated(operator: Any, call: Call) -> Iterator[Term]:
    """The scale grown or shrunk, and whether it is time to."""
    yield Term("each", count=1, multiplications=1, comparisons=1)
