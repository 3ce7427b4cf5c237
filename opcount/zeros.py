"""What the zeros in a model's weights would save: of pruned models, and of weights that are stored sparse.

A profile counts every weight, zero or not, as the layer is defined. Here those products are left out that have a zero
weight for a factor, and the sums that they would have gone into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from opcount.counting import count
from opcount.errors import InputError
from opcount.formulas import evaluate
from opcount.ops import FIGURES, Convention, OpCount, Term
from opcount.parsing import visible
from opcount.result import LayerRecord, Profile
from opcount.trace.remarks import unwrapped_modules

_WORKED_OUT = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_FORMULAS = ("dots", "convolution")


@dataclass(frozen=True, slots=True)
class SparseLayer:
    """A layer some of whose weights are zero.

    Attributes:
        path: where it is.
        type: the name of its class.
        weights: how many it has.
        zeros: how many of them are zero.
        dense: what its products with weights cost as it is defined, biases and all else left aside.
        kept: what they cost without the zeros; None for a kind of layer of which that is not worked out.
    """

    path: str
    type: str
    weights: int
    zeros: int
    dense: OpCount
    kept: OpCount | None

    @property
    def saved(self) -> OpCount:
        """What the zeros would save."""
        return OpCount() if self.kept is None else _difference(self.dense, self.kept)


@dataclass(frozen=True, slots=True)
class Sparsity:
    """A model's dense count, and what the zeros in its weights would save.

    Attributes:
        dense: the profile, in which every weight counts.
        layers: those that have zeros.
    """

    dense: Profile
    layers: tuple[SparseLayer, ...]

    @property
    def saved(self) -> OpCount:
        """What all zeros together would save."""
        return sum((layer.saved for layer in self.layers), OpCount())

    @property
    def kept(self) -> OpCount:
        """What is left of the dense count."""
        return _difference(self.dense.ops, self.saved)

    def __str__(self) -> str:
        saved, dense = self.saved, self.dense
        title = (
            f"{visible(dense.model)}: {dense.macs:,} MACs and {dense.total:,} operations dense; zeros in the weights "
            f"would save {saved.macs:,} MACs and {saved.total:,} operations"
        )
        return "\n".join([title, *(f"  {_line(layer)}" for layer in self.layers)])


def sparsity(
    model: nn.Module,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    convention: Convention = Convention(),
) -> Sparsity:
    """Count a model dense, and work out what the zeros in its weights would save.

    Products with a zero weight are left out of linear layers and convolutions; a sum loses as many terms as it has
    zeros. Zero biases, and zeros in the values that run through the model, are not looked at.

    Args:
        model, inputs, kwargs, convention: as for :func:`opcount.profile`.

    Raises:
        InputError: the weights have no values to look at, or the convention skips zero padding.
        OpCountError: as for :func:`opcount.profile`.

    >>> from torch.nn.utils import prune
    >>> from opcount.zeros import sparsity
    >>> layer = prune.l1_unstructured(nn.Linear(8, 4, bias=False), "weight", amount=24)
    >>> found = sparsity(nn.Sequential(layer), (1, 8))
    >>> found.dense.macs, found.saved.macs, found.layers[0].zeros
    (32, 24, 24)
    """
    if not convention.zero_padding:
        raise InputError("which zeros of a kernel land on padding is not worked out: count with zero padding")
    dense = count(model, inputs, kwargs, convention)
    return Sparsity(dense, tuple(_layers(model, dense)))


def _layers(model: nn.Module, dense: Profile) -> Iterator[SparseLayer]:
    for path, module in unwrapped_modules(model):
        tensors = [tensor for name, tensor in _weights(module) if name.startswith("weight") or "_weight" in name]
        zeros = sum(int((_plain(tensor) == 0).sum()) for tensor in tensors)
        if not zeros or path not in dense:
            continue
        record = dense[path]
        worked_out = isinstance(module, _WORKED_OUT) and any(entry.source == "layer" for entry in record.entries)
        kept = _kept(record, _plain(tensors[0])) if worked_out and len(tensors) == 1 else None
        weights = sum(tensor.numel() for tensor in tensors)
        yield SparseLayer(path, record.type, weights, zeros, _products(record), kept)


def _weights(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """A module's own tensors as its forward sees them: of one that is pruned or parametrized what is made of them."""
    worked_out = {name.removesuffix("_orig") for name in module._parameters}
    worked_out |= set(getattr(module, "parametrizations", ()))
    for name in sorted(worked_out):
        tensor = getattr(module, name, None)
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.ndim > 1:
            yield name, tensor.detach()


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_meta:
        raise InputError("weights on the meta device have no values, so nobody knows which are zero")
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _products(record: LayerRecord) -> OpCount:
    found = (entry.ops for entry in record.entries if entry.term.formula in _FORMULAS)
    return sum(found, OpCount())


def _kept(record: LayerRecord, weight: torch.Tensor) -> OpCount:
    """Each dot as long as its row of the weight has entries, at every position where the layer was applied."""
    entries = (weight.reshape(weight.shape[0], -1) != 0).sum(1)
    products, dots = int(entries.sum()), int((entries > 0).sum())
    kept = OpCount()
    for entry in record.entries:
        if entry.term.formula in _FORMULAS:
            positions = entry.ops.macs // weight.numel()
            kept = kept + evaluate(Term("uneven_dots", times=positions, products=products, dots=dots))
    return kept


def _difference(whole: OpCount, part: OpCount) -> OpCount:
    return OpCount(**{figure: getattr(whole, figure) - getattr(part, figure) for figure in FIGURES})


def _line(layer: SparseLayer) -> str:
    what = (
        f"{visible(layer.path) or '(model)'} ({visible(layer.type)}): {layer.zeros:,} of {layer.weights:,} weights zero"
    )
    if layer.kept is None:
        return f"{what}, not worked out for this kind of layer"
    return f"{what}, {layer.saved.macs:,} of {layer.dense.macs:,} MACs"
