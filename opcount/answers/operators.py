"""Answers of operators, for the plain cases: floating tensors of one type, sizes that fit."""

from __future__ import annotations

from typing import Any

from opcount.answers.registry import answer
from opcount.ops import Call, TensorSpec, Tree, tensors
from opcount.rules import operator_name
from opcount.rules.reading import given, named

_ELEMENTWISE = """
    add sub rsub mul div maximum minimum relu relu6 hardtanh leaky_relu threshold hardshrink softshrink sigmoid silu
    hardsigmoid hardswish celu softplus mish gelu elu reciprocal exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin
    cos tan tanh erf erfc neg abs clamp clamp_min clamp_max lerp addcmul addcdiv pow floor ceil round trunc sign frac
"""
_COMPARING = "eq ne lt le gt ge"
_KEEPING_WHOLE = frozenset({"aten.add", "aten.sub", "aten.mul"})
_AS_GIVEN = "_softmax _log_softmax softmax log_softmax clone contiguous cumsum cumprod masked_fill tril triu flip roll"


def _aten(names: str) -> list[str]:
    return [f"aten.{name}" for name in names.split()]


@answer(*_aten(_ELEMENTWISE))
def elementwise(operator: Any, call: Call) -> TensorSpec | None:
    """What the operands broadcast to, in the type that they share; sums and products of whole numbers are whole."""
    return _broadcast(call, whole=operator_name(operator) in _KEEPING_WHOLE)


@answer(*_aten(_COMPARING))
def comparison(operator: Any, call: Call) -> TensorSpec | None:
    """What the operands broadcast to, true or false."""
    found = _broadcast(call, whole=True)
    return None if found is None else TensorSpec(found.shape, "bool")


@answer(*_aten(_AS_GIVEN))
def as_given(operator: Any, call: Call) -> TensorSpec | None:
    """What it was given."""
    arguments = named(operator, call)
    if arguments.get("dtype") is not None or arguments.get("half_to_float"):
        return None
    spec, others = arguments["self"], tensors((call.args[1:], call.kwargs))
    if not spec.floating or any(_broadcast_shapes([spec.shape, other.shape]) != spec.shape for other in others):
        return None
    return TensorSpec(spec.shape, spec.dtype)


@answer("aten._to_copy")
def cast(operator: Any, call: Call) -> TensorSpec | None:
    """What it was given, in another type."""
    arguments = named(operator, call)
    return TensorSpec(arguments["self"].shape, arguments["dtype"] or arguments["self"].dtype)


@answer("aten.where")
def where(operator: Any, call: Call) -> TensorSpec | None:
    """What condition and choices broadcast to."""
    if len(call.args) != 3 or not all(isinstance(argument, TensorSpec) for argument in call.args):
        return None
    shape = _broadcast_shapes([spec.shape for spec in call.args])
    same = call.args[1].dtype == call.args[2].dtype
    return TensorSpec(shape, call.args[1].dtype) if shape is not None and same else None


@answer("aten.native_layer_norm")
def layer_norm(operator: Any, call: Call) -> Tree:
    """The normalized input, and mean and reciprocal deviation of each row."""
    arguments = named(operator, call)
    spec, normalized = arguments["input"], tuple(arguments["normalized_shape"])
    lead = spec.shape[: len(spec.shape) - len(normalized)]
    if spec.dtype not in ("float32", "float64") or spec.shape != (*lead, *normalized):
        return None
    rows = TensorSpec((*lead, *(1,) * len(normalized)), spec.dtype)
    return TensorSpec(spec.shape, spec.dtype), rows, rows


