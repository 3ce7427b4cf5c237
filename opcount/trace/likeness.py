"""What layers that answer alike have in common: class, attributes, shapes and types of tensors."""

from __future__ import annotations

from typing import Any

from torch import nn

from opcount.rules.registry import LAYERS
from opcount.trace.layout import COMPARABLE, is_plain_class, layout
from opcount.trace.standins import looks_of


def looks(module: nn.Module) -> tuple[Any, ...] | None:
    """All that an answer and a rule can read of a layer of a clone; None if it has children, or odd attributes."""
    own = module.__dict__
    if own["_modules"]:
        return None
    laid_out = layout(own)
    values = laid_out.public(own)
    if not COMPARABLE.issuperset(map(type, values)):
        return None
    parameters, buffers = own["_parameters"], own["_buffers"]
    weights = getattr(parameters, "looks", None) if parameters else ()
    states = getattr(buffers, "looks", None) if buffers else ()
    if weights is None or states is None:  # something was put in their place
        return None
    kind: Any = type(module)
    return kind, kind.forward, len(LAYERS), laid_out, values, weights, states


def looks_plain(module: nn.Module) -> tuple[Any, ...] | None:
    """The same of a layer as it is in a model, if no more than numbers and dense tensors are to be found there."""
    kind: Any = type(module)
    own = module.__dict__
    laid_out = layout(own)
    if "forward" in own or not laid_out.usual_tables or any(laid_out.tables(own)):
        return None
    contents = laid_out.contents(own)
    if own["_modules"] or not contents.comparable or not contents.are_plain(own) or not is_plain_class(kind):
        return None
    values = laid_out.public(own)
    weights, weights_are_plain = looks_of(own["_parameters"].values()) if own["_parameters"] else _NONE
    states, states_are_plain = looks_of(own["_buffers"].values()) if own["_buffers"] else _NONE
    if not (weights_are_plain and states_are_plain):
        return None
    return kind, kind.forward, len(LAYERS), laid_out, values, weights, states


_NONE: tuple[tuple[Any, ...], bool] = (), True
