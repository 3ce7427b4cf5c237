"""Dropout: free in eval; in training a mask is drawn and applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.registry import rule


@rule(nn.Dropout)
def dropout(layer: Any, call: Call) -> Iterator[Term]:
    """In training a random number for each element is compared with p, and the mask multiplied in."""
    if call.training:
        yield from masking(call.output.elements, call.output.elements)


@rule(nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
def channel_dropout(layer: Any, call: Call) -> Iterator[Term]:
    """The same with one mask entry for each channel of each sample."""
    if call.training:
        yield from masking(_channels(layer, call), call.output.elements)


@rule(nn.AlphaDropout)
def alpha_dropout(layer: Any, call: Call) -> Iterator[Term]:
    """Dropout, and one addition more an element: what is dropped takes SELU's lower end, what is kept is shifted."""
    if call.training:
        yield from masking(call.output.elements, call.output.elements)
        yield Term("addition", role="shift", count=call.output.elements)


@rule(nn.FeatureAlphaDropout)
def feature_alpha_dropout(layer: Any, call: Call) -> Iterator[Term]:
    """Alpha dropout with one mask entry for each channel of each sample."""
    if call.training:
        yield from masking(product(call.output.shape[:2]), call.output.elements)
        yield Term("addition", role="shift", count=call.output.elements)


def masking(entries: int, elements: int, role: str = "") -> Iterator[Term]:
    """A mask of so many entries drawn, and multiplied with so many elements."""
    prefix = f"{role} " if role else ""
    yield Term("comparison", role=f"{prefix}mask", count=entries)
    yield Term("multiplication", role=f"{prefix}masking", count=elements)


def _channels(layer: Any, call: Call) -> int:
    """Mask entries: samples times channels. Dropout2d alone takes a first dimension for the batch whatever follows."""
    shape = call.output.shape
    batched = {nn.Dropout1d: 3, nn.Dropout3d: 5}
    for kind, dimensions in batched.items():
        if isinstance(layer, kind) and len(shape) != dimensions:
            return shape[0]  # type: ignore[no-any-return]
    return product(shape[:2])  # type: ignore[no-any-return]
