"""Numbers brought to a grid of whole numbers and back, and layers that compute on such numbers.

A quantized layer's products are of 8-bit whole numbers and its sums of 32-bit ones; what brings its outputs to their
own grid is in floating point. A zero point is subtracted in whole numbers, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.ops import Call, TensorSpec, Term, Tree, tensors
from opcount.rules.reading import named
from opcount.rules.recurrent import cells_of
from opcount.rules.registry import rule
from opcount.rules.shapes import batch_of, spatial

_FLOAT, _FACTORS, _SUMS = "float32", "int8", "int32"


@rule("aten.quantize_per_tensor", "aten.quantize_per_channel", "aten.quantize_per_tensor_dynamic")
def quantize(operator: Any, call: Call) -> Iterator[Term]:
    """clip(round(x / scale) + zero_point): a quotient, a sum, a comparison for each end."""
    yield quantized(call.input.elements)


@rule("aten.dequantize")
def dequantize(operator: Any, call: Call) -> Iterator[Term]:
    """(q - zero_point) * scale."""
    yield dequantized(call.input.elements)


@rule(
    "aten.fake_quantize_per_tensor_affine_cachemask",
    "aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
    "aten.fake_quantize_per_channel_affine_cachemask",
)
def fake_quantize(operator: Any, call: Call) -> Iterator[Term]:
    """There and back."""
    yield Term("each", count=call.out.elements, multiplications=1, additions=2, divisions=1, comparisons=2)


@rule("quantized.linear", "quantized.linear_relu")
def linear(operator: Any, call: Call) -> Iterator[Term]:
    """Dots of whole numbers, the bias as one of them, and the outputs brought to their own grid."""
    arguments = named(operator, call)
    yield from integer_dots("dot", count=call.out.elements, length=arguments["X"].shape[-1])
    yield from _finished(operator, arguments["W_prepack"], call)


@rule(*(f"quantized.conv{axes}d{relu}" for axes in (1, 2, 3) for relu in ("", "_relu")))
@rule(*(f"quantized.conv_transpose{axes}d" for axes in (1, 2, 3)))
def convolution(operator: Any, call: Call) -> Iterator[Term] | None:
    """The same of a convolution; one whose geometry is not packed with its weight is uncounted."""
    packed = named(operator, call).get("packed_weight")
    return None if packed is None else _convolution(operator, packed, call)


def _convolution(operator: Any, packed: Any, call: Call) -> Iterator[Term]:
    name = "transposed_convolution" if packed["transpose"] else "convolution"
    yield from integer_dots(name, **_geometry(packed, call.input, call.out))
    yield from _finished(operator, packed, call)


@rule("quantized.linear_dynamic", "quantized.linear_relu_dynamic")
def dynamic_linear(operator: Any, call: Call) -> Iterator[Term]:
    """The input's range and the input on its grid, dots of whole numbers, and those as real numbers, biased."""
    arguments, outputs = named(operator, call), call.out.elements
    length = arguments["X"].shape[-1]
    yield from _dynamic_dots("", calls=1, inputs=arguments["X"].elements, count=outputs, length=length)
    yield from _bias(arguments["W_prepack"], outputs, _FLOAT)
    yield from _relu(operator, outputs, _FLOAT)


@rule("quantized.linear_dynamic_fp16", "quantized.linear_relu_dynamic_fp16")
def half_precision_linear(operator: Any, call: Call) -> Iterator[Term]:
    """A linear layer whose weight is stored in half precision."""
    arguments, outputs = named(operator, call), call.out.elements
    yield Term("dots", dtype=_FLOAT, count=outputs, length=arguments["X"].shape[-1])
    yield from _bias(arguments["W_prepack"], outputs, _FLOAT)
    yield from _relu(operator, outputs, _FLOAT)


@rule("aten.quantized_lstm", "aten.quantized_gru")
def dynamic_recurrent(operator: Any, call: Call) -> Iterator[Term] | None:
    """A recurrent stack each of whose dots is a dynamic linear layer; of packed sequences uncounted."""
    asked = named(operator, call)
    if "batch_sizes" in asked or asked.get("dtype") not in (None, "qint8"):
        return None
    return _dynamic_recurrent(operator, asked)


def _dynamic_recurrent(operator: Any, asked: Any) -> Iterator[Term]:
    sequence, kind = asked["input"], "lstm" if "lstm" in operator._schema.name else "gru"
    steps, sequences = sequence.shape[1 if asked["batch_first"] else 0], product(sequence.shape[:-1])
    hidden = tensors(asked["hx"])[0].shape[-1]
    directions = 2 if asked["bidirectional"] else 1
    for name, cell in cells_of(kind, asked["num_layers"], directions, sequence.shape[-1], hidden, asked["has_biases"]):
        for term in cell.terms(sequences, name):
            if term.formula == "dots":
                length = term.numbers["length"]
                inputs = product((sequences, length))
                yield from _dynamic_dots(term.role, calls=steps, inputs=inputs, **term.numbers)
            else:
                yield term.with_dtype(_FLOAT)


