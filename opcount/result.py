"""What a profile is: plain frozen data, its sums and its filters. No torch, no model, no printing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from opcount.choosing import chooser
from opcount.errors import UnknownLayerError
from opcount.figures import Figures, grouped
from opcount.occupancy import Memory
from opcount.ops import Convention, Execution, OpCount, Phase, Term, added

if TYPE_CHECKING:
    import pandas

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Something that ran and has no rule.

    Attributes:
        name: the operator, function or layer type.
        kind: ``"operator"``, ``"function"`` or ``"layer"``.
        path: the module in whose forward it ran.
        calls: how often.
        phase: ``"forward"``, ``"backward"`` or ``"optimizer"``.
    """

    name: str
    kind: str
    path: str
    calls: int
    phase: str = "forward"


class Entry(NamedTuple):
    """One term of a record: what it stands for, how often it came, and what that cost altogether.

    Attributes:
        source: ``"layer"``, ``"function"`` or ``"operator"``.
        name: the layer type, function or operator the term came from.
        term: the formula with its numbers.
        times: how many calls yielded this very term.
        ops: the cost of all of them under the profile's convention.
    """

    source: str
    name: str
    term: Term
    times: int
    ops: OpCount


class Site(NamedTuple):
    """The calls of a module under the same input shapes."""

    input_shapes: Shapes
    output_shapes: Shapes
    calls: int


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One module of the model.

    Attributes:
        path: where it is, as in ``named_modules``; ``""`` is the model itself.
        type: the name of its class.
        bases: qualified names of its class and what that derives from, most derived first.
        aliases: further paths the same module is registered under.
        sites: its calls, grouped by the shapes it was called with.
        params: parameters it holds itself, each counted once, at its first owner.
        ops: what its own forward cost, without its children's.
        subtree: what it cost with all its children.
        entries: the terms its own cost is made of.
        uncounted: what ran in its own forward and has no rule.
    """

    path: str
    type: str
    bases: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
    params: int = 0
    ops: OpCount = OpCount()
    subtree: OpCount = OpCount()
    entries: tuple[Entry, ...] = ()
    uncounted: tuple[Uncounted, ...] = ()

    def phase(self, phase: Phase) -> OpCount:
        """What its own part of ``"forward"``, ``"backward"`` or ``"optimizer"`` cost."""
        return sum((entry.ops for entry in self.entries if entry.term.phase == phase), OpCount())

    @property
    def calls(self) -> int:
        """How often it was called."""
        return sum(site.calls for site in self.sites)

    @property
    def input_shapes(self) -> Shapes:
        """The shapes of the tensors it was first called with."""
        return self.sites[0].input_shapes if self.sites else ()

    @property
    def output_shapes(self) -> Shapes:
        """The shapes of the tensors that first came back."""
        return self.sites[0].output_shapes if self.sites else ()


@dataclass(frozen=True, repr=False)
class Profile(Figures):
    """The arithmetic of one call of a model, layer by layer.

    The six figures and ``total`` can be read off directly; each is the sum over ``layers``, always.

    Attributes:
        model: the name of the model.
        inputs: the shapes of the tensors it was called with.
        layers: a record for every module, called or not, in the order they are registered.
        convention: what was included.
        execution_record: how the figures were obtained.
        memory: the bytes it holds and moves, if they were asked for; never part of the figures.

    >>> from torch import nn
    >>> from opcount import profile
    >>> p = profile(nn.Sequential(nn.Linear(10, 5), nn.ReLU()), (2, 10))
    >>> p.macs, p.additions, p.comparisons, p.params
    (100, 100, 10, 55)
    >>> p["0"].type, p["0"].output_shapes
    ('Linear', ((2, 5),))
    >>> p.only("linear").total
    200
    >>> p.complete
    True
    """

    model: str
    inputs: Shapes
    layers: tuple[LayerRecord, ...]
    convention: Convention = Convention()
    execution_record: Execution = field(default=Execution("real"))
    memory: Memory | None = None

    @classmethod
    def folded_later(
        cls, fold: Callable[[], tuple[LayerRecord, ...]], *, ops: OpCount, params: int, **others: Any
    ) -> Profile:
        """A profile whose records are made, by ``fold``, when they are first asked for: its figures need none of them.

        ``fold`` cannot fail. ``ops`` and ``params`` are the records' sums, ``others`` the fields beside ``layers``.
        """
        profile = cls(layers=(), **others)
        del profile.__dict__["layers"]
        profile.__dict__.update(ops=ops, params=params, _fold=fold)
        return profile

    def __getstate__(self) -> dict[str, Any]:
        """All of it, put together: what is pickled or copied asks for nothing later."""
        return {**vars(self), "layers": self.layers, "_fold": None}

    @cached_property
    def ops(self) -> OpCount:
        """The six figures of the whole, the sum over the layers."""
        return added([record.ops for record in self.layers])

    @cached_property
    def forward(self) -> OpCount:
        """The forward's part of ``ops``; all of it, unless a training step was counted."""
        return self._phase("forward")

    @cached_property
    def backward(self) -> OpCount:
        """The backward pass's part of ``ops``, with what it ran again of the forward."""
        return self._phase("backward")

    @cached_property
    def optimizer(self) -> OpCount:
        """The optimizer's part of ``ops``."""
        return self._phase("optimizer")

    def _phase(self, phase: Phase) -> OpCount:
        return sum((record.phase(phase) for record in self.layers), OpCount())

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """What was counted: ``("forward",)``, or ``("forward", "backward")``, or all three of a training step."""
        found = {entry.term.phase for entry in self._entries()} | {item.phase for item in self.uncounted}
        last = "optimizer" if "optimizer" in found else "backward" if "backward" in found else "forward"
        order: tuple[Phase, ...] = ("forward", "backward", "optimizer")
        return order[: order.index(last) + 1]

    @cached_property
    def params(self) -> int:
        """Parameters, shared ones counted once."""
        return sum(record.params for record in self.layers)

    @property
    def execution(self) -> str:
        """``"real"`` if the model computed, ``"shapes"`` if only shapes were worked out."""
        return self.execution_record.mode

    @property
    def execution_reason(self) -> str:
        """Why that way, where it was not the default."""
        return self.execution_record.reason

    @property
    def remarks(self) -> tuple[str, ...]:
        """What has to be known beside: that one replica was counted, or that sparse weights count dense."""
        return self.execution_record.remarks

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return self.execution_record.seconds

    @cached_property
    def uncounted(self) -> tuple[Uncounted, ...]:
        """What ran and has no rule: nothing is ever silently zero."""
        return tuple(item for record in self.layers for item in record.uncounted)

    @property
    def complete(self) -> bool:
        """Whether everything that ran was counted or is known to be free."""
        return not self.uncounted

    @cached_property
    def by_type(self) -> dict[str, OpCount]:
        """Costs by the type of the module they belong to."""
        return grouped((record.type, record.ops) for record in self.layers)

    @cached_property
    def by_operator(self) -> dict[str, OpCount]:
        """Costs by the layer type, function or operator that was counted."""
        return grouped((entry.name, entry.ops) for entry in self._entries())

    @cached_property
    def by_dtype(self) -> dict[str, OpCount]:
        """Costs by the element type of the arithmetic."""
        return grouped((entry.term.dtype, entry.ops) for entry in self._entries())

    def __getitem__(self, path: str) -> LayerRecord:
        """The record of the module at ``path``, or registered there under another name.

        Raises:
            UnknownLayerError: there is none; the nearest paths are given.
        """
        record = self._by_path.get(path)
        if record is None:
            near = difflib.get_close_matches(path, self._by_path, n=3, cutoff=0.5)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise UnknownLayerError(f"{self.model} has no layer {path!r}{hint}")
        return record

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def __iter__(self) -> Iterator[LayerRecord]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def only(self, what: type | str) -> Profile:
        """The profile of some layers alone.

        Args:
            what: a layer class, subclasses included; or the name of one, in any case and with or without its
                ``1d``, ``2d``, ``3d`` (``"conv"`` is Conv1d, Conv2d and Conv3d); or else a glob on paths
                (``"features.*"``).

        Raises:
            UnknownLayerError: nothing matches, or ``what`` is none of these.
        """
        if not isinstance(what, (type, str)):
            raise UnknownLayerError(f"layers are chosen by a class, a name or a glob on paths, not by {what!r}")
        chosen = chooser(what, self.layers)
        kept = tuple(record for record in self.layers if chosen(record))
        if not kept:
            name = what if isinstance(what, str) else what.__name__
            kinds = ", ".join(dict.fromkeys(record.type for record in self.layers if record.calls))
            raise UnknownLayerError(
                f"no layer of {self.model} has the type or path {name!r}; its types are {kinds}; "
                "a path may hold * as in 'features.*'"
            )
        return replace(self, layers=kept)

    def explain(self, path: str) -> Any:
        """Why the layer at ``path`` costs what it costs: its formulas in symbols, then in numbers, down to the figures.

        Args:
            path: a layer, or a container, whose explanation is its own arithmetic and the sum over what it holds;
                ``""`` is the model itself.

        Returns:
            An :class:`~opcount.Explanation`, which prints itself; ``latex()`` writes it for a paper.

        Raises:
            UnknownLayerError: there is no such layer.
            MissingExtraError: sympy is not installed.

        >>> from torch import nn
        >>> from opcount import profile
        >>> profile(nn.Conv2d(3, 8, 3, bias=False), (1, 3, 8, 8)).explain("").steps[0].form.figures["macs"]
        C_in*C_out*K_h*K_w*N*O_h*O_w/g
        """
        from opcount.explaining import explain

        return explain(self, path)

    def to_dict(self) -> dict[str, Any]:
        """This profile as plain lists, dicts and strings, in the form of ``to_json``."""
        from opcount.schema import to_dict

        return to_dict(self)

    def to_json(self, indent: int | None = 1) -> str:
        """This profile as JSON of the schema ``opcount-profile/1``; ``from_json`` brings it back equal."""
        from opcount.schema import to_json

        return to_json(self, indent)

    @staticmethod
    def from_json(text: str) -> Profile:
        """The profile that ``to_json`` wrote.

        Raises:
            SchemaError: the text is something else, or of a version this release cannot read.
        """
        from opcount.schema import from_json

        return from_json(text)

    def to_dataframe(self) -> pandas.DataFrame:
        """A pandas DataFrame with a row for every module, its path the index; needs pandas.

        Columns: type, inputs, outputs, calls, params, the six figures and total of its own, subtree_total, uncounted.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from opcount.report import render_frame  # the renderer hook

        return render_frame(self)

    def to_page(self) -> str:
        """One self-contained HTML page that shows where the operations go; needs ``pip install 'opcount[page]'``.

        Raises:
            MissingExtraError: what draws the page is not installed.
        """
        from opcount.report import render_page  # the renderer hook

        return render_page(self)

    def __repr__(self) -> str:
        return f"<Profile of {self.model}: {self.macs:,} MACs, {self.total:,} operations, {self.params:,} parameters>"

    def __str__(self) -> str:
        from opcount.report import render_text  # the renderer hook: the one import to the right

        return render_text(self)

    def __rich__(self) -> Any:
        from opcount.report import render_rich  # the renderer hook

        return render_rich(self)

    def _repr_html_(self) -> str:
        from opcount.report import render_html  # the renderer hook

        return render_html(self)

    @cached_property
    def _by_path(self) -> dict[str, LayerRecord]:
        return {path: record for record in self.layers for path in (record.path, *record.aliases)}

    def _entries(self) -> Iterator[Entry]:
        for record in self.layers:
            yield from record.entries


class _Layers:
    """``Profile.layers`` as long as an instance has none of its own: they are put together then, and kept."""

    def __get__(self, profile: Profile, owner: type[Profile]) -> tuple[LayerRecord, ...]:
        fold = vars(profile).get("_fold")
        if fold is not None:  # else another thread has been here meanwhile
            vars(profile).update(layers=fold(), _fold=None)
        layers: tuple[LayerRecord, ...] = vars(profile)["layers"]
        return layers


Profile.layers = _Layers()  # type: ignore[assignment]  # after the class: a field's value there would be its default
