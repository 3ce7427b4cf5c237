"""What a model's tensors take, as plain data: weights, activations, the high-water mark, bytes moved. No torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from opcount.errors import SchemaError, UnknownLayerError
from opcount.ops import Execution


@dataclass(frozen=True, slots=True)
class Held:
    """Memory that was held at the high-water mark.

    Attributes:
        path: the module in whose forward it was made.
        operator: what made it.
        shape: the first tensor in it.
        dtype: that tensor's element type.
        bytes: what it takes, which views into it share.
    """

    path: str
    operator: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """The bytes of one module, without its children's.

    Attributes:
        path: where it is.
        type: the name of its class.
        weights: its own parameters and buffers, each at its first owner.
        allocated: the activations made while it was the innermost module running, those included that went again.
        live: the most activations held at once, by anybody, while it ran, its children included.
        reads: what it read of activations.
        weight_reads: what it read of parameters and buffers.
        writes: what it wrote.
    """

    path: str
    type: str
    weights: int = 0
    allocated: int = 0
    live: int = 0
    reads: int = 0
    weight_reads: int = 0
    writes: int = 0

    @property
    def moved(self) -> int:
        """All that it read and wrote."""
        return self.reads + self.weight_reads + self.writes


@dataclass(frozen=True, repr=False)
class Memory:
    """The bytes of one call of a model without gradients: what it holds, at most at once, and what it moves.

    Kernels' workspaces and an allocator's rounding are outside.

    Attributes:
        model: the name of the model.
        weights: bytes of parameters by element type, what is shared once.
        buffers: bytes of buffers likewise.
        inputs: bytes of the tensors it was called with.
        activations: bytes of all that the forward allocated, by element type, whenever it went.
        peak_activations: the most of it that was held at once.
        peak_path: the module in whose forward that was.
        held: what was held then, largest first.
        layers: the bytes of each module.
        execution: how the figures were obtained.
    """

    model: str
    weights: Mapping[str, int]
    buffers: Mapping[str, int]
    inputs: int
    activations: Mapping[str, int]
    peak_activations: int
    peak_path: str = ""
    held: tuple[Held, ...] = ()
    layers: tuple[LayerMemory, ...] = ()
    execution: Execution = field(default=Execution("real"))

    @property
    def peak(self) -> int:
        """What is held at the high-water mark: weights, buffers, inputs and activations."""
        return sum(self.weights.values()) + sum(self.buffers.values()) + self.inputs + self.peak_activations

    @property
    def moved(self) -> int:
        """Bytes read and written, the sum over ``layers``."""
        return sum(layer.moved for layer in self.layers)

    def __getitem__(self, path: str) -> LayerMemory:
        """The bytes of the module at ``path``.

        Raises:
            UnknownLayerError: there is none.
        """
        found = self._by_path.get(path)
        if found is None:
            near = difflib.get_close_matches(path, self._by_path, n=3)
            raise UnknownLayerError(
                f"{self.model} has no layer {path!r}{'; near it: ' + ', '.join(near) if near else ''}"
            )
        return found

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def only(self, paths: Iterable[str]) -> Memory:
        """The same with some layers alone; weights, inputs and peak stay those of the whole model."""
        kept = set(paths)
        return replace(self, layers=tuple(layer for layer in self.layers if layer.path in kept))

    def named(self, model: str) -> Memory:
        """The same under another name of the model."""
        return replace(self, model=model)

    def to_dict(self) -> dict[str, Any]:
        """These figures as plain data, which :meth:`from_dict` reads."""
        execution = self.execution
        return {
            "model": self.model,
            "peak": _out(self.peak),
            "weights": _groups_out(self.weights),
            "buffers": _groups_out(self.buffers),
            "inputs": _out(self.inputs),
            "activations": _groups_out(self.activations),
            "peak_activations": _out(self.peak_activations),
            "peak_path": self.peak_path,
            "moved": _out(self.moved),
            "held": [asdict(each) | {"shape": list(each.shape), "bytes": _out(each.bytes)} for each in self.held],
            "layers": [{name: _out(value) for name, value in asdict(layer).items()} for layer in self.layers],
            "execution": {"mode": execution.mode, "reason": execution.reason, "seconds": execution.seconds},
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Memory:
        """What :meth:`to_dict` wrote.

        Raises:
            SchemaError: something in it is not what was written.
        """
        try:
            return _memory_in(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SchemaError(f"its memory is damaged: {type(error).__name__} at {error}; write it anew") from None

    def __repr__(self) -> str:
        return f"<Memory of {self.model}: {self.peak:,} bytes at most, {self.peak_activations:,} of them activations>"

    def __str__(self) -> str:
        from opcount.report import render_sheet  # the renderer hook
        from opcount.report.memories import memory_sheet

        return render_sheet(memory_sheet(self))

    @cached_property
    def _by_path(self) -> dict[str, LayerMemory]:
        return {layer.path: layer for layer in self.layers}


def _memory_in(data: Mapping[str, Any]) -> Memory:
    execution = data["execution"]
    return Memory(
        model=str(data["model"]),
        weights=_groups_in(data["weights"]),
        buffers=_groups_in(data["buffers"]),
        inputs=_in(data["inputs"]),
        activations=_groups_in(data["activations"]),
        peak_activations=_in(data["peak_activations"]),
        peak_path=str(data["peak_path"]),
        held=tuple(
            Held(str(each["path"]), str(each["operator"]), tuple(map(_in, each["shape"])), str(each["dtype"]),
                 _in(each["bytes"]))
            for each in data["held"]
        ),
        layers=tuple(
            LayerMemory(str(each["path"]), str(each["type"]), *(_in(each[name]) for name in _FIGURES))
            for each in data["layers"]
        ),
        execution=Execution(execution["mode"], execution["reason"], execution["seconds"]),
    )  # fmt: skip


_FIGURES = ("weights", "allocated", "live", "reads", "weight_reads", "writes")
_LARGEST_EXACT = 2**53  # beyond which many readers of JSON round


def _groups_out(groups: Mapping[str, int]) -> dict[str, Any]:
    return {dtype: _out(count) for dtype, count in groups.items()}


def _groups_in(data: Mapping[str, Any]) -> dict[str, int]:
    return {str(dtype): _in(count) for dtype, count in data.items()}


def _out(value: Any) -> Any:
    return str(value) if isinstance(value, int) and value > _LARGEST_EXACT else value


def _in(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) or number < 0:
        raise ValueError(f"{value}, which is no number of bytes")
    return number
