"""What a profile tells of a model's modules beside their calls, taken down as long as the clone is there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import fx
from torch.nn.parameter import is_lazy

from opcount.errors import InputError
from opcount.graphs.ordering import in_order
from opcount.ledger import ModuleFacts
from opcount.trace.following import bases_of, keeps_stacks, traced_places
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import StandIns


@dataclass(frozen=True, slots=True)
class Census:
    """The modules of a clone, each once, under its first path.

    Attributes:
        paths: where they are.
        kinds: their classes.
        params: the parameters of each that none before it has.
        aliases: the other paths of those that have some.
        traced: the classes of modules that graphs were traced in, by their paths.
    """

    paths: list[str]
    kinds: list[type]
    params: list[int]
    aliases: dict[str, tuple[str, ...]]
    traced: dict[str, str]

    def facts(self) -> list[ModuleFacts]:
        """A line for each module; a graph has those of what it was traced in, and none for what holds parameters."""
        aliases = self.aliases
        facts = [
            ModuleFacts(path, kind.__name__, _bases(kind), aliases.get(path, ()), params)
            for path, kind, params in zip(self.paths, self.kinds, self.params)
        ]
        if not self.traced:
            return facts
        known = {fact.path: fact for fact in facts}
        for path, traced in self.traced.items():
            fact = known.get(path, ModuleFacts(path, "", ()))
            if fact.type in ("", "Module", "GraphModule") or not path:
                known[path] = fact._replace(type=traced.rpartition(".")[2], bases=bases_of(traced))
        return [known[path] for path in in_order(known, [*self.traced, *known])]


def census_of(skeleton: Skeleton) -> Census:
    """What there is to tell of a clone's modules after a run, as long as it knows its originals.

    Raises:
        InputError: two modules have one path.
    """
    found = skeleton.places_after()
    places, aliases = _told_apart(found) if skeleton.shares else (found, {})
    paths, kinds = [path for path, _ in places], [type(module) for _, module in places]
    if len(set(paths)) < len(paths):
        ((twice, times),) = Counter(paths).most_common(1)
        raise InputError(
            f"{times} modules are both {twice!r}: a name with a dot in it was written past add_module, which "
            "refuses that; give it another"
        )
    params = []
    counted: set[int] = set()
    for _, module in places:
        own = 0
        table = module.__dict__.get("_parameters")
        if table:
            for parameter in table.peeked() if type(table) is StandIns else table.values():
                if parameter is not None and id(parameter) not in counted:
                    counted.add(id(parameter))
                    own += 0 if is_lazy(parameter) else parameter.numel()
        params.append(own)
    traced: dict[str, str] = {}
    if any(issubclass(kind, fx.GraphModule) for kind in set(kinds)):
        for path, module in found:
            if isinstance(module, fx.GraphModule) and keeps_stacks(module) and not (path and "" in traced):
                traced.update(traced_places(module, path))
    return Census(paths, kinds, params, aliases, traced)


def _told_apart(places: list[tuple[str, Any]]) -> tuple[list[tuple[str, Any]], dict[str, tuple[str, ...]]]:
    """Each module once, and the paths by which it comes again."""
    paths: dict[int, list[str]] = {}
    for path, module in places:
        paths.setdefault(id(module), []).append(path)
    modules = {id(module): module for _, module in places}
    firsts = [(first, modules[key]) for key, (first, *_) in paths.items()]
    return firsts, {first: tuple(others) for first, *others in paths.values() if others}


@lru_cache(maxsize=4096)
def _bases(kind: Any) -> tuple[str, ...]:
    return tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__ if base is not object)