@answer("aten.cat")
def concatenation(operator: Any, call: Call) -> TensorSpec | None:
    """The sizes along the dimension added up."""
    arguments = named(operator, call)
    parts, dim = arguments["tensors"], arguments["dim"] or 0
    rank = len(parts[0].shape)
    if not -rank <= dim < rank or any(len(part.shape) != rank or part.dtype != parts[0].dtype for part in parts):
        return None
    dim %= rank
    if len({(part.shape[:dim], part.shape[dim + 1 :]) for part in parts}) != 1:
        return None
    shape = parts[0].shape
    return TensorSpec((*shape[:dim], sum(part.shape[dim] for part in parts), *shape[dim + 1 :]), parts[0].dtype)


@answer("aten.mm", "aten.bmm")
def matrix_product(operator: Any, call: Call) -> TensorSpec | None:
    """Rows of the one by columns of the other."""
    return _product(*call.args) if len(call.args) == 2 else None


@answer("aten._grouped_mm", "transformers.grouped_mm_fallback")
def grouped_matrix_product(operator: Any, call: Call) -> TensorSpec | None:
    """Each row by its group's matrix, of whatever type: PyTorch's own meta kernel knows bfloat16 alone."""
    left, right = call.args[:2]
    arguments = named(operator, call)
    if len(left.shape) != 2 or len(right.shape) != 3 or left.shape[1] != right.shape[1] or left.dtype != right.dtype:
        return None
    if arguments.get("out_dtype") is not None or arguments["offs"].shape != right.shape[:1]:
        return None
    return TensorSpec((left.shape[0], right.shape[2]), left.dtype)


@answer("aten.addmm", "aten.baddbmm")
def add_matrix_product(operator: Any, call: Call) -> TensorSpec | None:
    """Rows of the one by columns of the other, if the input broadcasts to that."""
    if len(call.args) != 3:
        return None
    found = _product(*call.args[1:])
    if found is None or _broadcast_shapes([call.args[0].shape, found.shape]) != found.shape:
        return None
    return found if call.args[0].dtype == found.dtype else None


@answer("aten.sum", "aten.mean", "aten.amax", "aten.amin", "aten.var")
def reduction(operator: Any, call: Call) -> TensorSpec | None:
    """What is left of the dimensions."""
    arguments = named(operator, call)
    spec, dims = arguments["self"], arguments.get("dim")
    rank = len(spec.shape)
    if not spec.floating or arguments.get("dtype") is not None or not isinstance(dims, tuple) or not dims:
        return None
    if any(not -rank <= dim < rank for dim in dims) or 0 in spec.shape:
        return None
    gone = {dim % rank for dim in dims}
    if len(gone) < len(dims):
        return None
    if arguments["keepdim"]:
        return TensorSpec(tuple(1 if axis in gone else size for axis, size in enumerate(spec.shape)), spec.dtype)
    return TensorSpec(tuple(size for axis, size in enumerate(spec.shape) if axis not in gone), spec.dtype)


