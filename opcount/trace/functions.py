"""The second observer: a function mode, for what PyTorch takes apart above its dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode, resolve_name

from opcount.ops import Call
from opcount.rules import function_rule
from opcount.trace.describe import describe
from opcount.trace.observer import Observer, transformed
from opcount.trace.operators import is_sparse


class FunctionObserver(TorchFunctionMode):
    """Sees every torch function; those with a rule of their own are counted by it and owned."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self.observer = observer

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = None if self.observer.owned or transformed() else function_rule(func)
        if rule is None or any(map(is_sparse, args)):
            return func(*args, **kwargs)
        output, call = self.run(func, args, kwargs, Call(describe(args), describe(kwargs), None))
        self.observer.observe("function", resolve_name(func) or func.__name__, rule, func, call)
        return output

    def run(self, func: Callable[..., Any], args: Any, kwargs: Any, call: Call) -> tuple[Any, Call]:
        """The function's output, and the call with it."""
        with self.observer.owning():
            output = func(*args, **kwargs)
        return output, Call(call.args, call.kwargs, describe(output))
