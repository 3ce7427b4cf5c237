"""The collector that folds a run's events into the records of a profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opcount.errors import RuleError
from opcount.formulas import evaluate
from opcount.ops import Call, Convention, Event, OpCount, Term, tensors
from opcount.result import Entry, LayerRecord, Shapes, Site, Uncounted


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What a profile tells of a module beside its calls: where it is, what it is, what it holds."""

    path: str
    type: str
    bases: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    params: int = 0


@dataclass(slots=True)
class _Account:
    """What was seen of one module."""

    terms: Counter[tuple[str, str, Term]] = field(default_factory=Counter)
    uncounted: Counter[tuple[str, str]] = field(default_factory=Counter)
    sites: dict[Shapes, tuple[Shapes, int]] = field(default_factory=dict)


class Ledger:
    """Adds up, module by module, what a run reports."""

    def __init__(self, convention: Convention) -> None:
        self._convention = convention
        self._accounts: dict[str, _Account] = {}
        self._costs: dict[Term, OpCount] = {}

    def enter(self, path: str) -> None:
        """A module's forward begins."""
        self._account(path)

    def leave(self, path: str, call: Call | None) -> None:
        """A module's forward has ended; a call that raised counts as made, with no output."""
        inputs = _shapes((call.args, call.kwargs)) if call else ()
        outputs = _shapes(call.output) if call else ()
        sites = self._account(path).sites
        first_outputs, calls = sites.get(inputs, (outputs, 0))
        sites[inputs] = first_outputs, calls + 1

    def on_event(self, event: Event) -> None:
        """Something was counted, found free, or is uncounted."""
        account = self._account(event.owner)
        if event.terms is None:
            account.uncounted[event.name, event.source] += 1
            return
        for term in event.terms:
            account.terms[event.source, event.name, term] += 1
            self._cost(term, event)

    def records(self, modules: Iterable[ModuleFacts]) -> tuple[LayerRecord, ...]:
        """A record for each module, in the order given."""
        facts = list(modules)
        own = {module.path: self._entries(module.path) for module in facts}
        ops = {path: sum((entry.ops for entry in entries), OpCount()) for path, entries in own.items()}
        subtrees = _subtrees(ops)
        return tuple(self._record(module, own[module.path], ops[module.path], subtrees) for module in facts)

    def _record(
        self, module: ModuleFacts, entries: tuple[Entry, ...], ops: OpCount, subtrees: Mapping[str, OpCount]
    ) -> LayerRecord:
        account = self._accounts.get(module.path, _Account())
        return LayerRecord(
            path=module.path,
            type=module.type,
            bases=module.bases,
            aliases=module.aliases,
            sites=tuple(Site(inputs, outputs, calls) for inputs, (outputs, calls) in account.sites.items()),
            params=module.params,
            ops=ops,
            subtree=subtrees[module.path],
            entries=entries,
            uncounted=tuple(
                Uncounted(name, kind, module.path, calls) for (name, kind), calls in account.uncounted.items()
            ),
        )

    def _entries(self, path: str) -> tuple[Entry, ...]:
        account = self._accounts.get(path, _Account())
        return tuple(
            Entry(source, name, term, times, self._costs[term] * times)
            for (source, name, term), times in account.terms.items()
        )

    def _cost(self, term: Term, event: Event) -> None:
        if term in self._costs:
            return
        try:
            self._costs[term] = evaluate(term, self._convention)
        except RuleError as error:
            raise RuleError(f"{event.name} at {event.owner or 'the top'}: {error}") from error

    def _account(self, path: str) -> _Account:
        account = self._accounts.get(path)
        if account is None:
            account = self._accounts[path] = _Account()
        return account


def _subtrees(ops: Mapping[str, OpCount]) -> dict[str, OpCount]:
    """The cost of each module with everything below it, from the paths."""
    sums = dict(ops)
    for path in sorted(ops, key=lambda path: path.count("."), reverse=True):
        if path:
            parent = path.rpartition(".")[0]
            while parent not in sums:  # a container that is no module lies between, such as a plain list
                parent = parent.rpartition(".")[0]
            sums[parent] = sums[parent] + sums[path]
    return sums


def _shapes(tree: object) -> Shapes:
    return tuple(spec.shape for spec in tensors(tree))
