"""Whether what a checkpoint holds is what this very network, optimizer and schedule would have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def check_fits(kept: Mapping[str, Any], own: Mapping[str, Any], parameters: list[Tensor], steps: int) -> None:
    """See that states may be loaded: PyTorch reads beyond a tensor's end where an optimizer's state is of another size.

    Args:
        kept: the state of the model, the optimizer and the schedule, as they were kept.
        own: the same of a trainer that has not begun.
        parameters: what the optimizer steps, in its order.
        steps: how many steps have been made.

    Raises:
        ValueError: something is missing, more than there should be, or of another kind, size or value.
    """
    for part in ("model", "optimizer", "schedule"):
        if not isinstance(kept.get(part), Mapping):
            raise ValueError(f"it has no {part}")
    _same("model", kept["model"], own["model"], values=False)
    _optimizer(kept["optimizer"], own["optimizer"], parameters if steps else [])
    _schedule(kept["schedule"], own["schedule"], steps)


def _optimizer(kept: Mapping[str, Any], own: Mapping[str, Any], parameters: list[Tensor]) -> None:
    groups, expected = kept.get("param_groups"), own["param_groups"]
    if kept.keys() != own.keys() or not isinstance(groups, list) or len(groups) != len(expected):
        raise ValueError("the optimizer's groups are others")
    for place, (group, mine) in enumerate(zip(groups, expected)):
        if not isinstance(group, Mapping) or not isinstance(group.get("lr"), float):
            raise ValueError(f"the optimizer's group {place} has no learning rate")
        _same(f"the optimizer's group {place}", {**group, "lr": mine["lr"]}, mine)
    if not isinstance(kept["state"], Mapping) or list(kept["state"]) != list(range(len(parameters))):
        raise ValueError("the optimizer's state is not of these parameters")
    for place, parameter in enumerate(parameters):
        state = kept["state"][place]
        if not isinstance(state, Mapping) or state.keys() not in (
            {"momentum_buffer"},
            {"step", "exp_avg", "exp_avg_sq"},
        ):
            raise ValueError(f"the optimizer's state of parameter {place} is of another optimizer")
        for name, value in state.items():
            like = torch.zeros(()) if name == "step" else parameter.detach()
            _same(f"the optimizer's {name} of parameter {place}", value, like, values=False)


def _schedule(kept: Mapping[str, Any], own: Mapping[str, Any], steps: int) -> None:
    rates = kept.get("_last_lr")
    if not isinstance(rates, list) or not all(isinstance(rate, float) for rate in rates):
        raise ValueError("the schedule has no learning rates")
    moved = {"_last_lr": rates, "last_epoch": steps, "_step_count": steps + 1}
    _same("the schedule", kept, {**own, **moved})


def _is_whole(tensor: Tensor) -> bool:
    """Whether there is memory for every element: a fused optimizer goes through it without asking for strides."""
    if tensor.layout != torch.strided or tensor.is_meta:
        return False
    needed = (int(tensor.storage_offset()) + tensor.numel()) * tensor.element_size()
    return tensor.untyped_storage().nbytes() >= needed


def _same(what: str, kept: Any, own: Any, *, values: bool = True) -> None:
    """See that a value is like another: of its kind, with its keys and sizes, and, if asked for, the same."""
    if isinstance(own, Tensor):
        like = isinstance(kept, Tensor) and (kept.shape, kept.dtype, kept.layout) == (own.shape, own.dtype, own.layout)
        if not like or not _is_whole(kept):
            raise ValueError(f"{what} is not {str(own.dtype).removeprefix('torch.')} of size {tuple(own.shape)}")
    elif isinstance(own, Mapping):
        if not isinstance(kept, Mapping) or kept.keys() != own.keys():
            raise ValueError(f"{what} has other entries")
        for name, value in own.items():
            _same(f"{what}: {name}", kept[name], value, values=values)
    elif isinstance(own, (list, tuple)):
        if type(kept) is not type(own) or len(kept) != len(own):
            raise ValueError(f"{what} is not {len(own)} values")
        for place, (one, other) in enumerate(zip(kept, own)):
            _same(f"{what}[{place}]", one, other, values=values)
    elif type(kept) is not type(own) or (values and kept != own):
        raise ValueError(f"{what} is not {own!r}")
