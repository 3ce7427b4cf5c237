"""The values everything else speaks in: counts, conventions, terms, and what is known of a call.

Nothing here knows torch, a formula or a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias

Number: TypeAlias = Any
"""An ``int``, a sympy expression standing for one, or a tuple of these (one per spatial axis)."""

Phase: TypeAlias = Literal["forward", "backward", "optimizer"]

Source: TypeAlias = Literal["layer", "function", "operator", "gradient", "optimizer"]

FIGURES = ("multiplications", "additions", "divisions", "comparisons", "transcendentals", "macs")
"""The names of the six figures of a count, in the order they are reported."""


@dataclass(frozen=True, slots=True, repr=False)
class OpCount:
    """A count of scalar arithmetic operations.

    Args:
        multiplications: scalar products.
        additions: scalar sums and differences.
        divisions: scalar quotients.
        comparisons: scalar compares and max/min selections.
        transcendentals: exp, log, sqrt, rsqrt, tanh, erf, sin, cos and general powers, one each.
        macs: the multiplications that belong to contractions (convolution, linear, matmul, attention, ...).
            A view on ``multiplications``, never added to it.

    Counts add up and scale, and are exact integers of any size:

    >>> conv = OpCount(multiplications=117_600, additions=112_896, macs=117_600)
    >>> conv.total
    230496
    >>> conv + OpCount(additions=4_704)
    OpCount(multiplications=117_600, additions=117_600, macs=117_600)
    >>> (2 * conv).macs
    235200
    >>> OpCount(multiplications=10**20) * 10 == OpCount(multiplications=10**21)
    True
    """

    multiplications: int = 0
    additions: int = 0
    divisions: int = 0
    comparisons: int = 0
    transcendentals: int = 0
    macs: int = 0

    @property
    def total(self) -> int:
        """``multiplications + additions``, the study's "total operations"; not ``2 * macs``."""
        return self.multiplications + self.additions

    def __add__(self, other: OpCount) -> OpCount:
        if not isinstance(other, OpCount):
            return NotImplemented
        return OpCount(
            self.multiplications + other.multiplications,
            self.additions + other.additions,
            self.divisions + other.divisions,
            self.comparisons + other.comparisons,
            self.transcendentals + other.transcendentals,
            self.macs + other.macs,
        )

    def __radd__(self, other: object) -> OpCount:
        return self if other == 0 else NotImplemented  # lets sum() start from its 0

    def times(self, count: Number) -> OpCount:
        """This cost ``count`` times, where the count may be a symbol."""
        return OpCount(
            self.multiplications * count,
            self.additions * count,
            self.divisions * count,
            self.comparisons * count,
            self.transcendentals * count,
            self.macs * count,
        )

    def __mul__(self, times: int) -> OpCount:
        if isinstance(times, (float, complex, str, OpCount)):
            return NotImplemented
        return self.times(times)

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return self != _NOTHING

    def __repr__(self) -> str:
        shown = ((figure, getattr(self, figure)) for figure in FIGURES)
        return f"OpCount({', '.join(f'{name}={_digits(value)}' for name, value in shown if value != 0)})"

    def to_dict(self) -> dict[str, int]:
        """The six figures by name.

        >>> OpCount(additions=3).to_dict()["additions"]
        3
        """
        return {figure: getattr(self, figure) for figure in FIGURES}


_NOTHING = OpCount()
_SIX: Callable[[OpCount], tuple[int, ...]] = attrgetter(*FIGURES)


def added(counts: Sequence[OpCount]) -> OpCount:
    """The sum of counts, without one made for each step on the way.

    >>> added([OpCount(additions=1), OpCount(additions=2, comparisons=3)])
    OpCount(additions=3, comparisons=3)
    """
    return counts[0] if len(counts) == 1 else OpCount(*map(sum, zip(*map(_SIX, counts))))


def weighted(counts: Iterable[tuple[OpCount, int]]) -> OpCount:
    """The sum of counts that came so many times each.

    >>> weighted([(OpCount(additions=1), 3), (OpCount(additions=2, comparisons=3), 2)])
    OpCount(additions=7, comparisons=6)
    """
    sums = [0] * len(FIGURES)
    for count, times in counts:
        sums = [total + figure * times for total, figure in zip(sums, _SIX(count))]
    return OpCount(*sums)


