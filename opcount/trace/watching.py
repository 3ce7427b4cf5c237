"""What stands where a module's forward is looked up, inside all hooks that there are."""

from __future__ import annotations

import sys
from inspect import Signature, signature
from types import CodeType, MethodType
from typing import Any

from torch import nn

from opcount.trace.observer import Observer
from opcount.trace.sight import Observing

_frame = sys._getframe
_CALL_IMPL = nn.Module._call_impl
_CALLERS = (
    *(_CALL_IMPL.__code__, nn.Module._slow_forward.__code__),
    *(code for code in _CALL_IMPL.__code__.co_consts if isinstance(code, CodeType)),
)
CALLER_IDS = frozenset(map(id, _CALLERS))  # a code's own hash is worked out of all that is in it, each time
"""The identities of the code that runs a layer's forward when the layer is called, between the hooks that it has."""


class Standing(Observing):
    """Stands where a module's forward is looked up, until it retires. What is asked of it the forward answers."""

    __slots__ = ("module",)
    stands_for_own_forward = True

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        module.__dict__["forward"] = self

    def __getattr__(self, name: str) -> Any:
        if name == "module":  # a copy of this that is not filled yet
            raise AttributeError(name)
        return getattr(MethodType(type(self.module).forward, self.module), name)

    @property
    def __signature__(self) -> Signature:
        return signature(MethodType(type(self.module).forward, self.module))

    def retire(self) -> bool:
        """Leave the module, which holds this, and which this holds. Returns whether it still stood there."""
        return self.module.__dict__.pop("forward", None) is self


class Watch(Standing):
    """Tells when a module's forward runs: hooks take longer. Only a call of the module counts as one."""

    __slots__ = ("observer", "path")

    def __init__(self, path: str, module: nn.Module, observer: Observer) -> None:
        self.path, self.module, self.observer = path, module, observer
        module.__dict__["forward"] = self  # as Standing has it, without another call for every module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the forward returns."""
        if id(_frame(1).f_code) not in CALLER_IDS:
            return type(self.module).forward(self.module, *args, **kwargs)
        return self.run(args, kwargs)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The forward, which the observer is told of."""
        module, observer = self.module, self.observer
        observer.enter(self.path, module, args, kwargs)
        try:
            output = type(module).forward(module, *args, **kwargs)
        except Exception:
            observer.leave(module, args, kwargs, None)
            raise
        observer.leave(module, args, kwargs, output)
        return output