@answer("aten.constant_pad_nd")
def padding(operator: Any, call: Call) -> TensorSpec | None:
    """The last dimensions grown by what is given for each, last first."""
    spec, pads = call.args[:2]
    sizes = list(spec.shape)
    if len(pads) % 2 or len(pads) // 2 > len(sizes) or not sizes:
        return None
    for index in range(len(pads) // 2):
        sizes[-1 - index] += pads[2 * index] + pads[2 * index + 1]
    return TensorSpec(tuple(sizes), spec.dtype) if min(sizes) >= 0 else None


_RESAMPLED = """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
    upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
"""


@answer(*_aten(_RESAMPLED))
def resampling(operator: Any, call: Call) -> TensorSpec | None:
    """The sizes that it was asked for; those that it is to work out itself by a factor run."""
    asked, axes = given(operator, call), int(operator_name(operator)[-2])
    spec, sizes = asked.input, asked.output_size
    if not isinstance(sizes, tuple) or len(sizes) != axes or len(spec.shape) != 2 + axes or not spec.floating:
        return None
    if 0 in spec.shape or not all(isinstance(size, int) and size > 0 for size in sizes):
        return None
    return TensorSpec((*spec.shape[:2], *sizes), spec.dtype)


@answer("aten.embedding")
def embedding(operator: Any, call: Call) -> TensorSpec | None:
    """A vector for each index."""
    weight, indices = call.args[:2]
    if len(weight.shape) != 2 or indices.dtype not in ("int32", "int64"):
        return None
    return TensorSpec((*indices.shape, weight.shape[1]), weight.dtype)


@answer("aten.index")
def index(operator: Any, call: Call) -> TensorSpec | None:
    """A row for each index, if there is one tensor of them."""
    spec, indices = call.args[:2]
    if len(indices) != 1 or not isinstance(indices[0], TensorSpec) or not spec.shape:
        return None
    if indices[0].dtype not in ("int32", "int64") or 0 in spec.shape:
        return None
    return TensorSpec((*indices[0].shape, *spec.shape[1:]), spec.dtype)


@answer("aten.copy")
def copy(operator: Any, call: Call) -> TensorSpec | None:
    """What is written to, if what is written broadcasts to that."""
    into, written = call.args[:2]
    if not isinstance(written, TensorSpec) or _broadcast_shapes([into.shape, written.shape]) != into.shape:
        return None
    return TensorSpec(into.shape, into.dtype)


@answer("aten._unsafe_view")
def unsafe_view(operator: Any, call: Call) -> TensorSpec | None:
    """The sizes that it was asked for, if they hold as much and none is left open."""
    spec, sizes = call.args[:2]
    asked = TensorSpec(tuple(sizes), spec.dtype)
    return asked if min(sizes, default=1) > 0 and asked.elements == spec.elements else None


@answer("aten.index_select")
def index_select(operator: Any, call: Call) -> TensorSpec | None:
    """As many as there are indices, along the dimension."""
    spec, dim, indices = call.args[:3]
    rank = len(spec.shape)
    if len(indices.shape) != 1 or not -rank <= dim < rank:
        return None
    dim %= rank
    return TensorSpec((*spec.shape[:dim], indices.shape[0], *spec.shape[dim + 1 :]), spec.dtype)


@answer("aten.stack")
def stack(operator: Any, call: Call) -> TensorSpec | None:
    """A new dimension, as long as there are tensors."""
    arguments = named(operator, call)
    parts, dim = arguments["tensors"], arguments["dim"] or 0
    shape, rank = parts[0].shape, len(parts[0].shape) + 1
    if any(part.shape != shape or part.dtype != parts[0].dtype for part in parts) or not -rank <= dim < rank:
        return None
    dim %= rank
    return TensorSpec((*shape[:dim], len(parts), *shape[dim:]), parts[0].dtype)


def _product(left: TensorSpec, right: TensorSpec) -> TensorSpec | None:
    fits = left.shape[-1] == right.shape[-2] and left.shape[:-2] == right.shape[:-2]
    return TensorSpec((*left.shape[:-1], right.shape[-1]), left.dtype) if fits and left.dtype == right.dtype else None


def _broadcast(call: Call, *, whole: bool = False) -> TensorSpec | None:
    operands = tensors((call.args, call.kwargs))
    dtype = operands[0].dtype
    if any(operand.dtype != dtype for operand in operands):
        return None
    numbers = [value for value in (*call.args, *call.kwargs.values()) if not isinstance(value, TensorSpec)]
    if whole and dtype in ("int32", "int64"):
        if any(type(number) is not int for number in numbers):
            return None
    elif not dtype.startswith(("float", "bfloat")) or any(isinstance(number, complex) for number in numbers):
        return None
    shape = _broadcast_shapes([operand.shape for operand in operands])
    return None if shape is None else TensorSpec(shape, dtype)


def _broadcast_shapes(shapes: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """What shapes broadcast to; None if they do not."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    longest = max(map(len, shapes))
    result = []
    for sizes in zip(*((1,) * (longest - len(shape)) + shape for shape in shapes)):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            return None
        result.append(others.pop() if others else 1)
    return tuple(result)