def _digits(value: Number) -> str:
    return f"{value:_}" if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class Convention:
    """What a count includes where the field does not agree.

    Args:
        bias: count the bias additions of convolution, linear, bilinear, attention projections and recurrent
            layers. ``False`` gives the figures of papers that ignore bias.
        zero_padding: count the taps of a convolution that land on its own zero padding, as every published
            figure does. ``False`` counts only taps on real input, exactly.

    >>> Convention()
    Convention(bias=True, zero_padding=True)
    >>> Convention(bias=False).notes()
    ['bias ignored', 'zero padding dense']
    """

    bias: bool = True
    zero_padding: bool = True

    def notes(self) -> list[str]:
        """The choices in words, as the footer of a report prints them."""
        return [
            "bias counted" if self.bias else "bias ignored",
            "zero padding dense" if self.zero_padding else "zero padding skipped",
        ]

    def to_dict(self) -> dict[str, bool]:
        """The options by name."""
        return {option.name: getattr(self, option.name) for option in fields(self)}


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Term:
    """One formula with its numbers: the unit every count, explanation and scaling law is made of.

    Args:
        formula: the name of a formula in ``opcount.formulas``.
        role: what the term is for. ``"bias"`` marks what ``Convention(bias=False)`` leaves out.
        dtype: element type of the arithmetic, e.g. ``"float32"``; filled in from the call when left empty.
        phase: forward, backward or optimizer.
        numbers: the formula's arguments: ints, sympy expressions, or tuples of them.

    >>> term = Term("dots", count=6, length=25)
    >>> term.numbers
    {'count': 6, 'length': 25}
    """

    formula: str
    items: tuple[tuple[str, Number], ...]
    dtype: str
    phase: Phase
    role: str
    _hash: int = field(repr=False)

    def __init__(
        self, formula: str, /, *, role: str = "", dtype: str = "", phase: Phase = "forward", **numbers: Number
    ) -> None:
        items = tuple([(name, _hashable(value)) for name, value in numbers.items()])
        self._fill(formula, items, dtype, phase, role)
        hash(self)  # now, so that a number that cannot be one is told of where it comes from

    def _fill(self, formula: str, items: tuple[tuple[str, Number], ...], dtype: str, phase: Phase, role: str) -> None:
        set_field = object.__setattr__
        set_field(self, "formula", formula)
        set_field(self, "items", items)
        set_field(self, "dtype", dtype)
        set_field(self, "phase", phase)
        set_field(self, "role", role)
        set_field(self, "_hash", 0)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Term) and _KEY(self) == _KEY(other)

    def __hash__(self) -> int:
        if not self._hash:
            object.__setattr__(self, "_hash", hash(_KEY(self)))
        return self._hash

    def __reduce__(self) -> Any:
        return _term, _KEY(self)  # a hash holds in one process only

    @property
    def numbers(self) -> dict[str, Number]:
        """The formula's arguments by name."""
        return dict(self.items)

    def with_dtype(self, dtype: str) -> Term:
        """This term with its element type stated; a type the rule stated itself stays."""
        return self if self.dtype else self._like(dtype, self.phase)

    def in_phase(self, phase: Phase) -> Term:
        """This term as part of another phase.

        >>> Term("dots", count=6, length=25).in_phase("backward").phase
        'backward'
        """
        return self if phase == self.phase else self._like(self.dtype, phase)

    def _like(self, dtype: str, phase: Phase) -> Term:
        return _term(self.formula, self.items, dtype, phase, self.role)

    def __str__(self) -> str:
        return f"{self.formula}({', '.join(f'{name}={value}' for name, value in self.items)})"


def _term(*fields: Any) -> Term:
    term = object.__new__(Term)
    term._fill(*fields)
    return term


_KEY: Callable[[Term], tuple[object, ...]] = attrgetter("formula", "items", "dtype", "phase", "role")


