"""Numbers that count the arithmetic done with them.

A `Counted` is a real number and a `Complex` a pair of them; every `*`, `+`, `-`, `/`, comparison and transcendental
function they take part in is added to the `Tally` they carry. Plain Python numbers stand for what is fixed by
hyperparameters and shapes: arithmetic among them is free, and `x * 0.5` is one multiplication as any other.
Negation, sign, real abs, floor, choosing between two numbers already computed, and reading a number are free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Tally:
    """What has been done so far; `macs` are those multiplications that belong to contractions."""

    multiplications: int = 0
    additions: int = 0
    divisions: int = 0
    comparisons: int = 0
    transcendentals: int = 0
    macs: int = 0

    def figures(self) -> dict[str, int]:
        """The six figures by name."""
        return asdict(self)

    @property
    def total(self) -> int:
        """Multiplications and additions."""
        return self.multiplications + self.additions


class Counted:
    """A real number that counts its own arithmetic."""

    __slots__ = ("tally", "value")
    __array_ufunc__ = None  # numpy must hand `array_scalar * counted` over to us

    def __init__(self, value: float, tally: Tally) -> None:
        self.value = value
        self.tally = tally

    def __repr__(self) -> str:
        return f"Counted({self.value})"

    def like(self, value: float) -> Counted:
        """A constant as a number of the same tally, so that what is done with it counts."""
        return Counted(value, self.tally)

    def __mul__(self, other: Any) -> Counted:
        if isinstance(other, Complex):
            return NotImplemented
        self.tally.multiplications += 1
        return Counted(self.value * plain(other), self.tally)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Counted:
        if isinstance(other, Complex):
            return NotImplemented
        self.tally.additions += 1
        return Counted(self.value + plain(other), self.tally)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Counted:
        if isinstance(other, Complex):
            return NotImplemented
        self.tally.additions += 1
        return Counted(self.value - plain(other), self.tally)

    def __rsub__(self, other: float) -> Counted:
        self.tally.additions += 1
        return Counted(other - self.value, self.tally)

    def __truediv__(self, other: Any) -> Counted:
        if isinstance(other, Complex):
            return NotImplemented
        self.tally.divisions += 1
        return Counted(_quotient(self.value, plain(other)), self.tally)

    def __rtruediv__(self, other: float) -> Counted:
        self.tally.divisions += 1
        return Counted(_quotient(other, self.value), self.tally)

    def __neg__(self) -> Counted:
        return Counted(-self.value, self.tally)

    def __abs__(self) -> Counted:
        return Counted(abs(self.value), self.tally)

    def __floor__(self) -> Counted:
        return Counted(math.floor(self.value), self.tally)

    def __gt__(self, other: Any) -> bool:
        self.tally.comparisons += 1
        return bool(self.value > plain(other))

    def __ge__(self, other: Any) -> bool:
        self.tally.comparisons += 1
        return bool(self.value >= plain(other))

    def __lt__(self, other: Any) -> bool:
        self.tally.comparisons += 1
        return bool(self.value < plain(other))

    def __le__(self, other: Any) -> bool:
        self.tally.comparisons += 1
        return bool(self.value <= plain(other))


class Complex:
    """A complex number kept as two counted reals: its arithmetic is the schoolbook's, done on those."""

    __slots__ = ("imag", "real")
    __array_ufunc__ = None

    def __init__(self, real: Counted, imag: Counted) -> None:
        self.real = real
        self.imag = imag

    def __repr__(self) -> str:
        return f"Complex({self.value})"

    @property
    def value(self) -> complex:
        """The number itself."""
        return complex(self.real.value, self.imag.value)

    @property
    def tally(self) -> Tally:
        """Where its parts count."""
        return self.real.tally

    def like(self, value: complex) -> Complex:
        """A constant as a number of the same tally."""
        return Complex(Counted(complex(value).real, self.tally), Counted(complex(value).imag, self.tally))

    def __mul__(self, other: Any) -> Complex:
        if not _is_complex(other):
            return Complex(self.real * other, self.imag * other)
        return Complex(
            self.real * other.real - self.imag * other.imag,
            self.real * other.imag + self.imag * other.real,
        )

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Complex:
        if not _is_complex(other):
            return Complex(self.real + other, self.imag)
        return Complex(self.real + other.real, self.imag + other.imag)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Complex:
        if not _is_complex(other):
            return Complex(self.real - other, self.imag)
        return Complex(self.real - other.real, self.imag - other.imag)

    def __rsub__(self, other: Any) -> Complex:
        return self.__neg__().__add__(other)

    def __truediv__(self, other: Any) -> Complex:
        if not _is_complex(other):
            return Complex(self.real / other, self.imag / other)
        square = other.real * other.real + other.imag * other.imag
        return Complex(
            (self.real * other.real + self.imag * other.imag) / square,
            (self.imag * other.real - self.real * other.imag) / square,
        )

    def __neg__(self) -> Complex:
        return Complex(-self.real, -self.imag)

    def __abs__(self) -> Counted:
        modulus: Counted = sqrt(self.real * self.real + self.imag * self.imag)
        return modulus


