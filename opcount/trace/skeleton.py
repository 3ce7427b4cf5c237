"""The skeleton clone: a copy of a model that shares nothing a forward could change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from opcount.errors import OpCountError
from opcount.trace.chains import Chained, Links
from opcount.trace.copying import Copier
from opcount.trace.vacancy import Vacant


@dataclass(frozen=True)
class Skeleton:
    """A clone of a model, and the modules it keeps where PyTorch does not look for them.

    ``hidden`` maps attribute paths to modules that are reached through plain lists, dicts, objects or closures.
    """

    model: nn.Module
    hidden: dict[str, nn.Module]
    copier: Copier

    @property
    def ordinary(self) -> bool:
        """Whether it is known that nothing is wrapped, scripted, shared out or sparse in the model."""
        return self.copier.ordinary

    def settle(self) -> None:
        """Let go of the originals, once nothing more is to be copied of them: with that the clone is free of cycles."""
        self.copier.memo, self.copier.modules = {}, {}
        for chain in self.copier.chains:
            chain.on_copy = None
        self.copier.chains = []

    def unchain(self) -> None:
        """Copy what was not copied yet. To be called before anybody asks for the modules."""
        for chain in self.copier.chains:
            chain.copy()

    @cached_property
    def modules(self) -> list[tuple[str, nn.Module]]:
        """Every (path, module) of the clone as it was made, but for what a chain had not copied by then."""
        waiting = self._waiting
        return [place for place in self.places if id(place[1]) not in waiting] if waiting else self.places

    @property
    def places(self) -> list[tuple[str, nn.Module]]:
        """Every (path, module) of the clone as it was made: a shared one under each of its paths, then hidden ones.

        In the place of what a chain had not copied by then is the original, to be looked at only.
        """
        return self._found[0]

    def places_after(self) -> list[tuple[str, nn.Module]]:
        """The same after a run, with the copies of what was copied meanwhile."""
        if all(chain.links for chain in self.copier.chains):
            return self.places
        memo = self.copier.memo
        copies = {key: memo[key] for key in self._waiting if key in memo}
        return [(path, copies.get(id(module), module)) for path, module in self.places]

    @property
    def shares(self) -> bool:
        """Whether a module is there under several paths."""
        found, reached = self._found
        return len(reached) < len(found)

    @cached_property
    def _waiting(self) -> set[int]:
        return {id(child) for chain in self.copier.chains if chain.links for child in chain.originals}

    @cached_property
    def _found(self) -> tuple[list[tuple[str, nn.Module]], set[int]]:
        found = walk(self.model)
        reached = {id(module) for _, module in found}
        if len(self.hidden) > len(reached) - len(self._waiting):
            for root_path, root in self.hidden.items():
                if id(root) in reached:
                    continue
                for path, module in walk(root, root_path):
                    if id(module) not in reached:
                        reached.add(id(module))
                        found.append((path, module))
        return found, reached


def walk(root: nn.Module, path: str = "") -> list[tuple[str, nn.Module]]:
    """Every (path, module) from ``root`` down, in the order of ``named_modules``, without recursion.

    A shared module comes once under each of its paths, its children only under the first.
    """
    found = []
    pending = [(path, root)]
    expanded = set()
    while pending:
        place = pending.pop()
        found.append(place)
        path, module = place
        children = module.__dict__.get("_modules")
        if children and id(module) not in expanded:
            expanded.add(id(module))
            prefix = f"{path}." if path else ""
            held = children.held() if type(children) is Links else children
            pending += [(prefix + name, child) for name, child in reversed(held.items()) if child is not None]
    return found


def clone(
    model: nn.Module,
    *,
    shapes_only: bool = False,
    fake: Callable[[torch.Tensor], torch.Tensor] | None = None,
    vacant: Vacant | None = None,
    chained: Chained | None = None,
) -> Skeleton:
    """A clone of ``model`` that can be hooked and run while the model stays as it is.

    Args:
        shapes_only: the clone has stand-ins on the meta device for the model's tensors, which it does not read.
        fake: makes what takes a tensor's place in the clone, instead of a clone of it.
        vacant: the tables that modules without hooks are to share, which makes a clone sooner made.
        chained: what says of which modules the children are to be copied when somebody looks at them.
    """
    with torch.no_grad():
        copier = Copier(shapes_only=shapes_only, fake=fake, vacant=vacant, chained=chained)
        root = copier.run(model)
    return Skeleton(root, copier.modules, copier)


def cloned(model: nn.Module) -> Skeleton:
    """A clone with values of its own.

    Raises:
        OpCountError: the model cannot be cloned.
    """
    try:
        return clone(model)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise OpCountError(
            f"{type(model).__name__} cannot be cloned, and opcount runs nothing else: {type(error).__name__}: {error}"
        ) from error
