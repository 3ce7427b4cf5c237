"""What the two networks cost, counted by opcount; and the separable function checked on each of their convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from torch import nn

from lenet.models import build, fold
from lenet.report.run import Run
from opcount import Convention, OpCount, Profile, profile, separable

STUDIED = Convention(bias=False)
"""What the study counts: no bias. And of the network no more than its convolutions."""


@dataclass(frozen=True)
class Check:
    """One convolution, and what the separable function makes of it.

    Attributes:
        path: its name.
        x: multiplications of the regular convolution, as counted.
        y: multiplications of its depthwise and pointwise steps, as counted.
        out_channels, kernel: C_out and K.
        parts: 1/C_out and 1/K².
        predicted: x·(1/C_out + 1/K²), exactly.
    """

    path: str
    x: int
    y: int
    out_channels: int
    kernel: int
    parts: tuple[Fraction, Fraction]
    predicted: Fraction

    @property
    def ratio(self) -> Fraction:
        """1/C_out + 1/K²."""
        return sum(self.parts, Fraction(0))

    @property
    def holds(self) -> bool:
        """Whether what was counted is what the function says."""
        return self.predicted == self.y


@dataclass(frozen=True)
class Network:
    """One network counted.

    Attributes:
        studied: its convolutions alone, without bias, as the study counts.
        whole: everything it does for one image, with bias.
    """

    studied: Profile
    whole: Profile

    @property
    def convolutions(self) -> OpCount:
        """The figures of the study's table."""
        return self.studied.only("conv").ops

    def layer(self, path: str) -> OpCount:
        """One convolution, with both of its steps if it has two."""
        return self.studied[path].subtree


@dataclass(frozen=True)
class Costs:
    """Both networks of one width counted, and the function checked between them."""

    width: float
    regular: Network
    depthwise: Network
    checks: tuple[Check, ...]

    def of(self, kind: str) -> Network:
        """One of them."""
        return self.regular if kind == "regular" else self.depthwise

    @property
    def hold(self) -> bool:
        """Whether the function gives every convolution's count exactly."""
        return all(check.holds for check in self.checks)


def network(run: Run, kind: str, width: float) -> nn.Module:
    """A network of a run as it is used after training: batch norm is folded away.

    Raises:
        StudyError: its recipe names an activation or a pooling that there is not.
    """
    told = run.settings
    layers = {name: value for name in ("activation", "pooling") if (value := told.get(name)) is not None}
    return fold(build(kind, width=width, batch_norm=told.get("batch_norm") is not None, **layers))


def counted(run: Run, kind: str, width: float) -> Network:
    """One network of a run, counted."""
    model = network(run, kind, width)
    return Network(profile(model, convention=STUDIED), profile(model))


def costs(run: Run, width: float) -> Costs:
    """Both networks of a run at one width.

    Raises:
        MissingExtraError: sympy, which derives the function, is not installed.
    """
    regular, depthwise = (counted(run, kind, width) for kind in ("regular", "depthwise"))
    f = separable.derive().f
    checks = []
    for layer in separable.predict(regular.studied).layers:
        out_channels, kernel = layer.parts[0].denominator, isqrt(layer.parts[1].denominator)
        checks.append(
            Check(
                path=layer.path,
                x=layer.before.multiplications,
                y=depthwise.layer(layer.path).multiplications,
                out_channels=out_channels,
                kernel=kernel,
                parts=layer.parts,
                predicted=f(layer.before.multiplications, out_channels, kernel),
            )
        )
    return Costs(width, regular, depthwise, tuple(checks))
