"""Running a clone forward and backward, for real or on the meta device, where nothing is computed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from opcount.errors import BackwardError, ForwardError, InputError, OpCountError, described
from opcount.ops import Execution
from opcount.trace import hooks
from opcount.trace.gradients import GradientObserver
from opcount.trace.guard import meta_known, nothing_compiled, process_state_kept
from opcount.trace.observer import Collector
from opcount.trace.propagating import GradientFunctions, GradientOperators, MetaOperators, leaves
from opcount.trace.run import call
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import NeedsValues

Loss = Callable[[Any], Any]
"""From what a model returns to the tensor whose gradients are asked for."""


def run_backward(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    collector: Collector,
    *,
    loss: Loss | None = None,
    shapes_only: bool = False,
    layer_rules: bool = True,
    closed_forms: bool = True,
    constants: bool = False,
) -> Execution:
    """Call the clone once, go back from its loss, and tell the collector what happened.

    Afterwards the clone's parameters hold the gradients that they were given.

    Args:
        loss: what the gradients are of; without one, of the loss that the model returns, or else of every
            differentiable tensor that it returns, as if each were given a gradient.
        shapes_only: whether the clone's tensors are on the meta device.
        layer_rules: whether layers are counted by their own rules; without, by what they call.
        closed_forms: whether gradients are counted by closed forms; without, by the operators that are run.
        constants: by shapes, whether tensors that the forward makes of known numbers keep their values.

    Raises:
        ForwardError: the forward, or the loss, raised.
        BackwardError: the backward pass raised.
        InputError: nothing needs a gradient, or nothing that is returned has one.
        NeedsValues: shapes are not enough.
    """
    observer = GradientObserver(collector, owners(skeleton), layer_rules=layer_rules, closed_forms=closed_forms)
    hooks.attach(skeleton.modules, observer)
    operators = MetaOperators(observer, constants=constants) if shapes_only else GradientOperators(observer)
    begin = time.perf_counter()
    with (
        process_state_kept(lambda: observer.drew),
        nothing_compiled(),
        meta_known() if shapes_only else nullcontext(),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autograd.set_multithreading_enabled(False),  # the numbers of nodes are each thread's own
        GradientFunctions(observer),
        operators,
    ):
        if shapes_only and torch._C._is_any_autocast_enabled():
            raise NeedsValues("autocast chooses types by the model's own device")
        output = call(skeleton.model, args, kwargs, observer)
        roots = _roots(skeleton.model, output, loss)
        observer.await_sums(roots)
        observer.phased.phase = "backward"
        _propagate(roots, observer)
    return Execution("shapes" if shapes_only else "real", seconds=time.perf_counter() - begin)


def _propagate(roots: list[torch.Tensor], observer: GradientObserver) -> None:
    try:
        torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
    except OpCountError:
        raise
    except (Exception, SystemExit) as error:
        where = observer.path or "the model"
        raise BackwardError(f"the backward pass failed at {where}: {described(error)}") from error


def _roots(model: nn.Module, output: Any, loss: Loss | None) -> list[torch.Tensor]:
    """The tensors whose gradients are asked for."""
    name = type(model).__name__
    if not any(parameter.requires_grad for parameter in model.parameters()) and loss is None:
        needy = [tensor for tensor in leaves(output) if tensor.requires_grad]
        if not needy:
            raise InputError(
                f"nothing in {name} needs a gradient: it has no parameters, or all are frozen; "
                "unfreeze some, or give an input that requires_grad"
            )
    if loss is not None:
        return [_loss(name, output, loss)]
    value = getattr(output, "loss", None)
    if isinstance(value, torch.Tensor) and value.requires_grad:
        return [value]
    found = {id(tensor): tensor for tensor in leaves(output) if tensor.requires_grad}
    if not found:
        raise InputError(
            f"{name} returns nothing differentiable ({_told(output)}): give loss=, a function from what it returns to "
            "a tensor, as in profile(model, inputs, backward=True, loss=lambda output: output.logits.sum())"
        )
    return list(found.values())


def _loss(name: str, output: Any, loss: Loss) -> torch.Tensor:
    try:
        value = loss(output)
    except OpCountError:
        raise
    except (Exception, SystemExit) as error:
        raise ForwardError(f"the loss of {name} could not be worked out: {described(error)}") from error
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        raise InputError(f"loss= has to return a tensor that depends on what needs a gradient, not {_told(value)}")
    return value


def _told(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')} that needs no gradient"
    return f"a {type(value).__name__}"


def owners(skeleton: Skeleton) -> dict[int, str]:
    """The first module that holds each parameter, by the parameter's id."""
    found: dict[int, str] = {}
    for path, module in skeleton.modules:
        for parameter in (module.__dict__.get("_parameters") or {}).values():
            if parameter is not None:
                found.setdefault(id(parameter), path)
    return found