def _is_complex(number: Any) -> bool:
    return isinstance(number, Complex | complex)


def plain(number: Any) -> Any:
    """The bare value: of a parameter too, where what parameters alone fix is free."""
    return number.value if isinstance(number, Counted | Complex) else number


def _quotient(above: float, below: float) -> float:
    """As floating point divides: by zero too."""
    if below:
        return above / below
    with np.errstate(all="ignore"):
        return float(np.float64(above) / np.float64(below))


def _transcendental(exact: Callable[..., float], otherwise: Callable[..., Any], number: Any, *rest: float) -> Any:
    """One transcendental; outside the function's domain what floating point answers (inf, nan)."""
    try:
        value = exact(plain(number), *rest)
    except (ValueError, OverflowError, ZeroDivisionError):
        with np.errstate(all="ignore"):
            value = float(otherwise(np.float64(plain(number)), *rest))
    if not isinstance(number, Counted):
        return value
    number.tally.transcendentals += 1
    return Counted(value, number.tally)


def exp(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.exp, np.exp, number)


def log(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.log, np.log, number)


def sqrt(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.sqrt, np.sqrt, number)


def rsqrt(number: Any) -> Any:
    """1 / sqrt(x) as one transcendental."""
    return _transcendental(lambda x: 1.0 / math.sqrt(x), lambda x: 1.0 / np.sqrt(x), number)


def tanh(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.tanh, np.tanh, number)


def erf(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.erf, math.erf, number)


def sin(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.sin, np.sin, number)


def cos(number: Any) -> Any:
    """One transcendental."""
    return _transcendental(math.cos, np.cos, number)


def power(number: Any, exponent: float) -> Any:
    """A general power, whatever the exponent: one transcendental."""
    return _transcendental(math.pow, np.power, number, exponent)


def whole_power(number: Any, exponent: float) -> Any:
    """xⁿ as it is written out for n from -2 to 3; any other exponent is one general power."""
    written: dict[float, Callable[[Any], Any]] = {
        0: lambda x: x.like(1.0),
        1: lambda x: x,
        2: lambda x: x * x,
        3: lambda x: x * x * x,
        -1: lambda x: 1.0 / x,
        -2: lambda x: 1.0 / (x * x),
    }
    return written[exponent](number) if exponent in written else power(number, exponent)


def maximum(first: Any, second: Any) -> Any:
    """The greater of two: one comparison."""
    one = first if isinstance(first, Counted) else second
    one.tally.comparisons += 1
    return Counted(max(plain(first), plain(second)), one.tally)


def minimum(first: Any, second: Any) -> Any:
    """The smaller of two: one comparison."""
    one = first if isinstance(first, Counted) else second
    one.tally.comparisons += 1
    return Counted(min(plain(first), plain(second)), one.tally)


