"""Integer arithmetic that works on ints and on sympy symbols alike, and the geometry of windows.

Every function is a closed form, or takes a number of steps that does not grow with the input's or the output's size.
Symbols stand for positive integers, "large enough" where two of them are compared; sympy is imported only when one
turns up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from opcount.errors import RuleError
from opcount.ops import Number


def is_exact(*numbers: Number) -> bool:
    """Whether all of these are plain ints."""
    return all(isinstance(number, int) for number in numbers)


def product(sizes: Iterable[Number]) -> Number:
    """The product of all sizes; 1 of none.

    >>> product((2, 3, 4))
    24
    """
    result: Number = 1
    for size in sizes:
        result = result * size
    return result


def one_less(length: Number) -> Number:
    """``max(length - 1, 0)``: the operations that fold ``length`` values into one.

    >>> one_less(5), one_less(0)
    (4, 0)
    """
    return max(length - 1, 0) if isinstance(length, int) else length - 1


def quotient(number: Number, divisor: Number) -> Number:
    """An exact quotient: channels per group, say.

    >>> quotient(12, 4)
    3
    """
    if not is_exact(number, divisor):
        return number / divisor
    whole, rest = divmod(number, divisor)
    if rest:
        raise RuleError(f"{number} is not divisible by {divisor}")
    return whole


def floor_quotient(number: Number, divisor: Number) -> Number:
    """``number // divisor``."""
    if is_exact(number, divisor):
        return number // divisor
    return _sympy().floor(number / _sympy().Integer(divisor) if isinstance(divisor, int) else number / divisor)


def minimum(a: Number, b: Number) -> Number:
    """The smaller of two; among symbols, the one that is smaller for large sizes."""
    return min(a, b) if is_exact(a, b) else _pick(a, b, smaller=True)


def maximum(a: Number, b: Number) -> Number:
    """The larger of two; among symbols, the one that is larger for large sizes."""
    return max(a, b) if is_exact(a, b) else _pick(a, b, smaller=False)


def ceil_log2(number: Number) -> Number:
    """The smallest k with ``2**k >= number``; 0 for one or less.

    >>> [ceil_log2(n) for n in (0, 1, 2, 3, 8, 9)]
    [0, 0, 1, 2, 3, 4]
    """
    if is_exact(number):
        return max(number - 1, 0).bit_length()
    return _sympy().ceiling(_sympy().log(number, 2))


def greatest_common_divisor(a: Number, b: Number) -> Number:
    """gcd of two ints, or of ``n*h + r`` and ``n``: symbols have to lie within one residue class of the int.

    Raises:
        RuleError: the symbols do not fix the divisor.
    """
    if is_exact(a, b):
        return math.gcd(a, b)
    if a == b:
        return a
    sympy = _sympy()
    if not is_exact(b):
        a, b = b, a
    if not is_exact(b):
        whole = sympy.cancel(a / b), sympy.cancel(b / a)
        if whole[0].is_integer:
            return b
        if whole[1].is_integer:
            return a
        raise RuleError(f"the greatest common divisor of {a} and {b} depends on the values; fix one of them")
    polynomial = sympy.Poly(a, *sorted(a.free_symbols, key=str))
    fixed = polynomial.eval(dict.fromkeys(polynomial.gens, 0))
    varying = [int(coefficient) for coefficient in (polynomial - fixed).coeffs()]
    if any(coefficient % b for coefficient in varying):
        raise RuleError(f"{a} is not within one residue class of {b}; write it as {b}*n + r")
    return math.gcd(int(fixed), b)


