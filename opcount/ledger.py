"""The collector that folds a run's events into the records of a profile."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from opcount.errors import RuleError
from opcount.formulas import Formula, evaluate, find
from opcount.ops import Call, Convention, Event, OpCount, Term, added, weighted
from opcount.result import Entry, LayerRecord, Shapes, Site, Uncounted


class ModuleFacts(NamedTuple):
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


class _Account:
    """What was seen of one module; terms by their identity, since the same ones come again and again."""

    __slots__ = ("costs", "sites", "uncounted")

    def __init__(self) -> None:
        self.costs: dict[tuple[str, int], _Cost] = {}
        self.uncounted: dict[tuple[str, str, str], int] = {}
        self.sites: dict[Shapes, tuple[Shapes, int]] = {}


_FREE = OpCount()
_WORKED_OUT: dict[Convention, dict[Term, tuple[Formula, OpCount]]] = {}
"""What terms cost under a convention, by the formula that had their name then."""
_LIMIT = 65_536
_Own: TypeAlias = tuple[tuple[Entry, ...], OpCount]

_Note: TypeAlias = tuple[str, str, str, "tuple[Term, ...] | None", str, int, Any]
"""Whose it is, source, name, terms, phase and how often; and the call that ended with it, unless it was within one."""
_WITHIN: Any = object()


class Ledger:
    """Adds up, module by module, what a run reports: notes it while the run goes on, and sorts it when asked."""

    def __init__(self, convention: Convention) -> None:
        self._convention = convention
        self._notes: list[_Note] = []
        self._sorting = threading.Lock()
        self._accounts: defaultdict[str, _Account] = defaultdict(_Account)
        self._costs: dict[int, tuple[tuple[Term, ...], tuple[OpCount, ...]]] = {}
        self._worked_out = _WORKED_OUT.setdefault(convention, {})
        self._known: dict[tuple[str, int, int], _Own] = {}

    def enter(self, path: str) -> None:
        """A module's forward begins; what there is to say of it comes when it ends."""

    def leave(self, path: str, call: Call | None, times: int = 1) -> None:
        """A module's forward has ended; a call that raised counts as made, with no output."""
        self._note((path, "", "", (), "forward", times, call))

    def on_event(self, event: Event, times: int = 1) -> None:
        """Something was counted, found free, or is uncounted, so many times."""
        source, name, owner, _, terms, phase = event
        self._note((owner, source, name, terms, phase, times, _WITHIN))

    def on_answer(self, path: str, name: str, call: Call, terms: tuple[Term, ...] | None) -> None:
        """A layer was called: its forward began, cost that and ended."""
        self._note((path, "layer", name, terms, "forward", 1, call))

    def on_repeat(self, path: str, events: Iterable[tuple[str, str, Call, tuple[Term, ...] | None]]) -> None:
        """A function did in a module's forward what it had done before."""
        for source, name, _, terms in events:
            self._note((path, source, name, terms, "forward", 1, _WITHIN))

    def _note(self, note: _Note) -> None:
        self._notes.append(note)
        if len(self._notes) >= _LIMIT:
            self._sort()

    def _sort(self) -> None:
        """Put what was noted into the accounts of the modules."""
        notes, self._notes = self._notes, []
        for path, source, name, terms, phase, times, call in notes:
            account = self._accounts[path]
            if terms is None:
                unknown = name, source, phase
                account.uncounted[unknown] = account.uncounted.get(unknown, 0) + times
            elif terms:
                key = name, id(terms)  # what is kept in the account keeps its identity
                cost = account.costs.get(key)
                if cost is None:
                    account.costs[key] = _Cost(source, name, terms, times)
                    self._costs_of(path, name, terms)
                else:
                    cost.times += times
            if call is not _WITHIN:
                inputs, outputs = call.shapes if call else ((), ())
                known = account.sites.get(inputs)
                account.sites[inputs] = (outputs, times) if known is None else (known[0], known[1] + times)

    def records(self, modules: Iterable[ModuleFacts]) -> tuple[LayerRecord, ...]:
        """A record for each module, in the order given."""
        with self._sorting:  # two threads may look at a profile's layers for the first time at once
            self._sort()
        facts = list(modules)
        own = {module.path: self._entries(module.path) for module in facts}
        subtrees = _subtrees({path: ops for path, (_, ops) in own.items()})
        return tuple([self._record(module, *own[module.path], subtrees[module.path]) for module in facts])

    def total(self, paths: Set[str]) -> OpCount:
        """The sum of what the records of the modules at these paths cost."""
        times: dict[int, int] = {}
        for path, _, name, terms, _, calls, _ in self._notes:
            if terms and path in paths:
                key = id(terms)
                if key in times:
                    times[key] += calls
                else:
                    times[key] = calls
                    self._costs_of(path, name, terms)
        for path, account in self._accounts.items():
            if path in paths:
                for (_, key), cost in account.costs.items():
                    times[key] = times.get(key, 0) + cost.times
        return weighted((cost, calls) for key, calls in times.items() for cost in self._costs[key][1])

    def _record(self, module: ModuleFacts, entries: tuple[Entry, ...], ops: OpCount, subtree: OpCount) -> LayerRecord:
        path, kind, bases, aliases, params = module
        account = self._accounts.get(path, _NEVER_CALLED)
        sites = tuple([Site(inputs, outputs, calls) for inputs, (outputs, calls) in account.sites.items()])
        unknown = account.uncounted
        uncounted = tuple([Uncounted(name, source, path, n, phase) for (name, source, phase), n in unknown.items()])
        return LayerRecord(path, kind, bases, aliases, sites, params, ops, subtree, entries, uncounted)

    def _entries(self, path: str) -> _Own:
        """Each term once, however many calls it came from, and what they cost together."""
        account = self._accounts.get(path)
        if account is None or not account.costs:
            return (), _FREE
        if len(account.costs) > 1:
            return self._added(account.costs.values())
        (cost,) = account.costs.values()
        key = cost.name, id(cost.terms), cost.times
        known = self._known.get(key)
        if known is None:  # most layers have done the same as others
            known = self._known[key] = self._added((cost,))
        return known

    def _added(self, costs: Iterable[_Cost]) -> _Own:
        times: dict[tuple[str, str, Term], int] = {}
        prices: dict[tuple[str, str, Term], OpCount] = {}
        for cost in costs:
            for term, price in zip(*self._costs[id(cost.terms)]):
                key = cost.source, cost.name, term
                times[key] = times.get(key, 0) + cost.times
                prices[key] = price
        entries = tuple(
            Entry(source, name, term, calls, price if calls == 1 else price * calls)
            for ((source, name, term), calls), price in zip(times.items(), prices.values())
        )
        return entries, added([entry.ops for entry in entries])

    def _costs_of(self, owner: str, name: str, terms: tuple[Term, ...]) -> None:
        """Work out what terms cost, and keep it by their identity."""
        if id(terms) in self._costs:
            return
        try:
            self._costs[id(terms)] = terms, tuple(map(self._cost, terms))
        except RuleError as error:
            raise RuleError(f"{name} at {owner or 'the top'}: {error}") from error

    def _cost(self, term: Term) -> OpCount:
        """What a term costs by the formula that has its name now.

        Raises:
            RuleError: it costs a part of an operation, or less than none.
        """
        formula = find(term.formula)
        known = self._worked_out.get(term)
        if known is not None and known[0] is formula:
            return known[1]
        cost = evaluate(term, self._convention)
        for figure, count in cost.to_dict().items():
            if not isinstance(count, int) or count < 0:
                raise RuleError(f"{term} has {count!r} {figure}, and a count is a whole number of 0 or more")
        if len(self._worked_out) >= _LIMIT:
            self._worked_out.clear()
        self._worked_out[term] = formula, cost
        return cost


_NEVER_CALLED = _Account()


def _subtrees(ops: Mapping[str, OpCount]) -> dict[str, OpCount]:
    """The cost of each module with everything below it, from the paths."""
    sums = dict(ops)
    below: dict[str, list[OpCount]] = {}
    for path in sorted(ops, key=_depth, reverse=True):
        cost = ops[path]
        parts = below.get(path)
        if parts is not None:
            cost = sums[path] = added(parts if cost is _FREE else [*parts, cost])
        if not path or cost is _FREE:
            continue
        parent = path.rpartition(".")[0]
        while parent not in ops:  # a container that is no module lies between, such as a plain list
            parent = parent.rpartition(".")[0]
        below.setdefault(parent, []).append(cost)
    return sums


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0
