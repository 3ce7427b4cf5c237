"""A mixture of experts: which of its parameters work on a token, and what it would cost if all of them did.

What is counted is what a token goes through: each of its chosen experts once. So the routing decides which experts
work, but not how much is computed: the tokens of all experts together are tokens times experts chosen. That is read off
the calls: of stacked experts (one module whose weights have an axis for them) the width of the indices beside the
tokens, of a list of experts (a module each) the rows that all of them together were given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torch import nn

from opcount.result import LayerRecord, Profile


@dataclass(frozen=True)
class Experts:
    """The parameters and the multiply-accumulates of a model with experts.

    Attributes:
        total: all of its parameters.
        active: those that one token meets: all but those of the experts that are not chosen for it.
        chosen: for each kind of layer of experts, how many of how many a token goes to.
        macs: multiply-accumulates as counted, each token through its chosen experts.
        every: multiply-accumulates if each token went through every expert.

    >>> print(str(Experts(46_702_792_704, 12_879_925_248, ((2, 8),), 1_632_170_803_200, 5_961_193_127_936)))
    12,879,925,248 of 46,702,792,704 parameters active for a token (2 of 8 experts); 5,961,193,127,936 MACs with all
    """

    total: int
    active: int
    chosen: tuple[tuple[int, int], ...]
    macs: int
    every: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{some} of {many}" for some, many in self.chosen)
        return (
            f"{self.active:,} of {self.total:,} parameters active for a token ({kinds} experts); "
            f"{self.every:,} MACs with all"
        )


@dataclass(frozen=True)
class _Layer:
    """A layer of experts: how many a token goes to of how many, the parameters of each, and what they cost."""

    some: int
    many: int
    each: int
    macs: int
    every: int


def experts(model: nn.Module, profile: Profile) -> Experts | None:
    """Active and total parameters of a model with experts, and what it would cost if every expert ran.

    Experts are known by their name: a module whose class ends in ``Experts`` and whose weights are stacked, as
    transformers has them, or a ``ModuleList`` or ``ModuleDict`` called ``experts``, or something with it, whose members
    are alike and were given some of the tokens each.

    Args:
        model: what was counted.
        profile: its profile, which tells how many experts each token was sent to.

    Returns:
        None where the model has no such experts.
    """
    found = [layer for layer in _layers(model, profile) if 0 < layer.some < layer.many]
    if not found:
        return None
    waiting = sum(layer.each * (layer.many - layer.some) for layer in found)
    more = sum(layer.every - layer.macs for layer in found)
    chosen = tuple(dict.fromkeys((layer.some, layer.many) for layer in found))
    return Experts(profile.params, profile.params - waiting, chosen, profile.macs, profile.macs + more)


def _layers(model: nn.Module, profile: Profile) -> Iterator[_Layer]:
    records = {record.path: record for record in profile.layers}
    for path, record in records.items():
        module = model.get_submodule(path)
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            if "expert" in path.rpartition(".")[2].lower():
                yield from _listed(module, path, records)
        elif record.type.endswith("Experts"):
            yield from _stacked(module, record)


def _stacked(module: nn.Module, record: LayerRecord) -> Iterator[_Layer]:
    """Experts in one module, whose weights have an axis for them."""
    weights = [weight for weight in module.parameters(recurse=False) if weight.dim() >= 2]
    some, many = _sent_to(record), weights[0].shape[0] if weights else 0
    if some and all(weight.shape[0] == many for weight in weights):
        macs = record.subtree.macs
        yield _Layer(some, many, sum(weight.numel() // many for weight in weights), macs, macs // some * many)


def _sent_to(record: LayerRecord) -> int:
    """How many experts a token was sent to: the width of the indices that came beside the tokens."""
    shapes = record.input_shapes
    return shapes[1][-1] if len(shapes) >= 3 and len(shapes[1]) == 2 and shapes[1] == shapes[2] else 0


def _listed(module: nn.Module, path: str, records: dict[str, LayerRecord]) -> Iterator[_Layer]:
    """Experts that are a module each, and were given the tokens that were sent to them."""
    names = [f"{path}.{name}" for name, _ in module.named_children()]
    sizes = {tuple(weight.shape for weight in child.parameters()) for child in module.children()}
    tokens = _rows(records[path]) or _rows(records[path.rpartition(".")[0]])  # a list itself is seldom called
    rows = sum(_rows(records[name]) for name in names if name in records)
    if len(sizes) != 1 or not tokens or not rows or any(name not in records for name in names):
        return
    macs = sum(records[name].subtree.macs for name in names)
    each = sum(weight.numel() for weight in next(iter(module.children())).parameters())
    yield _Layer(-(-rows // tokens), len(names), each, macs, macs * len(names) * tokens // rows)


def _rows(record: LayerRecord) -> int:
    """How many rows a module was given in all of its calls: its first input but for the last axis."""
    return sum(prod(site.input_shapes[0][:-1]) * site.calls for site in record.sites if site.input_shapes)
