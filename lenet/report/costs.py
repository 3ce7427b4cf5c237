"""What the two networks cost, counted by opcount; and the separable function checked on each of their convolutions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from torch import Tensor, nn

from lenet.errors import StudyError
from lenet.models import Depthwise, Regular, build, fold
from lenet.report.run import Run
from opcount import Convention, OpCount, Profile, profile, separable, sweep

IMAGE = (1, 1, 28, 28)
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


def built(run: Run, kind: str, width: float) -> Regular | Depthwise:
    """A network of a run as it is trained.

    Raises:
        StudyError: its recipe names an activation or a pooling that there is not.
    """
    told = run.settings
    layers = {name: value for name in ("activation", "pooling") if (value := told.get(name)) is not None}
    return build(kind, width=width, batch_norm=told.get("batch_norm") is not None, **layers)


def network(run: Run, kind: str, width: float) -> nn.Module:
    """A network of a run as it is used after training: batch norm is folded away.

    Raises:
        StudyError: as :func:`built`.
    """
    return fold(built(run, kind, width))


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


@dataclass(frozen=True)
class Price:
    """What one of many networks costs.

    Attributes:
        operations: of its convolutions, without bias.
        macs, params: of the whole network.
        on_front: whether no other has as few operations and is as accurate, and better in one.
    """

    operations: int
    macs: int
    params: int
    on_front: bool


class Convolutions(nn.Module):
    """The convolutions of a network, and of everything between them no more than that pooling halves the sides.

    >>> from lenet.models import build
    >>> profile(Convolutions(build("depthwise")), (1, 1, 28, 28), convention=STUDIED).total
    94624
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        kinds = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)
        self.layers = nn.ModuleList(layer for layer in network.modules() if isinstance(layer, kinds))

    def forward(self, maps: Tensor) -> Tensor:
        """The maps (N, C, H, W) that images (N, 1, 28, 28) end as."""
        for layer in self.layers:
            maps = layer(maps) if isinstance(layer, nn.Conv2d) else maps[..., ::2, ::2]
        return maps


def prices(run: Run, accuracies: Mapping[tuple[str, float], float]) -> list[Price]:
    """What the networks of those kinds and widths cost, in their order, by sweeps over them all.

    Args:
        run: whose networks they are.
        accuracies: of each network, for the Pareto front.

    Raises:
        StudyError: as of :func:`network`, or one of them cannot be counted.
    """
    space = [{"kind": kind, "width": width} for kind, width in accuracies]
    reached = [{**point, "accuracy": each} for point, each in zip(space, accuracies.values(), strict=True)]

    def convolutions(kind: str, width: float) -> nn.Module:
        return Convolutions(network(run, kind, width))

    def whole(kind: str, width: float) -> nn.Module:
        return network(run, kind, width)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as here:
        inside = sweep(convolutions, space, IMAGE, executor=here, store=f"{folder}/inside.sqlite", convention=STUDIED)
        everything = sweep(whole, space, IMAGE, executor=here, store=f"{folder}/whole.sqlite")
        if failed := [*inside.failures, *everything.failures]:
            row = failed[0]
            raise StudyError(f"{row['kind']} of width {row['width']:g} cannot be counted: {row['error']}")
        best = inside.join(reached).pareto("total", "accuracy", maximize="accuracy")
        front = {(row["kind"], row["width"]) for row in best}
        return [
            Price(one["total"], other["macs"], other["params"], place in front)
            for place, one, other in zip(accuracies, inside, everything, strict=True)
        ]
