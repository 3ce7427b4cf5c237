"""Reading the calls that conventions are about: what several tools make of them in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec, tensors
from opcount.reconciling.tools import Charge
from opcount.rules.reading import Given, given

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
POOLS = (
    *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.max_pool1d, F.max_pool2d, F.max_pool3d),
    *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
    *(F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
)

Convention = Mapping[Any, Callable[["Seen"], Iterable[Charge]]]
"""What a tool charges, by the function, operator or layer class that it looks for."""


def asked(seen: Seen) -> Given:
    """What was called, with its arguments by name."""
    return given(seen.subject, seen.call)  # type: ignore[arg-type]  # only calls that returned are charged


def output(seen: Seen) -> TensorSpec:
    """The first tensor that came back."""
    return seen.call.out  # type: ignore[union-attr]


def first(seen: Seen) -> TensorSpec:
    """The first tensor that went in."""
    return seen.call.input  # type: ignore[union-attr]


def matrix_product(seen: Seen) -> Iterator[Charge]:
    """Every element of the first operand meets each column of the second."""
    left, right = tensors((seen.call.args, seen.call.kwargs))[:2]  # type: ignore[union-attr]
    yield Charge(product((left.elements, right.shape[-1])))


def linear(seen: Seen) -> Iterator[Charge]:
    """Every element of the input meets each row of the weight."""
    call = asked(seen)
    yield Charge(product((call.input.elements, call.weight.shape[0])))


def convolution(seen: Seen) -> Iterator[Charge]:
    """The whole weight for each position of the output."""
    call, out = asked(seen), output(seen)
    axes = len(call.weight.shape) - 2
    yield Charge(product((*_batch(out, axes), *call.weight.shape, *_places(out, axes))))


def transposed_convolution(seen: Seen) -> Iterator[Charge]:
    """The whole weight for each position of the input."""
    call = asked(seen)
    axes = len(call.weight.shape) - 2
    yield Charge(product((*_batch(call.input, axes), *call.weight.shape, *_places(call.input, axes))))


def any_convolution(seen: Seen) -> Iterator[Charge]:
    """Plain or transposed, as the operator is told."""
    return (transposed_convolution if asked(seen).transposed else convolution)(seen)


def _batch(tensor: TensorSpec, axes: int) -> tuple[int, ...]:
    return tensor.shape[: len(tensor.shape) - axes - 1]


def _places(tensor: TensorSpec, axes: int) -> tuple[int, ...]:
    return tensor.shape[len(tensor.shape) - axes :]


def elements(reason: str, times: int = 1, *, of: str = "input") -> Callable[[Seen], Iterator[Charge]]:
    """So much for each element that went in, or that came out."""

    def each(seen: Seen) -> Iterator[Charge]:
        tensor = first(seen) if of == "input" else output(seen)
        yield Charge(product((times, tensor.elements)), reason)

    return each


def nothing(_: Seen) -> Iterator[Charge]:
    """Known, and free."""
    return iter(())


def within(seen: Seen, function: Any) -> bool:
    """Whether a call was made inside a call of that function."""
    return any(outer.subject is function for outer in seen.above() if outer.level == "function")


def for_each_path(seen: Seen, charges: Iterable[Charge]) -> Iterator[Charge]:
    """The same once more for every further path that leads to the layer, by tools that add up their tree of layers."""
    for charge in charges:
        yield charge
        if seen.places > 1 and charge.amount:
            yield Charge(
                product((charge.amount, seen.places - 1)),
                "layers that several paths lead to, added up once for each",
            )


def einsum_by_numpy(equation: str, shapes: list[tuple[int, ...]]) -> float:
    """The "optimized FLOP count" that numpy prints for an einsum, to the four digits that it prints."""
    import numpy as np

    arrays = [np.broadcast_to(np.zeros(()), shape) for shape in shapes]
    report = np.einsum_path(equation, *arrays, optimize="optimal")[1]
    line = next(line for line in report.split("\n") if "optimized flop" in line.lower())
    return float(line.rpartition(":")[2])


def einsum_operands(seen: Seen) -> tuple[str, list[tuple[int, ...]]]:
    """The equation of an einsum without spaces, and the shapes of its operands."""
    equation, *_ = seen.call.args  # type: ignore[union-attr]
    shapes = [spec.shape for spec in tensors(seen.call.args)]  # type: ignore[union-attr]
    return str(equation).replace(" ", ""), shapes


FUSED = torch._C._nn.scaled_dot_product_attention


def in_one_kernel(seen: Seen) -> bool:
    """Whether an operator is part of what the CPU does in one kernel, or in other steps than those seen on shapes."""
    for outer in seen.above():
        if outer.level == "function":
            if outer.subject is FUSED:
                return _fuses(outer)
            if outer.subject in RECURRENT:
                return True
    return False


def _fuses(seen: Seen) -> bool:
    """Whether PyTorch takes its one kernel for this attention: it is asked, about tensors that hold one row each."""
    if seen.call is None:
        return False
    call = asked(seen)
    query, key, value = (_thin(spec) for spec in (call.query, call.key, call.value))
    mask = _thin(call.attn_mask) if isinstance(call.attn_mask, TensorSpec) else None
    options = {"scale": call.scale, "enable_gqa": bool(call.get("enable_gqa"))}
    return bool(torch._fused_sdp_choice(query, key, value, mask, call.dropout_p, call.is_causal, **options))


def _thin(spec: TensorSpec) -> torch.Tensor:
    row = torch.empty(spec.shape[-1] if spec.shape else 1, dtype=getattr(torch, spec.dtype))
    return row.as_strided(spec.shape, (*(0 for _ in spec.shape[1:]), 1)[-len(spec.shape) :] if spec.shape else ())


RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


def recurrent_steps(seen: Seen) -> tuple[int, int]:
    """What a recurrent function is made of on the CPU: its products, and the biases added by the same operators.

    A whole LSTM is one kernel, which is neither. Where the batch comes first, the input is not contiguous, and the bias
    of its product is added by an operator of its own.
    """
    args = seen.call.args  # type: ignore[union-attr]
    packed = isinstance(args[2], TensorSpec) is False and isinstance(args[3], tuple)
    weights = args[3] if packed else args[2]
    if not packed and seen.subject is torch.lstm and not _projects(weights, args):
        return 0, 0
    steps = args[0].shape[0] if packed else args[0].shape[0] * args[0].shape[1]
    products = sum(spec.elements for spec in weights if len(spec.shape) == 2)
    biases = [spec.elements for spec in weights if len(spec.shape) == 1]
    left_out = sum(biases[:1]) * (2 if args[-2] else 1) if not packed and args[-1] else 0
    return product((steps, products)), product((steps, sum(biases) - left_out))


def _projects(weights: tuple[TensorSpec, ...], args: tuple[Any, ...]) -> bool:
    """Whether an LSTM projects its state: then each layer has one weight more."""
    has_biases, layers, both_ways = bool(args[3]), args[4], bool(args[-2])
    return bool(len(weights) != layers * (2 if both_ways else 1) * (4 if has_biases else 2))


def kept_by_layer(seen: Seen) -> bool:
    """Whether the layer had kept the function itself before any tool could put itself before it."""
    layer = next((outer.subject for outer in seen.above() if outer.level == "layer"), None)
    return layer is not None and any(_is_same(value, seen.subject) for value in vars(layer).values())


def _is_same(value: Any, function: Any) -> bool:
    """Whether two are one function, or one was copied with the layer from the other."""
    code = getattr(function, "__code__", None)
    return bool(value is function or (code is not None and getattr(value, "__code__", None) is code))
