"""The first observer: forward hooks on every module of a clone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from opcount.trace.observer import Observer


def attach(modules: Iterable[tuple[str, nn.Module]], observer: Observer) -> None:
    """Hook every module once, under the first of its paths.

    Our pre-hook comes last and our hook first, so that what a user's own hooks compute falls outside what a rule
    owns. The hook is called on exceptions too, so that the stack of running modules never goes stale. They are not
    removed: the clone they sit on is thrown away.
    """
    hooked = set()
    for path, module in modules:
        if id(module) in hooked:
            continue
        hooked.add(id(module))
        _attach(path, module, observer)


def _attach(path: str, module: nn.Module, observer: Observer) -> None:
    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        observer.enter(path, module, args, kwargs)

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        observer.leave(module, output)

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after, with_kwargs=True, prepend=True, always_call=True)
