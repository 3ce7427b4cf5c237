"""The function from a regular convolution's cost to the separable one's, by algebra on the formulas that count both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from opcount.algebra.library import sympy
from opcount.algebra.writing import write
from opcount.formulas.contraction import convolution
from opcount.ops import OpCount

WORDS = {
    "x": "multiplications of the regular convolution",
    "y": "multiplications of the separable one",
    "N": "output positions, all samples together",
    "C_in": "input channels",
    "C_out": "output channels",
    "K": "side of the square kernel",
    "K_h": "height of the kernel",
    "K_w": "width of the kernel",
    "g": "groups",
    "m": "channel multiplier: depthwise filters for each input channel",
    "T": "taps that are multiplied, over all positions",
    "Q": "positions with at least one such tap",
}
"""What the symbols of a derivation stand for."""

ORDER = ("x", "m", "N", "T", "Q", "C_out", "C_in", "K", "K_h", "K_w", "g")


@dataclass(frozen=True)
class Line:
    """``left = right``: sympy expressions."""

    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{written(self.left)} = {written(self.right)}"


@dataclass(frozen=True)
class Step:
    """One step of a derivation: what is done, and the equations it gives."""

    title: str
    words: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.title}. {self.words}", *(f"    {line}" for line in self.lines)])


@dataclass(frozen=True)
class General:
    """An exact cost of the separable convolution beyond what the plain function holds for.

    Attributes:
        key: its name.
        title: what it is the cost of.
        expression: the cost, in terms of the regular convolution's multiplications ``x`` and its numbers.
    """

    key: str
    title: str
    expression: Any


@dataclass(frozen=True)
class Derivation:
    """How the separable convolution's cost follows from the regular one's.

    Attributes:
        steps: the derivation.
        ratio: what the multiplications are multiplied by, 1/C_out + 1/K**2.
        general: exact costs with rectangular kernels, groups, channel multipliers; additions and totals with and
            without bias.

    >>> derive().ratio
    K**(-2) + 1/C_out
    >>> print(derive().steps[-1].lines[-1])
    y = x·(1/C_out + 1/K²)
    """

    steps: tuple[Step, ...]
    ratio: Any
    general: tuple[General, ...]

    def f(self, x: int, out_channels: int, kernel: int) -> Fraction:
        """Multiplications of the separable convolution: ungrouped, square kernel, multiplier 1, no bias.

        >>> derive().f(117_600, 6, 5)
        Fraction(24304, 1)
        """
        s = symbols()
        return x * fraction(self.ratio, {s["C_out"]: out_channels, s["K"]: kernel})

    def __getitem__(self, key: str) -> Any:
        """One of the general expressions by its key."""
        return next(each.expression for each in self.general if each.key == key)

    def __str__(self) -> str:
        parts = [str(step) for step in self.steps]
        return "\n\n".join([*parts, *(f"{each.title}:\n    {written(each.expression)}" for each in self.general)])


@lru_cache(maxsize=1)
def derive() -> Derivation:
    """Derive f(x, C_out, K) = x·(1/C_out + 1/K²), and what holds beyond it.

    Both costs come from the formula that counts convolutions, run on symbols; the rest is sympy's algebra.

    Raises:
        MissingExtraError: sympy is not installed.
    """
    s, package = symbols(), sympy()
    regular = _plain(s["C_in"], s["C_out"], 1, (s["K"], s["K"]))
    depthwise = _plain(s["C_in"], s["C_in"], s["C_in"], (s["K"], s["K"]))
    pointwise = _plain(s["C_in"], s["C_out"], 1, (1, 1))
    shared = s["N"] * s["C_in"]
    (channels,) = package.solve(package.Eq(s["x"], regular), s["C_in"])
    product = s["N"] * channels
    parts = [each.subs(s["C_in"], channels) for each in (depthwise, pointwise)]
    factored = product * package.cancel((depthwise + pointwise) / shared)
    ratio = package.expand(package.cancel(sum(parts) / s["x"]))
    steps = (
        Step("Regular", "One dot of C_in·K² for each of C_out channels at N positions.", (Line(s["x"], regular),)),
        Step(
            "Separable",
            "One filter of K² for each of C_in channels, then one dot of C_in for each of C_out channels.",
            (Line(s["y"], package.Add(depthwise, pointwise, evaluate=False)),),
        ),
        Step("What both share", "The first equation is solved for N·C_in.", (Line(shared, product),)),
        Step("Put in", "N·C_in in the second equation is replaced by it.", (Line(s["y"], factored),)),
        Step("The function", "The fraction is divided out.", (Line(s["y"], s["x"] * ratio),)),
    )
    return Derivation(steps, ratio, tuple(_general()))


@lru_cache(maxsize=1)
def symbols() -> dict[str, Any]:
    """The symbols of the derivation by name."""
    return {name: sympy().Symbol(name, positive=True) for name in WORDS}


def written(expression: Any, latex: bool = False) -> str:
    """An expression of a derivation in one line."""
    return write(expression, order=[symbols()[name] for name in ORDER], latex=latex)


def fraction(expression: Any, numbers: dict[Any, int]) -> Fraction:
    """An expression with numbers put in, exactly."""
    value = expression.xreplace({symbol: sympy().Integer(number) for symbol, number in numbers.items()})
    return Fraction(int(value.p), int(value.q))


def _cost(in_channels: Any, out_channels: Any, groups: Any, kernel: Sequence[Any]) -> OpCount:
    """What a convolution costs at N output positions; where they lie does not matter."""
    two = (1, 1)
    positions = {"batch": symbols()["N"], "output": two, "input": two, "stride": two, "padding": two, "dilation": two}
    return convolution(
        in_channels=in_channels, out_channels=out_channels, groups=groups, kernel=tuple(kernel), **positions
    )


def _plain(in_channels: Any, out_channels: Any, groups: Any, kernel: Sequence[Any]) -> Any:
    return _cost(in_channels, out_channels, groups, kernel).multiplications


def _general() -> list[General]:
    """The costs with groups, a rectangular kernel and a multiplier, in terms of x."""
    s, package = symbols(), sympy()
    kernel, width = (s["K_h"], s["K_w"]), s["m"] * s["C_in"]
    regular = _cost(s["C_in"], s["C_out"], s["g"], kernel)
    depthwise = _cost(s["C_in"], width, s["C_in"], kernel)
    pointwise = _cost(width, s["C_out"], s["g"], (1, 1))
    separable = depthwise + pointwise
    ratio = package.expand(package.cancel(separable.multiplications / regular.multiplications))
    factored = s["m"] * package.expand(ratio / s["m"])

    def beyond(cost: Any, times: int = 1) -> Any:
        """A cost as a multiple of x·f and what has to be added to that."""
        rest = package.factor(package.expand(cost - times * separable.multiplications))
        return times * s["x"] * factored + rest

    bias = s["N"] * width + s["N"] * s["C_out"]  # one addition for each output of either step
    skipping = _skipped_padding(separable, regular)
    return [
        General("ratio", "Multiplications and MACs, as a part of x", factored),
        General("additions", "Additions without bias", beyond(separable.additions)),
        General("additions with bias", "Additions with a bias in both steps", beyond(separable.additions + bias)),
        General("total", "Multiplications and additions without bias", beyond(separable.total, 2)),
        General("total with bias", "Multiplications and additions with a bias in both steps",
                beyond(separable.total + bias, 2)),
        *skipping,
    ]  # fmt: skip


def _skipped_padding(separable: Any, regular: Any) -> list[General]:
    """Where taps on zero padding do not count: T taps instead of N·K_h·K_w, and Q positions that have one."""
    s, package = symbols(), sympy()
    taps = {s["K_h"]: s["T"] / (s["N"] * s["K_w"])}
    ratio = package.cancel((separable.multiplications / regular.multiplications).subs(taps))
    factored = s["m"] * package.expand(ratio / s["m"])
    unreached = s["m"] * s["C_in"] * (s["N"] - s["Q"])  # windows without a tap have no first product to save a sum
    cost = separable.additions.subs(taps) + unreached
    rest = package.factor(package.expand(cost - separable.multiplications.subs(taps)))
    return [
        General("ratio without padding", "Multiplications, padding skipped, as a part of x", factored),
        General("additions without padding", "Additions without bias, padding skipped", s["x"] * factored + rest),
    ]
