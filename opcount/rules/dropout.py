"""Dropout: free in eval; in training a mask is drawn and applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.reading import given
from opcount.rules.registry import rule
from opcount.rules.shapes import axes_of

_BATCHED = {1: 3, 3: 5}
"""Dimensions of a batch, by axes. Dropout2d alone takes a first dimension for the batch whatever follows."""


@rule(nn.Dropout, F.dropout, torch.dropout, torch.dropout_, "aten.native_dropout", "aten._fused_dropout")
def dropout(subject: Any, call: Call) -> Iterator[Term]:
    """In training a random number for each element is compared with p, and the mask multiplied in."""
    if _drops(subject, call):
        yield from masking(call.out.elements, call.out.elements)


@rule(nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, F.dropout1d, F.dropout2d, F.dropout3d)
def channel_dropout(subject: Any, call: Call) -> Iterator[Term]:
    """The same with one mask entry for each channel of each sample."""
    if _drops(subject, call):
        shape = call.out.shape
        batched = len(shape) == _BATCHED.get(axes_of(subject), len(shape))
        yield from masking(product(shape[:2]) if batched else shape[0], call.out.elements)


@rule(torch.feature_dropout, torch.feature_dropout_)
def feature_dropout(function: Any, call: Call) -> Iterator[Term]:
    """The same, of a batch."""
    if _drops(function, call):
        yield from masking(product(call.out.shape[:2]), call.out.elements)


@rule(nn.AlphaDropout, F.alpha_dropout, torch.alpha_dropout, torch.alpha_dropout_)
def alpha_dropout(subject: Any, call: Call) -> Iterator[Term]:
    """Dropout, and one addition more an element: what is dropped takes SELU's lower end, what is kept is shifted."""
    if _drops(subject, call):
        yield from masking(call.out.elements, call.out.elements)
        yield Term("addition", role="shift", count=call.out.elements)


@rule(nn.FeatureAlphaDropout, F.feature_alpha_dropout, torch.feature_alpha_dropout, torch.feature_alpha_dropout_)
def feature_alpha_dropout(subject: Any, call: Call) -> Iterator[Term]:
    """Alpha dropout with one mask entry for each channel of each sample."""
    if _drops(subject, call):
        yield from masking(product(call.out.shape[:2]), call.out.elements)
        yield Term("addition", role="shift", count=call.out.elements)


def masking(entries: int, elements: int, role: str = "") -> Iterator[Term]:
    """A mask of so many entries drawn, and multiplied with so many elements."""
    prefix = f"{role} " if role else ""
    yield Term("comparison", role=f"{prefix}mask", count=entries)
    yield Term("multiplication", role=f"{prefix}masking", count=elements)


@rule(
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout),
    *(F.dropout, torch.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.feature_dropout),
    *(F.alpha_dropout, torch.alpha_dropout, F.feature_alpha_dropout, torch.feature_alpha_dropout),
    phase="backward",
)
def dropout_gradient(subject: Any, call: Call) -> Iterator[Term]:
    """The mask multiplied in once more."""
    if _drops(subject, call):
        yield Term("multiplication", role="masking", count=call.out.elements)


@rule("aten.native_dropout_backward", "aten._masked_scale")
def dropout_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The same."""
    yield Term("multiplication", role="masking", count=call.out.elements)


def _drops(subject: Any, call: Call) -> bool:
    asked = given(subject, call)
    return bool(asked.get("training", asked.get("train", True)))