_ELEMENTWISE = {
    **dict.fromkeys(("add", "add_relu", "add_scalar", "add_scalar_relu"), "addition"),
    **dict.fromkeys(("mul", "mul_relu", "mul_scalar", "mul_scalar_relu"), "multiplication"),
    **{name: name for name in ("hardswish", "sigmoid", "leaky_relu", "elu", "celu")},
    "batch_norm1d": "fixed_normalization",
    "batch_norm2d": "fixed_normalization",
    "batch_norm3d": "fixed_normalization",
}


def _tie(name: str, formula: str) -> None:
    @rule(f"quantized.{name}")
    def pointwise(operator: Any, call: Call) -> Iterator[Term]:
        """The operands as real numbers, the function, and its result on a grid of its own."""
        yield dequantized(sum(spec.elements for spec in tensors(call.args) if spec.dtype.startswith("q")))
        yield Term(formula, dtype=_FLOAT, count=call.out.elements)
        yield from _relu(operator, call.out.elements, call.out.dtype)
        yield quantized(call.out.elements)


for _name, _formula in _ELEMENTWISE.items():
    _tie(_name, _formula)


@rule("quantized.cat", "quantized.cat_relu")
def concatenated(operator: Any, call: Call) -> Iterator[Term]:
    """What is joined comes from grids of its own to a common one."""
    yield dequantized(call.out.elements)
    yield from _relu(operator, call.out.elements, call.out.dtype)
    yield quantized(call.out.elements)


def quantized(count: int) -> Term:
    """Real numbers brought to a grid."""
    return Term("each", role="to the grid", dtype=_FLOAT, count=count, additions=1, divisions=1, comparisons=2)


def requantized(count: int) -> Term:
    """Sums brought to the grid of the output."""
    return Term("each", role="requantization", dtype=_FLOAT, count=count, multiplications=1, additions=1, comparisons=2)


def dequantized(count: int) -> Term:
    """Back from a grid to real numbers."""
    return Term("each", role="from the grid", dtype=_FLOAT, count=count, additions=1, multiplications=1)


def integer_dots(name: str, **numbers: Any) -> Iterator[Term]:
    """A contraction of whole numbers: its factors in 8 bits, its sums in 32."""
    yield Term(f"{name}_products", dtype=_FACTORS, **numbers)
    yield Term(f"{name}_sums", dtype=_SUMS, **numbers)


def _dynamic_dots(role: str, *, calls: int, inputs: int, count: int, length: int) -> Iterator[Term]:
    """Dots with inputs whose range is looked for at each call: their extremes, then scale and zero point."""
    of = f"{role} " if role else ""
    for end in ("smallest", "largest"):
        yield Term("extrema", role=f"{of}{end}", dtype=_FLOAT, rows=calls, length=inputs // calls if calls else 0)
    yield Term("each", role=f"{of}scale and zero point", dtype=_FLOAT, count=calls, additions=2, divisions=2)
    yield quantized(inputs)
    yield from integer_dots("dot", count=count, length=length)
    yield Term("multiplication", role=f"{of}scale", dtype=_FLOAT, count=count)


def _finished(operator: Any, packed: Any, call: Call) -> Iterator[Term]:
    """What follows the dots: the bias, the activation, and the scale, zero point and ends of the output's grid."""
    outputs = call.out.elements
    yield from _bias(packed, outputs, _SUMS)
    yield from _relu(operator, outputs, call.out.dtype)
    yield requantized(outputs)


def _bias(packed: Any, outputs: int, dtype: str) -> Iterator[Term]:
    if packed["bias"] is not None:
        yield Term("bias", role="bias", dtype=dtype, count=outputs)


def _relu(operator: Any, outputs: int, dtype: str) -> Iterator[Term]:
    if "_relu" in operator._schema.name and not operator._schema.name.endswith("leaky_relu"):
        yield Term("relu", dtype=dtype, count=outputs)


def _geometry(packed: Any, before: TensorSpec, after: TensorSpec) -> dict[str, Tree]:
    """The numbers of a convolution's formula. One along a line is packed as one over images of height 1."""
    weight, axes = packed["weight"].shape, len(packed["weight"].shape) - 2
    before_sizes, after_sizes = spatial(before, axes), spatial(after, axes)
    if len(before.shape) == axes + 1:
        before_sizes, after_sizes = (1, before.shape[-1]), (1, after.shape[-1])
        batch = before.shape[0]
    else:
        batch = batch_of(after, axes)
    transposed, groups = packed["transpose"], packed["groups"]
    numbers = {
        "batch": batch,
        "in_channels": weight[0] if transposed else weight[1] * groups,
        "out_channels": weight[1] * groups if transposed else weight[0],
        "groups": groups,
        "kernel": tuple(weight[2:]),
        "input": before_sizes,
        "stride": tuple(packed["stride"]),
        "dilation": tuple(packed["dilation"]),
    }
    return numbers if transposed else {**numbers, "output": after_sizes, "padding": tuple(packed["padding"])}
