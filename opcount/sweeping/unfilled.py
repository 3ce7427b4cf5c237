"""Building a model without drawing its initial weights, which no count by shapes looks at.

Drawing them costs as much as everything else about a small model. What fills a parameter with random numbers is made to
leave it as it was allocated: the random functions of ``torch.nn.init``, and the random methods of ``nn.Parameter``
itself. All else runs as always, on the CPU, so that code which reads its own ``linspace`` still can.

It changes two modules of PyTorch for as long as it lasts, so it belongs in a process where nothing else runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_FUNCTIONS = (
    *("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_"),
    *("kaiming_normal_", "orthogonal_", "sparse_"),
)
_METHODS = ("uniform_", "normal_", "log_normal_", "cauchy_", "exponential_", "geometric_", "bernoulli_", "random_")


@contextmanager
def weights_unfilled() -> Iterator[None]:
    """Inside, parameters are not filled with random numbers."""
    functions: dict[str, Any] = {name: getattr(nn.init, name) for name in _FUNCTIONS}
    parameter: Any = nn.Parameter
    for name, function in functions.items():
        setattr(nn.init, name, _unless_parameter(function))
    for name in _METHODS:
        setattr(parameter, name, _skipping(getattr(torch.Tensor, name)))
    try:
        yield
    finally:
        for name, function in functions.items():
            setattr(nn.init, name, function)
        for name in _METHODS:
            delattr(parameter, name)


_skipped: set[int] | None = None


@contextmanager
def skipped() -> Iterator[set[int]]:
    """Tells which parameters were left unfilled inside, by their ids."""
    global _skipped
    before, _skipped = _skipped, set()
    try:
        yield _skipped
    finally:
        _skipped = before


def _unless_parameter(function: Callable[..., Any]) -> Callable[..., Any]:
    def init(*args: Any, **kwargs: Any) -> Any:
        tensor = args[0] if args else kwargs.get("tensor")
        if type(tensor) is nn.Parameter and kwargs.get("generator") is None:
            if _skipped is not None:
                _skipped.add(id(tensor))
            return tensor
        return function(*args, **kwargs)

    return init


def _skipping(method: Callable[..., Any]) -> Callable[..., Any]:
    def fill(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) is nn.Parameter and kwargs.get("generator") is None:
            if _skipped is not None:
                _skipped.add(id(self))
            return self
        return method(self, *args, **kwargs)

    return fill


_PLAIN = frozenset({type(None), bool, int, float, str, tuple})


def attributes_set_quickly() -> None:
    """From now on, sizes and flags of modules go where ``nn.Module.__setattr__`` would put them in the end.

    It asks of each whether it is a parameter, a buffer or a module, which takes a third of the time of building.
    """
    module: Any = nn.Module
    module.__setattr__ = _quicker(module.__setattr__)


def _quicker(setting: Callable[[Any, str, Any], None]) -> Callable[[Any, str, Any], None]:
    def setattr_plain(self: Any, name: str, value: Any) -> None:
        if type(value) in _PLAIN:
            own = self.__dict__
            if "_modules" in own and not (
                name in own["_parameters"] or name in own["_buffers"] or name in own["_modules"]
            ):
                super(nn.Module, self).__setattr__(name, value)
                return
        setting(self, name, value)

    return setattr_plain
