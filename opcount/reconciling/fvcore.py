"""fvcore: the operators of a trace, by the names that PyTorch's tracer gives them.

Multiplications of contractions, bias left out; norms, adaptive pooling and interpolation beside them in the same sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec
from opcount.reconciling import calls
from opcount.reconciling.calls import CONVOLUTIONS, TRANSPOSED, Convention, asked, elements, output
from opcount.reconciling.tools import Charge

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen


def charges(seen: Seen) -> Iterator[Charge]:
    """What its handle for the traced operator adds."""
    if seen.level == "function":
        handle = _FUNCTIONS.get(seen.subject)
        if handle is not None:
            yield from handle(seen)


def why(seen: Seen, charged: int) -> str | None:
    """What it leaves out of a convolution with its padding in words, and of an einsum that numpy counts for it."""
    for each in seen.walk():
        if each.subject in CONVOLUTIONS and _in_words(each):
            return "convolutions whose padding is a word: traced under a name that it does not know"
        if each.subject is torch.einsum and charged:
            return "einsum: numpy's figure halved, of which numpy prints four digits"
    return None


def _convolution(seen: Seen) -> Iterator[Charge]:
    if not _in_words(seen):
        yield from calls.convolution(seen)


def _in_words(seen: Seen) -> bool:
    return seen.call is not None and isinstance(asked(seen).padding, str)


def _recurrent_cell(seen: Seen) -> Iterator[Charge]:
    """Its two linear functions, which the tracer sees."""
    call = asked(seen)
    state = call.hx[0] if isinstance(call.hx, tuple) else call.hx
    yield Charge(product((call.input.elements, call.w_ih.shape[0])))
    yield Charge(product((state.elements, call.w_hh.shape[0])))


def _addmm(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    yield Charge(product((call.mat1.elements, call.mat2.shape[1])))


def _batch_norm(seen: Seen) -> Iterator[Charge]:
    call = asked(seen)
    times = (5 if call.training else 2) if isinstance(call.weight, TensorSpec) else (4 if call.training else 1)
    yield Charge(product((times, call.input.elements)), f"batch norm, {times} an element")


def _norm(name: str) -> Any:
    def norm(seen: Seen) -> Iterator[Charge]:
        call = asked(seen)
        times = 5 if isinstance(call.weight, TensorSpec) else 4
        yield Charge(product((times, call.input.elements)), f"{name}, {times} an element")

    return norm


_KNOWN_EINSUMS = ("abc,abd->acd", "abc,adc->adb")


def _einsum(seen: Seen) -> Iterator[Charge]:
    equation, shapes = calls.einsum_operands(seen)
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    renamed = equation.translate({ord(letter): 97 + index for index, letter in enumerate(letters)})
    if renamed == _KNOWN_EINSUMS[0]:
        yield Charge(product((*shapes[0], shapes[-1][-1])))
    elif renamed == _KNOWN_EINSUMS[1]:
        yield Charge(product((*shapes[0], shapes[-1][1])))
    else:
        yield Charge(int(calls.einsum_by_numpy(renamed, shapes) // 2))


def _bilinear_samples(seen: Seen) -> Iterator[Charge]:
    yield Charge(product((4, output(seen).elements)), "bilinear interpolation, 4 an output")


_FUNCTIONS: Convention = {
    F.linear: calls.linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(TRANSPOSED, calls.transposed_convolution),
    **dict.fromkeys(
        (torch.matmul, torch.Tensor.matmul, torch.mm, torch.Tensor.mm, torch.bmm, torch.Tensor.bmm),
        calls.matrix_product,
    ),
    **dict.fromkeys((torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell), _recurrent_cell),
    torch.addmm: _addmm,
    torch.Tensor.addmm: _addmm,
    torch.einsum: _einsum,
    torch.batch_norm: _batch_norm,
    torch.layer_norm: _norm("layer norm"),
    torch.group_norm: _norm("group norm"),
    torch.instance_norm: _norm("instance norm"),
    torch._C._nn.adaptive_avg_pool2d: elements("adaptive average pooling, 1 an input element"),
    torch._C._nn.upsample_nearest2d: elements("nearest interpolation, 1 an output", of="output"),
    torch._C._nn.upsample_bilinear2d: _bilinear_samples,
    torch.grid_sampler: _bilinear_samples,
}
