"""Products of vectors and matrices: torch.nn.Linear, Bilinear, matmul and its relatives, einsum, FFT."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np

from tests.reference.geometry import cells
from tests.reference.machine import Array, dot, objects, product, total


def linear(inputs: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x Aᵀ + b on the last axis, as torch.nn.Linear: one dot per output. weight (out, in) or (in,)."""
    if weight.ndim == 1:
        return linear(inputs, weight[None], None if bias is None else bias.reshape(1))[..., 0]
    output = objects((*inputs.shape[:-1], weight.shape[0]))
    for *row, out in cells(output.shape):
        value = dot(list(inputs[tuple(row)]), list(weight[out]))
        output[(*row, out)] = value if bias is None else value + bias[out]
    return output


def bilinear(first: Array, second: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x₁ᵀ A x₂ + b, as torch.nn.Bilinear: x₁ᵀA one column at a time, then a dot with x₂. weight (out, in1, in2)."""
    output = objects((*first.shape[:-1], weight.shape[0]))
    for *row, out in cells(output.shape):
        left, right = list(first[tuple(row)]), list(second[tuple(row)])
        columns = [dot(left, list(weight[out, :, column])) for column in range(weight.shape[2])]
        value = dot(columns, right)
        output[(*row, out)] = value if bias is None else value + bias[out]
    return output


def matmul(first: Array, second: Array) -> Array:
    """torch.matmul: vectors, matrices and broadcast batches of them; one dot per output."""
    if first.ndim == 1:
        return matmul(first[None], second)[..., 0, :] if second.ndim > 1 else matmul(first[None], second)[..., 0]
    if second.ndim == 1:
        return matmul(first, second[:, None])[..., 0]
    batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    left = np.broadcast_to(first, (*batch, *first.shape[-2:]))
    right = np.broadcast_to(second, (*batch, *second.shape[-2:]))
    output = objects((*batch, first.shape[-2], second.shape[-1]))
    for *where, row, column in cells(output.shape):
        output[(*where, row, column)] = dot(list(left[(*where, row)]), list(right[tuple(where)][:, column]))
    return output


def add_matmul(added: Array, first: Array, second: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    """beta · added + alpha · (first @ second), as torch.addmm, addmv and baddbmm.

    An alpha or beta of 1 is not multiplied by, and with beta = 0 nothing is added.
    """
    output = matmul(first, second)
    spread = np.broadcast_to(added, output.shape)
    for place in cells(output.shape):
        value = output[place] if alpha == 1 else output[place] * alpha
        if beta != 0:
            value = value + (spread[place] if beta == 1 else spread[place] * beta)
        output[place] = value
    return output


def outer(first: Array, second: Array) -> Array:
    """Every product of an element of one with an element of the other; nothing is contracted."""
    output = objects((*first.shape, *second.shape))
    for place in cells(output.shape):
        output[place] = first[place[: first.ndim]] * second[place[first.ndim :]]
    return output


def einsum(equation: str, *operands: Array) -> Array:
    """torch.einsum, two operands at a time from the left.

    An index that only one operand has, and the output has not, is summed in that operand first. At each step an index
    that no later operand and not the output has is contracted by dots; without any the step is products, not macs.
    """
    terms, result = _spell_out(equation, operands)
    ready = []
    for position, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        term, operand = _diagonal(term, operand)
        elsewhere = set(result).union(*terms[:position], *terms[position + 1 :])
        ready.append(_sum_out(term, operand, elsewhere))
    name, value = ready[0]
    for position, (other, operand) in enumerate(ready[1:], start=2):
        later = set(result).union(*(term for term, _ in ready[position:]))
        name, value = _pair(name, value, other, operand, later)
    return value.transpose([name.index(letter) for letter in result])


def _spell_out(equation: str, operands: tuple[Array, ...]) -> tuple[list[str], str]:
    """The letters of every operand and of the output, with '...' as letters of its own (aligned at the right)."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    missing = [operand.ndim - len(term.replace("...", "")) for term, operand in zip(terms, operands, strict=True)]
    dots = "".join(chr(0x3B1 + index) for index in range(max(missing)))
    if not arrow:
        letters = "".join(terms).replace(".", "")
        right = ("..." if "..." in left else "") + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))
    spelled = [term.replace("...", dots[len(dots) - extra :]) for term, extra in zip(terms, missing, strict=True)]
    return spelled, right.replace("...", dots)


def _diagonal(term: str, operand: Array) -> tuple[str, Array]:
    """An index that one operand has twice reads its diagonal."""
    for letter in term:
        while term.count(letter) > 1:
            first, second = term.index(letter), term.rindex(letter)
            operand = np.moveaxis(np.diagonal(operand, axis1=first, axis2=second), -1, first)
            term = term[:second] + term[second + 1 :]
    return term, operand


def _sum_out(term: str, operand: Array, needed: set[str]) -> tuple[str, Array]:
    """The operand summed over the indices that nobody else needs."""
    kept = "".join(letter for letter in term if letter in needed)
    if kept == term:
        return term, operand
    gone = "".join(letter for letter in term if letter not in needed)
    arranged = operand.transpose([term.index(letter) for letter in kept + gone])
    output = objects(arranged.shape[: len(kept)])
    for place in cells(output.shape):
        output[place] = total(arranged.reshape(*output.shape, -1)[place])
    return kept, output


def _pair(name: str, value: Array, other: str, operand: Array, later: set[str]) -> tuple[str, Array]:
    """One step: what is needed later stays, the rest is contracted. A length of 1 repeats where the other is longer."""
    sizes: dict[str, int] = {}
    for letter, size in [*zip(name, value.shape, strict=True), *zip(other, operand.shape, strict=True)]:
        sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
    letters = "".join(dict.fromkeys(name + other))
    kept = "".join(letter for letter in letters if letter in later)
    gone = "".join(letter for letter in letters if letter not in later)

    def read(array: Array, term: str, at: dict[str, int]) -> Any:
        return array[tuple(min(at[letter], size - 1) for letter, size in zip(term, array.shape, strict=True))]

    output = objects([sizes[letter] for letter in kept])
    for place in cells(output.shape):
        at = dict(zip(kept, place, strict=True))
        terms = [at | dict(zip(gone, summed, strict=True)) for summed in cells([sizes[letter] for letter in gone])]
        left = [read(value, name, term) for term in terms]
        right = [read(operand, other, term) for term in terms]
        output[place] = dot(left, right) if gone else product([left[0], right[0]])
    return kept, output


def fft(points: Array, *, normalised: bool = False) -> Array:
    """The radix-2 discrete Fourier transform of 2^k complex points along the only axis.

    Every butterfly is one complex product with its root of unity (a trivial one too), one sum and one difference.
    `normalised` divides by sqrt(n), as norm='ortho' does.
    """

    def transform(values: list[Any]) -> list[Any]:
        size = len(values)
        if size == 1:
            return values
        even, odd = transform(values[::2]), transform(values[1::2])
        turned = [odd[k] * cmath.exp(-2j * cmath.pi * k / size) for k in range(size // 2)]
        return [a + b for a, b in zip(even, turned, strict=True)] + [a - b for a, b in zip(even, turned, strict=True)]

    output = objects(points.shape)
    for index, value in enumerate(transform(list(points))):
        output[index] = value / float(len(points)) ** 0.5 if normalised else value
    return output
