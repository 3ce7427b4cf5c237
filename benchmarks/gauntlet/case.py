"""What a case is: a model and its inputs, why it is hard, and the figures derived by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn


class Built(NamedTuple):
    """A model and the arguments of the one call that is counted."""

    model: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012 - never written to


@dataclass(frozen=True)
class Case:
    """One model with its truth.

    ``truth`` maps the six figures (macs, multiplications, additions, divisions, comparisons, transcendentals)
    to what the textbook definitions of the layers cost, as ``docs/counting.md`` states them.
    ``training`` is the mode the model is counted in, ``grad`` whether autograd records the call. A model without
    parameters is given one that it never uses, since some counters fail for the lack of it alone, unless ``bare``.
    """

    name: str
    family: str
    why: str
    truth: Mapping[str, int]
    builder: Callable[[], Built] = field(repr=False)
    training: bool = False
    grad: bool = True
    bare: bool = False

    def build(self) -> Built:
        """Make a fresh model and its inputs, the same ones every time, in the case's mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            built = self.builder()
            if not self.bare and not any(True for _ in built.model.parameters()):
                built.model.register_parameter("unused", weight(1))
        built.model.train(self.training)
        return built

    def context(self) -> AbstractContextManager[Any]:
        """The gradient mode in which the case is counted."""
        return torch.set_grad_enabled(self.grad)


class Family:
    """Collects the cases of one file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cases: list[Case] = []

    def case(
        self,
        why: str,
        *,
        macs: int,
        products: int = 0,
        additions: int = 0,
        divisions: int = 0,
        comparisons: int = 0,
        transcendentals: int = 0,
        training: bool = False,
        grad: bool = True,
        bare: bool = False,
    ) -> Callable[[Callable[[], Built]], Callable[[], Built]]:
        """Register the decorated builder under its own name.

        ``products`` are the multiplications outside of contractions: they are multiplications, but no MACs.
        """
        truth = {
            "macs": macs,
            "multiplications": macs + products,
            "additions": additions,
            "divisions": divisions,
            "comparisons": comparisons,
            "transcendentals": transcendentals,
        }

        def register(builder: Callable[[], Built]) -> Callable[[], Built]:
            name = builder.__name__.replace("_", "-")
            self.cases.append(Case(name, self.name, why, truth, builder, training, grad, bare))
            return builder

        return register


def module(forward: Callable[..., Any], **members: Any) -> nn.Module:
    """A module of a class of its own with this ``forward`` and these submodules, parameters and attributes.

    >>> from torch.nn import Linear
    >>> twice = module(lambda self, x: self.layer(self.layer(x)), layer=Linear(3, 3))
    >>> twice(torch.ones(1, 3)).shape
    torch.Size([1, 3])
    """
    model: nn.Module = type("Model", (nn.Module,), {"forward": forward})()
    for name, member in members.items():
        setattr(model, name, member)
    return model


def weight(*shape: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    """A random parameter of this shape."""
    return nn.Parameter(torch.randn(*shape, dtype=dtype))
