"""The first observer: forward hooks on every module of a clone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from torch import fx, nn
from torch.nn.modules import module as module_calls
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._python_dispatch import _disable_current_modes

from opcount.trace.following import Follower, Interpreted, keeps_stacks
from opcount.trace.guard import drawn
from opcount.trace.observer import Observer
from opcount.trace.vacancy import furnish
from opcount.trace.watching import Watch

_RECOMPUTING = (SpectralNorm, WeightNorm, BasePruningMethod)
"""Pre-hooks that work a weight out of parameters and buffers alone, which costs nothing."""

Hook = Callable[..., Any]

_KEY: Any = "opcount"  # PyTorch's own keys are numbers


def attach(modules: Iterable[tuple[str, nn.Module]], observer: Observer) -> None:
    """Hook every module once, under the first of its paths.

    Our pre-hook comes last and our hook first, so that what a user's own hooks compute falls outside what a rule
    owns. The hook is called on exceptions too, so that the stack of running modules never goes stale. They are not
    removed: the clone they sit on is thrown away.
    """
    hooked = set()
    whole = False
    for path, module in modules:
        if id(module) in hooked:
            continue
        hooked.add(id(module))
        if isinstance(module, Interpreted) or (isinstance(module, fx.GraphModule) and keeps_stacks(module)):
            whole = whole or not path  # a graph within a graph knows modules by their paths from the top
            module.__dict__["forward"] = Follower(module, observer, "" if whole else path)
        _attach(path, module, observer)


def _attach(path: str, module: nn.Module, observer: Observer) -> None:
    if module._forward_pre_hooks:
        for key, hook in module._forward_pre_hooks.items():
            if isinstance(hook, _RECOMPUTING):
                module._forward_pre_hooks[key] = _owned(hook, observer)
        leave_lazy_alone(module)
    if getattr(module.__dict__.get("forward"), "stands_for_own_forward", False):
        return  # it tells the observer itself
    if module_calls._global_forward_hooks and "forward" not in module.__dict__:
        Watch(path, module, observer)  # those hooks come before any of the module's own
        return
    furnish(module)
    # As register_forward_pre_hook and register_forward_hook would, without a handle to remove them by.
    module._forward_pre_hooks[_KEY] = partial(observer.enter, path)
    module._forward_pre_hooks_with_kwargs[_KEY] = True
    module._forward_hooks[_KEY] = observer.leave
    hooks: Any = module._forward_hooks
    hooks.move_to_end(_KEY, last=False)
    module._forward_hooks_with_kwargs[_KEY] = True
    module._forward_hooks_always_called[_KEY] = True


def leave_lazy_alone(module: nn.Module) -> None:
    """Let a lazy layer's own hook run unobserved: its blank tensors turn into real ones in place."""
    for key, hook in module._forward_pre_hooks.items():
        if getattr(hook, "__name__", "") == "_infer_parameters":
            module._forward_pre_hooks[key] = _unobserved(hook)


def _owned(hook: Hook, observer: Observer) -> Hook:
    def within(*args: Any, **kwargs: Any) -> Any:
        with observer.owning():
            return hook(*args, **kwargs)

    return within


def _unobserved(hook: Hook) -> Hook:
    """A lazy layer's hook: its blank tensors turn into real ones in place, which no dispatch mode may touch."""

    def within(*args: Any, **kwargs: Any) -> Any:
        drawn()  # what fills them draws, out of every mode's sight
        with _disable_current_modes():
            return hook(*args, **kwargs)

    return within
