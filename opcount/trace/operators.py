"""The third observer: a dispatch mode, which sees every operator that reaches PyTorch's dispatcher."""

from __future__ import annotations

from typing import Any

import torch
from torch import _ops
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from opcount.ops import Call
from opcount.rules import operator_name, operator_rule
from opcount.trace.describe import describe
from opcount.trace.higher_order import call_higher_order
from opcount.trace.observer import Observer
from opcount.trace.sight import ObservingMode

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
DRAWS = torch.Tag.nondeterministic_seeded
"""What operators that draw random numbers are tagged with."""


def is_sparse(value: Any) -> bool:
    """Whether a value is a tensor that stores only some of its elements."""
    return isinstance(value, torch.Tensor) and value.layout not in (torch.strided, torch.jagged)


class OperatorObserver(ObservingMode):  # type: ignore[no-untyped-call]
    """Counts each operator that nobody owns by its rule, or reports it as uncounted."""

    supports_higher_order_operators = True

    def __init__(self, observer: Observer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.observer = observer

    def __enter__(self) -> Any:
        if not hasattr(TorchDispatchMode, "supports_higher_order_operators"):  # before PyTorch 2.6: one by one
            for func in list(_ops._higher_order_ops.values()):
                func.python_key_table.setdefault(type(self), _handler(func))
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self.call_higher_order(func, args, kwargs)
        if DRAWS in func.tags:
            self.observer.drew = True
        if self.observer.owned:
            return self.execute(func, args, kwargs)
        rule = operator_rule(func)
        if rule is not None and not rule.free and any(map(is_sparse, args)):
            rule = None  # what a dense formula would say of it is not what it costs
        elif rule is None and func.has_kernel_for_dispatch_key(_COMPOSITE):
            # Inference mode hands composite operators over whole; what they are made of is what has rules.
            with self:
                return func.decompose(*args, **kwargs)
        if rule is not None and rule.free:
            return self.execute(func, args, kwargs)
        inputs = describe(args), describe(kwargs)
        output = self.execute(func, args, kwargs)
        self.observer.observe("operator", operator_name(func), rule, func, Call(*inputs, describe(output)))
        return output

    def call_higher_order(self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator that takes functions returns."""
        return call_higher_order(self, func, args, kwargs)

    def execute(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the operator returns."""
        return func(*args, **kwargs)


def _handler(func: HigherOrderOperator) -> Any:
    def handle(mode: OperatorObserver, *args: Any, **kwargs: Any) -> Any:
        return mode.call_higher_order(func, args, kwargs)

    return handle
