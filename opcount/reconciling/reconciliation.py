"""Two figures for one model, and the items between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opcount.formulas import evaluate
from opcount.ops import OpCount, Term
from opcount.reconciling.tools import Charge, Tool, find

if TYPE_CHECKING:
    from torch import nn

    from opcount.reconciling.witness import Seen


@dataclass(frozen=True, slots=True)
class Item:
    """One reason why two figures differ.

    Attributes:
        reason: what the tool does that opcount does not, or the reverse.
        amount: by how much that moves the tool's figure; negative for what it leaves out.
        calls: how many calls it concerns.
        paths: the layers they were made in.
    """

    reason: str
    amount: int
    calls: int
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciliation:
    """What a tool reports for a model, and why that differs from opcount's MACs.

    Attributes:
        model: the name of the model.
        inputs: the shapes of the tensors it was called with.
        tool: the tool and its convention.
        macs: what opcount counts.
        reported: what the tool reports, worked out from its convention.
        items: what lies between, the largest first.

    >>> from torch import nn
    >>> found = reconcile(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), (1, 3, 6, 6), tool="fvcore")
    >>> found.macs, found.reported, found.difference
    (3456, 3712, 256)
    >>> [(item.reason, item.amount) for item in found.items]
    [('batch norm, 2 an element', 256)]
    """

    model: str
    inputs: tuple[tuple[int, ...], ...]
    tool: Tool
    macs: int
    reported: int
    items: tuple[Item, ...]

    @property
    def difference(self) -> int:
        """How much more the tool reports; the items sum to it."""
        return self.reported - self.macs

    def to_dict(self) -> dict[str, Any]:
        """Both figures and the items as plain values, of the schema ``opcount-versus/1``."""
        from opcount.schema import number_out

        return {
            "schema": "opcount-versus/1",
            "model": self.model,
            "inputs": [list(shape) for shape in self.inputs],
            "tool": {"name": self.tool.name, "title": self.tool.title, "figure": self.tool.figure,
                     "source": self.tool.source, "asked": self.tool.asked, "limits": list(self.tool.limits)},
            "macs": number_out(self.macs),
            "reported": number_out(self.reported),
            "difference": number_out(self.difference),
            "items": [
                {"reason": item.reason, "amount": number_out(item.amount), "calls": item.calls,
                 "paths": list(item.paths)}
                for item in self.items
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        from opcount.reconciling.showing import render  # the renderer hook

        return render(self)


def reconcile(
    model: nn.Module, inputs: Any = None, tool: str = "fvcore", *, kwargs: Mapping[str, Any] | None = None
) -> Reconciliation:
    """What a tool reports for one call of a model, and item by item why that differs from opcount's MACs.

    The tool need not be installed: its convention is data. The model is taken in evaluation mode, as the tools put it.

    Args:
        model, inputs, kwargs: as for :func:`opcount.profile`.
        tool: one of :data:`TOOLS`.

    Raises:
        InputError: there is no such tool; or as for :func:`opcount.profile`.
        OpCountError: as for :func:`opcount.profile`.
    """
    from opcount.ops import tensors
    from opcount.reconciling.witness import witness

    chosen = find(tool)
    root = witness(model, inputs, kwargs)
    called = next((seen.call for seen in root.inside if seen.call is not None), None)
    shapes = tuple(spec.shape for spec in tensors((called.args, called.kwargs))) if called else ()
    return between(root, chosen, type(model).__name__, shapes)


def between(root: Seen, tool: Tool, model: str, inputs: tuple[tuple[int, ...], ...]) -> Reconciliation:
    """The reconciliation of one observed call."""
    balance = _Balance(root, tool)
    items = sorted(balance.items(), key=lambda item: -abs(item.amount))
    return Reconciliation(model, inputs, tool, balance.macs, balance.reported, tuple(items))


class _Balance:
    """Every contraction as opcount counts it, against what the tool charged for it."""

    def __init__(self, root: Seen, tool: Tool) -> None:
        self._why = tool.why
        self._ours: dict[Seen, int] = {}
        self._open: dict[Seen, int] = {}
        self._charged: dict[Seen, int] = {}
        self._extras: dict[str, list[tuple[int, Seen | None]]] = {}
        self._levels: dict[str, int] = {"layer": 0, "function": 0, "operator": 0}
        for seen in root.walk():
            macs = sum(_ops(term).macs for term in seen.terms or ())
            if macs:
                self._ours[seen] = self._open[seen] = macs
        charges = tool.charges
        for seen in root.walk():
            if seen.call is not None:
                for charge in charges(seen):
                    self._levels[seen.level] += charge.amount
                    self._enter(seen, charge)
        self.macs = sum(self._ours.values())
        closing = tool.closing(root, self._levels) if tool.closing else ()
        ends = [charge for charge in closing if charge.amount]
        for charge in ends:
            self._extras.setdefault(charge.reason, []).append((charge.amount, None))
        self.reported = sum(self._levels.values()) + sum(charge.amount for charge in ends)

    def _enter(self, seen: Seen, charge: Charge) -> None:
        """Set a charge against the contraction that it is for, or keep it as something of the tool's own."""
        if charge.reason or not charge.amount:
            self._extras.setdefault(charge.reason, []).append((charge.amount, seen))
            return
        owner = next((each for each in (seen, *seen.above()) if each in self._ours), None)
        owners = [owner] if owner else [each for each in seen.walk() if each in self._ours]
        left = charge.amount
        for each in owners:
            part = left if each is owners[-1] else min(left, self._open[each])
            self._charged[each] = self._charged.get(each, 0) + part
            self._open[each] -= part
            left -= part
        if not owners:
            self._extras.setdefault("products that are no contraction here", []).append((left, seen))

    def items(self) -> Iterable[Item]:
        """What does not cancel out, gathered by its reason."""
        found: dict[str, list[tuple[int, Seen | None]]] = {}
        for reason, entries in self._extras.items():
            found.setdefault(reason, []).extend(entry for entry in entries if entry[0])
        for seen, macs in self._ours.items():
            charged = self._charged.get(seen, 0)
            if charged != macs:
                for amount, reason in self._differences(seen, charged - macs, charged):
                    found.setdefault(reason, []).append((amount, seen))
        for reason, entries in found.items():
            amount = sum(value for value, _ in entries)
            if amount:
                calls = dict.fromkeys(seen for _, seen in entries if seen is not None)
                yield Item(reason, amount, len(calls), tuple(dict.fromkeys(seen.path for seen in calls)))

    def _differences(self, seen: Seen, difference: int, charged: int) -> Iterable[tuple[int, str]]:
        """Why a contraction is charged otherwise than it is counted."""
        said = self._why(seen, charged) if self._why else None
        name = _named(seen)
        if said:
            yield difference, said
        elif charged == 0:
            yield difference, f"{name}: not seen"
        elif -difference == _attention(seen):
            yield difference, f"{name}: its two products not seen, only its projections"
        else:
            yield difference, f"{name}: counted otherwise"


def _attention(seen: Seen) -> int:
    """The MACs of attention's two products, without projections."""
    return sum(_ops(term).macs for term in seen.terms or () if term.role in ("scores", "values"))


def _named(seen: Seen) -> str:
    """What a call is called in an item."""
    if seen.level == "layer":
        return type(seen.subject).__name__
    for each in (seen, *seen.above()):
        if each.level == "function":
            return f"{getattr(each.subject, '__name__', 'function')}{' by a sign' if each.as_operator else ''}"
        if each.level == "layer":
            break
    return str(getattr(seen.subject, "_overloadpacket", seen.subject)).replace("aten.", "")


@lru_cache(maxsize=65_536)
def _ops(term: Term) -> OpCount:
    return evaluate(term)
