"""The collector that folds a run's events into the records of a profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opcount.errors import RuleError
from opcount.formulas import evaluate
from opcount.ops import Call, Convention, Event, OpCount, Term
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
class _Cost:
    """Terms and how often they came."""

    source: str
    name: str
    terms: tuple[Term, ...]
    times: int = 1


@dataclass(slots=True)
class _Account:
    """What was seen of one module; terms by their identity, since the same ones come again and again."""

    costs: dict[tuple[str, int], _Cost] = field(default_factory=dict)
    uncounted: dict[tuple[str, str], int] = field(default_factory=dict)
    sites: dict[Shapes, tuple[Shapes, int]] = field(default_factory=dict)


_FREE = OpCount()


class Ledger:
    """Adds up, module by module, what a run reports."""

    def __init__(self, convention: Convention) -> None:
        self._convention = convention
        self._accounts: dict[str, _Account] = {}
        self._costs: dict[Term, OpCount] = {}
        self._checked: dict[int, object] = {}

    def enter(self, path: str) -> None:
        """A module's forward begins; what there is to say of it comes when it ends."""

    def leave(self, path: str, call: Call | None) -> None:
        """A module's forward has ended; a call that raised counts as made, with no output."""
        inputs, outputs = call.shapes if call else ((), ())
        sites = self._account(path).sites
        first_outputs, calls = sites.get(inputs, (outputs, 0))
        sites[inputs] = first_outputs, calls + 1

    def on_event(self, event: Event) -> None:
        """Something was counted, found free, or is uncounted."""
        account = self._account(event.owner)
        if event.terms is None:
            unknown = event.name, event.source
            account.uncounted[unknown] = account.uncounted.get(unknown, 0) + 1
        elif event.terms:
            key = event.name, id(event.terms)  # what is kept in the account keeps its identity
            cost = account.costs.get(key)
            if cost is None:
                account.costs[key] = _Cost(event.source, event.name, event.terms)
                self._check(event)
            else:
                cost.times += 1

    def records(self, modules: Iterable[ModuleFacts]) -> tuple[LayerRecord, ...]:
        """A record for each module, in the order given."""
        facts = list(modules)
        own = {module.path: self._entries(module.path) for module in facts}
        ops = {path: _total(entries) for path, entries in own.items()}
        subtrees = _subtrees(ops)
        return tuple(self._record(module, own[module.path], ops[module.path], subtrees) for module in facts)

    def _record(
        self, module: ModuleFacts, entries: tuple[Entry, ...], ops: OpCount, subtrees: Mapping[str, OpCount]
    ) -> LayerRecord:
        path = module.path
        account = self._accounts.get(path, _NEVER_CALLED)
        return LayerRecord(
            path,
            module.type,
            module.bases,
            module.aliases,
            tuple(Site(inputs, outputs, calls) for inputs, (outputs, calls) in account.sites.items()),
            module.params,
            ops,
            subtrees[path],
            entries,
            tuple(Uncounted(name, kind, path, calls) for (name, kind), calls in account.uncounted.items()),
        )

    def _entries(self, path: str) -> tuple[Entry, ...]:
        """Each term once, however many calls it came from."""
        account = self._accounts.get(path)
        if account is None or not account.costs:
            return ()
        times: dict[tuple[str, str, Term], int] = {}
        for cost in account.costs.values():
            for term in cost.terms:
                key = cost.source, cost.name, term
                times[key] = times.get(key, 0) + cost.times
        return tuple(
            Entry(source, name, term, calls, self._costs[term] if calls == 1 else self._costs[term] * calls)
            for (source, name, term), calls in times.items()
        )

    def _check(self, event: Event) -> None:
        """Work out what terms cost when they first come, so that what is wrong with them is said of that event."""
        if id(event.terms) in self._checked:
            return
        self._checked[id(event.terms)] = event.terms
        for term in event.terms or ():
            if term not in self._costs:
                try:
                    self._costs[term] = evaluate(term, self._convention)
                except RuleError as error:
                    raise RuleError(f"{event.name} at {event.owner or 'the top'}: {error}") from error

    def _account(self, path: str) -> _Account:
        account = self._accounts.get(path)
        if account is None:
            account = self._accounts[path] = _Account()
        return account


_NEVER_CALLED = _Account()


def _total(entries: tuple[Entry, ...]) -> OpCount:
    if len(entries) == 1:
        return entries[0].ops
    return sum((entry.ops for entry in entries), _FREE)


def _subtrees(ops: Mapping[str, OpCount]) -> dict[str, OpCount]:
    """The cost of each module with everything below it, from the paths."""
    sums = dict(ops)
    for path in sorted(ops, key=_depth, reverse=True):
        cost = sums[path]
        if not path or cost is _FREE:
            continue
        parent = path.rpartition(".")[0]
        while parent not in sums:  # a container that is no module lies between, such as a plain list
            parent = parent.rpartition(".")[0]
        sums[parent] = cost if sums[parent] is _FREE else sums[parent] + cost
    return sums


def _depth(path: str) -> int:
    return path.count(".")
