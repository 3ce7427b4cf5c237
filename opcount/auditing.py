"""The same model counted twice: by the rules of its layers, and by the functions and operators they call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from opcount.counting import count
from opcount.ops import FIGURES, Convention, OpCount
from opcount.parsing import visible
from opcount.result import Profile, Uncounted


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A module whose two counts differ.

    Attributes:
        path: where the module is.
        type: the name of its class.
        figure: which of the six figures.
        layer_rule: what the layer's own rule says.
        operators: what the functions and operators it calls add up to.
        uncounted: what ran in it and has no rule as an operator, which would explain the difference.
    """

    path: str
    type: str
    figure: str
    layer_rule: int
    operators: int
    uncounted: tuple[Uncounted, ...] = ()

    @property
    def difference(self) -> int:
        """How many operations more the layer's rule counts."""
        return self.layer_rule - self.operators

    def __str__(self) -> str:
        named = f"; uncounted: {', '.join(item.name for item in self.uncounted)}" if self.uncounted else ""
        return (
            f"{visible(self.path) or '(model)'} ({visible(self.type)}): {self.figure} {self.layer_rule:,} by its rule, "
            f"{self.operators:,} by what it calls{named}"
        )


@dataclass(frozen=True)
class Audit:
    """Two independent counts of one model, and where they differ.

    Attributes:
        by_layers: the profile as ``profile`` gives it.
        by_operators: the profile without layer rules.
        disagreements: every module and figure in which the two differ.
    """

    by_layers: Profile
    by_operators: Profile
    disagreements: tuple[Disagreement, ...]

    @property
    def agrees(self) -> bool:
        """Whether the two counts are the same, figure by figure and module by module."""
        return not self.disagreements

    def __str__(self) -> str:
        model, macs = visible(self.by_layers.model), self.by_layers.macs
        counted = f"{model}: {len(self.by_layers):,} modules counted twice, {macs:,} MACs by layers"
        if self.agrees:
            return f"{counted} and by what they call, no disagreement in any figure"
        title = (
            f"{counted} and {self.by_operators.macs:,} by what they call, {len(self.disagreements):,} disagreements:"
        )
        return "\n".join([title, *(f"  {each}" for each in self.disagreements)])


def audit(
    model: nn.Module,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    convention: Convention = Convention(),
) -> Audit:
    """Count a model by its layers' rules and again by functions and operators alone, and compare.

    Args:
        model, inputs, kwargs, convention: as for :func:`opcount.profile`.

    Raises:
        OpCountError: as for :func:`opcount.profile`.

    >>> from torch import nn
    >>> audit(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval(), (1, 3, 8, 8)).agrees
    True
    """
    by_layers = count(model, inputs, kwargs, convention)
    by_operators = count(model, inputs, kwargs, convention, layer_rules=False)
    return Audit(by_layers, by_operators, tuple(_differences(by_layers, by_operators)))


def _differences(by_layers: Profile, by_operators: Profile) -> list[Disagreement]:
    """Below a layer that has a rule the operators belong to its children too, so subtrees are compared there."""
    found = []
    within: list[str] = []
    for record, other in zip(by_layers.layers, by_operators.layers):
        if any(record.path.startswith(f"{path}.") for path in within):
            continue
        owned = any(entry.source == "layer" for entry in record.entries)
        if owned:
            within.append(record.path)
        ours, theirs = (record.subtree, other.subtree) if owned else (record.ops, other.ops)
        found.extend(_compare(ours, theirs, record.path, record.type, other.uncounted))
    return found


def _compare(
    ours: OpCount, theirs: OpCount, path: str, kind: str, uncounted: tuple[Uncounted, ...]
) -> list[Disagreement]:
    pairs = ((figure, getattr(ours, figure), getattr(theirs, figure)) for figure in FIGURES)
    return [Disagreement(path, kind, figure, a, b, uncounted) for figure, a, b in pairs if a != b]
