"""What layers that answer alike have in common: class, attributes, shapes and types of tensors."""

from __future__ import annotations

from typing import Any

from torch import nn

from opcount.rules.registry import LAYERS
from opcount.trace.layout import layout

_PLAIN = frozenset({type(None), bool, int, float, str, tuple})


def looks(module: nn.Module) -> tuple[Any, ...] | None:
    """All that an answer and a rule can read of a layer; None if it has children, or attributes of other types."""
    own = module.__dict__
    if own["_modules"]:
        return None
    values = layout(own).public(own)
    if not _PLAIN.issuperset(map(type, values)):
        return None
    parameters, buffers = own["_parameters"], own["_buffers"]
    weights = getattr(parameters, "looks", None) if parameters else ()
    states = getattr(buffers, "looks", None) if buffers else ()
    if weights is None or states is None:  # something was put in their place
        return None
    return type(module), len(LAYERS), values, weights, states