def floor_sum(terms: int, modulus: int, step: int, start: int) -> int:
    """``sum((start + step*i) // modulus for i in range(terms))`` in O(log) steps, for any signs of step and start.

    >>> floor_sum(4, 3, 2, 1) == sum((1 + 2 * i) // 3 for i in range(4))
    True
    """
    total, sign = 0, 1
    while terms > 0:
        total += sign * (terms * (terms - 1) // 2 * (step // modulus) + terms * (start // modulus))
        step, start = step % modulus, start % modulus
        highest = step * (terms - 1) + start
        if highest < modulus:
            break
        # Count the lattice points under the line from the other axis.
        rows = highest // modulus
        total += sign * rows * terms
        sign = -sign
        # sum over rows r=1..rows of the first i that reaches r: ceil((r*modulus - start) / step)
        terms, start, step, modulus = rows, modulus - start + step - 1, modulus, step
    return total


def real_taps(
    inputs: Number, outputs: Number, kernel: Number, stride: Number, padding: Number, dilation: Number
) -> Number:
    """Along one axis, how many (output, tap) pairs land on the input: the sum of the clipped windows' sizes.

    Args:
        inputs, outputs: sizes of the axis before and after.
        padding: how far the first window starts before the input.

    >>> real_taps(4, 4, 3, 1, 1, 1)  # windows of 2, 3, 3, 2
    10
    """
    last_start = (outputs - 1) * stride - padding
    if padding == 0 and _surely_at_least(inputs, last_start + (kernel - 1) * dilation + 1):
        return outputs * kernel
    reach = inputs - 1 + padding
    if is_exact(inputs, outputs, kernel, stride, padding, dilation):
        return _starts_up_to(reach, outputs, kernel, stride, dilation) - _starts_up_to(
            padding - 1, outputs, kernel, stride, dilation
        )
    if not is_exact(kernel):
        raise RuleError(f"a clipped window needs a kernel size in numbers, not {kernel}")
    pairs: Number = 0
    for tap in range(kernel):
        offset = tap * dilation
        below = _clip(floor_quotient(padding - 1 - offset, stride) + 1, outputs)
        pairs = pairs + _clip(floor_quotient(reach - offset, stride) + 1, outputs) - below
    return pairs


def reached_outputs(
    inputs: Number, outputs: Number, kernel: Number, stride: Number, padding: Number, dilation: Number
) -> Number:
    """Along one axis, how many outputs have at least one tap on the input.

    >>> reached_outputs(1, 5, 3, 1, 3, 1)  # windows start at -3..1; those at -3 and 1 see nothing
    3
    """
    if inputs == 0:
        return 0
    up_to_end = _clip(floor_quotient(inputs - 1 + padding, stride) + 1, outputs)  # start <= inputs - 1
    too_early = padding - (kernel - 1) * dilation  # windows starting before this end before the input
    unreached = _clip(floor_quotient(too_early - 1, stride) + 1, outputs)
    reached = up_to_end - unreached
    if not is_exact(inputs) or inputs >= dilation or not is_exact(outputs, padding):
        return maximum(reached, 0) if is_exact(reached) else reached
    # The input is narrower than the gap between taps: of the windows that start before it, only those count whose
    # start has a residue that puts a tap on it.
    first, end = unreached, _clip(floor_quotient(padding - 1, stride) + 1, outputs)
    before = max(end - first, 0)
    hit = floor_sum(before, dilation, stride, first * stride - padding) - floor_sum(
        before, dilation, stride, first * stride - padding - inputs
    )
    return max(up_to_end - max(end, first), 0) + hit


def distinct_sums(inputs: Number, kernel: Number, stride: Number, dilation: Number) -> Number:
    """How many distinct values ``i*stride + k*dilation`` takes: the positions a transposed convolution writes to.

    >>> distinct_sums(3, 3, 2, 1)
    7
    """
    common = greatest_common_divisor(stride, dilation)
    pairs_apart = quotient(dilation, common), quotient(stride, common)
    overlap = _clip_below(inputs - pairs_apart[0]) * _clip_below(kernel - pairs_apart[1])
    return inputs * kernel - overlap


def covered_inputs(
    inputs: Number, outputs: Number, kernel: Number, stride: Number, padding: Number, dilation: Number
) -> Number:
    """Along one axis, how many inputs lie under a tap of at least one window: the positions a gradient is added up at.

    >>> covered_inputs(7, 3, 2, 3, 0, 1)  # windows at 0, 3 and 6, of which the last has one tap outside
    5
    """
    last = (outputs - 1) * stride - padding + (kernel - 1) * dilation
    if padding == 0 and _surely_at_least(inputs, last + 1):
        return distinct_sums(outputs, kernel, stride, dilation)
    if not is_exact(inputs, outputs, kernel, stride, padding, dilation):
        raise RuleError("how many inputs clipped windows cover needs sizes in numbers")
    if outputs == 0:
        return 0
    common = math.gcd(stride, dilation)
    repeat, apart = stride // common, dilation // common
    covered = 0
    for tap in range(min(kernel, repeat)):  # taps `repeat` apart reach the same residue, `apart` windows later
        start, blocks = tap * dilation - padding, (kernel - 1 - tap) // repeat + 1
        first = max(-(start // stride), 0)
        end = min((inputs - 1 - start) // stride, (blocks - 1) * apart + outputs - 1)
        covered += max(_blocks_up_to(end, outputs, apart) - _blocks_up_to(first - 1, outputs, apart), 0)
    return covered


def _blocks_up_to(limit: int, length: int, apart: int) -> int:
    """Of blocks of ``length`` whole numbers that begin every ``apart`` from 0 on, how many lie at or below a limit."""
    if limit < 0:
        return 0
    if length >= apart:
        return limit + 1
    return limit // apart * length + min(limit % apart + 1, length)


def used_taps(
    inputs: Number, outputs: Number, kernel: Number, stride: Number, padding: Number, dilation: Number
) -> Number:
    """Along one axis, how many taps of the kernel land on the input for at least one output.

    >>> used_taps(1, 1, 3, 1, 1, 1)
    1
    """
    last = (outputs - 1) * stride - padding + (kernel - 1) * dilation
    if padding == 0 and _surely_at_least(inputs, last + 1):
        return kernel
    if not is_exact(inputs, outputs, kernel, stride, padding, dilation):
        raise RuleError("how many taps land on the input needs sizes in numbers")
    used = 0
    for tap in range(kernel):
        start = tap * dilation - padding
        used += max(-(start // stride), 0) <= min((inputs - 1 - start) // stride, outputs - 1)
    return used


def adaptive_windows(inputs: Number, outputs: Number) -> Number:
    """Along one axis, the sum of the sizes of adaptive pooling's windows ``[floor(i*I/O), ceil((i+1)*I/O))``.

    Neighbours share an element wherever a boundary falls inside one, which is at all but gcd(I, O) - 1 of the
    O - 1 inner boundaries.

    >>> adaptive_windows(7, 3)  # windows of 3, 3, 3
    9
    """
    if outputs == 0 or inputs == 0:
        return 0
    return inputs + outputs - greatest_common_divisor(inputs, outputs)


def per_axis(*axes: Sequence[Number]) -> Iterable[tuple[Number, ...]]:
    """The numbers of each axis together.

    Raises:
        RuleError: the axes disagree in number.
    """
    if len({len(axis) for axis in axes}) > 1:
        raise RuleError(f"these should have one number for each axis: {', '.join(map(str, axes))}")
    return zip(*axes)


def _starts_up_to(limit: int, outputs: int, kernel: int, stride: int, dilation: int) -> int:
    """Pairs (output o, tap k) with ``o*stride + k*dilation <= limit``."""
    full = limit - (outputs - 1) * stride  # taps at or below this are reached from every output
    every = min(max(full // dilation + 1, 0), kernel)
    some = min(max(limit // dilation + 1, every), kernel)  # taps below this are reached from at least one
    partly = some - every
    return every * outputs + partly + floor_sum(partly, stride, -dilation, limit - every * dilation)


def _clip(number: Number, upper: Number) -> Number:
    return maximum(minimum(number, upper), 0)


def _clip_below(number: Number) -> Number:
    return maximum(number, 0)


def _surely_at_least(a: Number, b: Number) -> bool:
    difference = a - b
    return difference >= 0 if isinstance(difference, int) else bool(difference.is_nonnegative)


def _pick(a: Number, b: Number, *, smaller: bool) -> Number:
    sympy = _sympy()
    difference = sympy.expand(a - b)
    if difference.is_nonnegative:
        return b if smaller else a
    if difference.is_nonpositive:
        return a if smaller else b
    # For large sizes the sign is that of the leading coefficient.
    growth = sympy.Poly(difference, *sorted(difference.free_symbols, key=str)) if difference.is_polynomial() else None
    if growth is not None and growth.LC().is_positive and len(difference.free_symbols) == 1:
        return b if smaller else a
    if growth is not None and growth.LC().is_negative and len(difference.free_symbols) == 1:
        return a if smaller else b
    return sympy.Min(a, b) if smaller else sympy.Max(a, b)


def _sympy() -> Any:
    try:
        import sympy
    except ImportError:
        raise RuleError("formulas on symbols need sympy: pip install sympy") from None
    return sympy