def fold(operation: Callable[[Any, Any], Any], numbers: Iterable[Any], empty: float) -> Any:
    """`operation` from the first number on: n - 1 of them, and none for no numbers, which give the constant `empty`."""
    remaining = iter(numbers)
    result = next(remaining, empty)
    for number in remaining:
        result = operation(result, number)
    return result


def total(numbers: Iterable[Any]) -> Any:
    """The sum, n - 1 additions: it starts from the first number, not from a zero. No numbers: the constant 0."""
    return fold(lambda a, b: a + b, numbers, 0.0)


def product(numbers: Iterable[Any]) -> Any:
    """The product of all, n - 1 multiplications. No numbers: the constant 1."""
    return fold(lambda a, b: a * b, numbers, 1.0)


def largest(numbers: Iterable[Any]) -> Any:
    """The greatest of all, n - 1 comparisons. No numbers: minus infinity."""
    return fold(maximum, numbers, -math.inf)


def smallest(numbers: Iterable[Any]) -> Any:
    """The smallest of all, n - 1 comparisons. No numbers: infinity."""
    return fold(minimum, numbers, math.inf)


def mean(numbers: Sequence[Any]) -> Any:
    """The sum and one division."""
    return total(numbers) / len(numbers) if numbers else math.nan


def contract(first: Any, second: Any) -> Any:
    """A product inside a contraction: its multiplications are macs as well."""
    tally = first.tally
    before = tally.multiplications
    result = first * second
    tally.macs += tally.multiplications - before
    return result


def dot(first: Sequence[Any], second: Sequence[Any]) -> Any:
    """n multiplications, all of them macs, and n - 1 additions. A dot of no numbers is the constant 0 and costs 0."""
    return total(contract(a, b) for a, b in zip(first, second, strict=True))


def objects(shape: Sequence[int]) -> Array:
    """An empty array that holds numbers of this module; indexing it is free."""
    return np.empty(tuple(shape), dtype=object)


def wrap(value: Any, tally: Tally) -> Any:
    """Floating-point and complex arrays, inside tuples, lists and mappings too, as arrays of counting numbers.

    Tensors are read as arrays. Integer and bool arrays (indices, masks) and plain Python values (hyperparameters) stay
    what they are.
    """
    if isinstance(value, dict):
        return {key: wrap(inner, tally) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return (
            [wrap(inner, tally) for inner in value] if isinstance(value, list) else tuple(wrap(x, tally) for x in value)
        )
    if hasattr(value, "detach"):  # a tensor, read without knowing whose
        value = value.detach().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fc":
        return value
    wrapped = objects(value.shape)
    for place in np.ndindex(value.shape):
        number = value[place].item()
        real = Counted(number.real, tally)
        wrapped[place] = Complex(real, Counted(number.imag, tally)) if value.dtype.kind == "c" else real
    return wrapped


def unwrap(value: Any) -> Any:
    """The way back: arrays of counting numbers, and single ones, as float (or complex) arrays."""
    if isinstance(value, dict):
        return {key: unwrap(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [unwrap(inner) for inner in value] if isinstance(value, list) else tuple(map(unwrap, value))
    if isinstance(value, Counted | Complex):
        return np.array(value.value)
    if not isinstance(value, np.ndarray) or value.dtype != object:
        return value
    numbers = [plain(number) for number in value.flat]
    kind = complex if any(isinstance(number, complex) for number in numbers) else float
    return np.array(numbers, dtype=kind).reshape(value.shape)


def count(function: Callable[..., Any], *arrays: Any, **options: Any) -> tuple[Any, Tally]:
    """Run a loop of this package on plain arrays or tensors: its result as plain arrays, and the arithmetic it took.

    >>> values, tally = count(lambda xs, ys: dot(list(xs), list(ys)), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> float(values), tally.multiplications, tally.additions
    (11.0, 2, 1)
    """
    tally = Tally()
    result = function(*wrap(arrays, tally), **wrap(options, tally))
    return unwrap(result), tally
