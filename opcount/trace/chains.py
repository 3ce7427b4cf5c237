"""Layers one after another, as ``nn.Sequential`` holds them: not copied until somebody looks at one of them.

While nobody does, each of them is known by what it looks like, and the chain answers for all (``stubs.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from torch import nn

from opcount.trace.deferred import Deferred
from opcount.trace.layout import joined

Link: TypeAlias = "tuple[str, nn.Module, Any, tuple[Any, ...]]"
"""A layer of a chain: the name of its class, the layer itself in the model (to be looked at only), what answers for
its like, and what it looks like."""

Chained: TypeAlias = Callable[[nn.Module], "tuple[Link, ...] | None"]
"""What the layers of a chain are; None of a module that is no chain."""


class Links(Deferred):
    """A chain's table of children, of which each is copied when somebody looks at it.

    Args:
        originals: the children in the model.
        copied: makes the copy of one, which has that path.
        links: the same children, in their order.
        path: where the chain was met.

    Attributes:
        path: where the chain is: among its paths the one that it was met under need not be the first.
        links: the layers; None once somebody has looked at one or put another in its place.
        on_copy: is told of a copy that was made, and of its path.
    """

    __slots__ = ("_copied", "links", "on_copy", "path")

    def __init__(
        self,
        originals: Mapping[str, nn.Module],
        copied: Callable[[nn.Module, str], nn.Module],
        links: tuple[Link, ...],
        path: str,
    ) -> None:
        super().__init__(originals)
        self._copied, self.links, self.path = copied, cast("tuple[Link, ...] | None", links), path
        self.on_copy: Callable[[str, nn.Module], object] | None = None

    @property
    def originals(self) -> list[nn.Module]:
        """The children in the model, but for those that others were put in the place of."""
        return list(self._originals.values())

    @property
    def paths(self) -> list[str]:
        """Where the layers are, as long as none was put in the place of another."""
        return [joined(self.path, name) for name in self._originals]

    def held(self) -> dict[str, Any]:
        """The copies, and in the place of those that were not made the originals, to be looked at only."""
        return {name: self._originals.get(name) if made is None else made for name, made in dict.items(self)}

    def changed(self) -> None:
        self.links = None

    def made(self, name: str, original: nn.Module) -> nn.Module:
        self.links = None
        path = joined(self.path, name)
        copied = self._copied(original, path)
        if self.on_copy is not None:
            self.on_copy(path, copied)
        return copied
