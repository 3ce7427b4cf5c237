"""A model and its inputs in, a profile out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn
from torch.optim import Optimizer

from opcount.errors import InputError
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
    backward: bool = False,
    loss: Callable[[Any], Any] | None = None,
    optimizer: str | Optimizer | None = None,
) -> Profile:
    """Count the arithmetic of one call of a model, layer by layer; with ``backward`` that of one training step.

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
        backward: count the backward pass as well: the gradients that the parameters (and inputs) that ``requires_grad``
            ask for. ``Profile.forward`` and ``Profile.backward`` tell them apart. Gradients are enabled for it.
        loss: a function from what the model returns to the tensor whose gradients are asked for; its own arithmetic
            counts. Without one the gradients are those of the loss that the model returns as ``output.loss``, or else
            every differentiable tensor that it returns is taken to be given a gradient, which costs nothing.
        optimizer: count a step of it as well: ``"sgd"``, ``"momentum"``, ``"adam"`` or ``"adamw"`` with PyTorch's own
            hyperparameters, or an optimizer of this very model's parameters.

    Returns:
        The figures of the whole and of each layer, in scalar operations.

    Raises:
        InputError: the inputs are missing or unusable.
        ForwardError: the model's forward raised; the message names the layer and the sizes.
        BackwardError: its backward pass raised.
        RuleError: a rule cannot read a layer.

    >>> from torch import nn
    >>> p = profile(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8))
    >>> p.macs
    13824
    >>> profile(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8), convention=Convention(zero_padding=False)).macs
    11616
    >>> step = profile(nn.Linear(10, 5), (2, 10), backward=True, optimizer="sgd")
    >>> step.forward.macs, step.backward.macs, step.optimizer.multiplications  # the input asks for no gradient
    (100, 100, 55)
    """
    from opcount.counting import count  # the rules of every layer: when there is something to count

    if memory and backward:
        raise InputError(
            "memory= is of the forward alone, and backward= of a training step: ask for them one at a time"
        )
    if backward:
        from opcount.stepping import count_step

        options: Any = {"execution": execution, "loss": loss, "optimizer": optimizer}
        return count_step(model, inputs, kwargs, convention, **options)
    if loss is not None or optimizer is not None:
        raise InputError(f"{'loss' if loss is not None else 'optimizer'}= is of a training step: give backward=True")
    counted = count(model, inputs, kwargs, convention, execution=execution)
    if not memory:
        return counted
    from opcount.measuring import memory as measure

    return replace(counted, memory=measure(model, inputs, kwargs=kwargs, execution=execution))
