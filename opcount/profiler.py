"""A model and its inputs in, a profile out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from opcount.ops import Convention
from opcount.result import Profile


def profile(
    model: nn.Module,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    convention: Convention = Convention(),
    execution: str = "auto",
    memory: bool = False,
) -> Profile:
    """Count the arithmetic of one call of a model, layer by layer.

    The model is not touched: a clone of it runs. Training mode, gradient mode and device are taken as they are.

    Args:
        model: any ``nn.Module``.
        inputs: a tensor; a tuple of positional arguments; a mapping of keyword arguments; a tuple of ints, which is one
            size with its batch; an :class:`~opcount.Input`; or any nesting of these. None takes the model's own
            ``example_input_size``.
        kwargs: keyword arguments beside ``inputs``.
        convention: what to include where the field does not agree.
        execution: ``"shapes"`` works out shapes and computes nothing; ``"real"`` runs the clone on real values, on the
            model's own device; ``"auto"`` does the first and, where the forward needs values, the second. The result
            says which it was, and why.
        memory: whether to find out also what :func:`opcount.memory` tells, in a run of its own.

    Returns:
        The figures of the whole and of each layer, in scalar operations.

    Raises:
        InputError: the inputs are missing or unusable.
        ForwardError: the model's forward raised; the message names the layer and the sizes.
        RuleError: a rule cannot read a layer.

    >>> from torch import nn
    >>> p = profile(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8))
    >>> p.macs
    13824
    >>> profile(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8), convention=Convention(zero_padding=False)).macs
    11616
    """
    from opcount.counting import count  # the rules of every layer: when there is something to count

    counted = count(model, inputs, kwargs, convention, execution=execution)
    if not memory:
        return counted
    from opcount.measuring import memory as measure

    return replace(counted, memory=measure(model, inputs, kwargs=kwargs, execution=execution))