def _hashable(value: Number) -> Number:
    return tuple(value) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a count may know of a tensor: never its values.

    A nested tensor has the shape of its samples' rows one after another, and ``lengths`` are how many each has.

    >>> TensorSpec((2, 3, 4)).elements
    24
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    alias: int | None = None
    needs_grad: bool = False
    lengths: tuple[int, ...] = ()
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        if not self._hash:
            object.__setattr__(self, "_hash", hash((self.shape, self.dtype, self.alias, self.needs_grad, self.lengths)))
        return self._hash

    def __reduce__(self) -> Any:
        return TensorSpec, (self.shape, self.dtype, self.alias, self.needs_grad, self.lengths)  # without the hash

    @property
    def elements(self) -> int:
        """The number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def floating(self) -> bool:
        """Whether arithmetic on this tensor counts: floating-point or complex, not integer or bool."""
        return self.dtype.startswith(("float", "bfloat", "complex"))


Tree: TypeAlias = Any
"""Nested tuples, lists and dicts with :class:`TensorSpec` leaves; plain Python values stay as they are."""


class Call(NamedTuple):
    """One call of a layer, function or operator, described without its values."""

    args: tuple[Tree, ...]
    kwargs: Mapping[str, Tree]
    output: Tree
    training: bool = False
    grad: bool = False

    @property
    def shapes(self) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        """The shapes of the tensors that went in, and of those that came out."""
        args, kwargs, output, _, _ = self
        if len(args) == 1 and not kwargs and type(output) is type(args[0]) is TensorSpec:
            return (args[0].shape,), (output.shape,)
        return tuple([spec.shape for spec in tensors((args, kwargs))]), tuple([spec.shape for spec in tensors(output)])

    @property
    def input(self) -> TensorSpec:
        """The first tensor that was passed in."""
        for leaf in tensors((self.args, self.kwargs)):
            return leaf
        raise LookupError("the call received no tensor")

    @property
    def out(self) -> TensorSpec:
        """The first tensor that came back."""
        for leaf in tensors(self.output):
            return leaf
        raise LookupError("the call returned no tensor")

    def argument(self, position: int, name: str, default: Tree = None) -> Tree:
        """An argument by position or by name, wherever the caller put it."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    @property
    def dtype(self) -> str:
        """The element type of the arithmetic: the output's if it is floating, else the first floating input's."""
        leaves: list[TensorSpec] = []
        for tree in (self.output, self.args, self.kwargs):
            _gather(tree, leaves)
            for leaf in leaves:
                if leaf.floating:
                    return leaf.dtype
        return leaves[0].dtype if leaves else ""


def tensors(tree: Tree) -> list[TensorSpec]:
    """The tensors of a tree, left to right.

    >>> [spec.shape for spec in tensors({"a": (TensorSpec((1,)), None), "b": TensorSpec((2,))})]
    [(1,), (2,)]
    """
    found: list[TensorSpec] = []
    _gather(tree, found)
    return found


def _gather(node: Tree, found: list[TensorSpec]) -> None:
    if isinstance(node, TensorSpec):
        found.append(node)
    elif isinstance(node, (tuple, list)):
        for item in node:
            _gather(item, found)
    elif isinstance(node, dict):
        for item in node.values():
            _gather(item, found)


class Event(NamedTuple):
    """Something a run did: a layer, function or operator called in the forward of ``owner``.

    ``terms`` is what it cost: empty when it is known to be free, ``None`` when nobody knows (uncounted). The source
    ``"gradient"`` is a sum of the gradients of a value that was used more than once.
    """

    source: Source
    name: str
    owner: str
    call: Call
    terms: tuple[Term, ...] | None
    phase: Phase = "forward"


@dataclass(frozen=True, slots=True)
class Execution:
    """How the figures were obtained: ``"shapes"`` (nothing computed) or ``"real"``, and why.

    ``remarks`` is what a reader has to know beside: that one replica was counted, or that sparse weights count dense.
    """

    mode: str
    reason: str = ""
    seconds: float = field(default=0.0, compare=False)
    remarks: tuple[str, ...] = ()
