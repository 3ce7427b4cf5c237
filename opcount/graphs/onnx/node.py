"""One operator of an ONNX graph, as its rule sees it: attributes, shapes, and the few values that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opcount.ops import Call, TensorSpec


class UnknownShape(LookupError):
    """A rule needs a shape that nobody can tell without values."""


@dataclass(frozen=True, slots=True)
class Node:
    """One call of an operator.

    Attributes:
        operator: its name, with its domain where that is not ONNX's own.
        version: the version of the operator set that it is written for.
        attributes: those that are given.
        inputs, outputs: what goes in and comes out by place; None for what is left out or has no known shape.
        given: which inputs are given, known or not.
        constants: the values of inputs that are known, as nested lists.
        subgraphs: what its attributes hold of graphs.
    """

    operator: str
    version: int
    attributes: Mapping[str, Any]
    inputs: tuple[TensorSpec | None, ...]
    outputs: tuple[TensorSpec | None, ...]
    given: tuple[bool, ...]
    constants: Mapping[int, Any] = field(default_factory=dict)

    def has(self, place: int) -> bool:
        """Whether an input is given."""
        return place < len(self.given) and self.given[place]

    def input(self, place: int = 0) -> TensorSpec:
        """An input.

        Raises:
            UnknownShape: its shape is not known.
        """
        return self._known(self.inputs, place)

    @property
    def out(self) -> TensorSpec:
        """The first output.

        Raises:
            UnknownShape: its shape is not known.
        """
        return self._known(self.outputs, 0)

    def option(self, name: str, place: int | None = None, default: Any = None) -> Any:
        """An attribute, or the value of the input that newer versions have in its place.

        Raises:
            UnknownShape: the input is given and its value is not known.
        """
        if name in self.attributes:
            return self.attributes[name]
        if place is None or not self.has(place):
            return default
        if place not in self.constants:
            raise UnknownShape(name)
        return self.constants[place]

    @property
    def call(self) -> Call:
        """This call as others are described."""
        return Call(self.inputs, {}, tuple(self.outputs))

    @property
    def dtype(self) -> str:
        """The element type of its arithmetic."""
        known = [spec for spec in (*self.outputs, *self.inputs) if spec is not None]
        floating = next((spec.dtype for spec in known if spec.floating), None)
        return floating or (known[0].dtype if known else "")

    def _known(self, specs: tuple[TensorSpec | None, ...], place: int) -> TensorSpec:
        spec = specs[place] if place < len(specs) else None
        if spec is None:
            raise UnknownShape(str(place))
        return spec
