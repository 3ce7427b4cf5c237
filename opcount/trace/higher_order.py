"""Operators that take functions: ``torch.cond``, ``while_loop``, ``scan``, ``flex_attention`` and their like.

Most are what the functions they are given do, so those are run in the observer's sight. ``flex_attention`` is
attention, and its ``score_mod`` once for each score. What is neither is uncounted, by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch._ops import HigherOrderOperator

from opcount.ops import Call, Term
from opcount.rules.attention import attention_terms
from opcount.trace.describe import describe
from opcount.trace.standins import NeedsValues

if TYPE_CHECKING:
    from opcount.trace.operators import OperatorObserver

_EAGER = torch._C.DispatchKey.CompositeExplicitAutograd

_MADE_OF_FUNCTIONS = frozenset(
    {"while_loop", "associative_scan", "map_impl", "invoke_subgraph", "strict_mode", "hints_wrapper"}
)


def call_higher_order(
    mode: OperatorObserver, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a higher-order operator, counting what it does unless somebody owns it.

    Raises:
        NeedsValues: a value decides what runs, and there is none.
    """
    name = func._name
    if name in ("cond", "while_loop") and any(isinstance(arg, torch.Tensor) and arg.is_meta for arg in _flat(args)):
        if not mode.observer.undecided:
            raise NeedsValues(f"torch.{name} chooses by a value what to run")
        return _undecided(mode, name, args)
    if name == "cond":
        return _branch(mode, *args, **kwargs)
    if name == "scan" and isinstance(args[-1], (tuple, list)):
        return _scan(mode, *args, **kwargs)
    if name in _MADE_OF_FUNCTIONS and _EAGER in func.py_kernels:
        with mode:
            return func.py_kernels[_EAGER](*args, **kwargs)
    if mode.observer.owned:
        return func(*args, **kwargs)
    if name == "flex_attention":
        return _flex_attention(mode, func, args, kwargs)
    inputs = describe(args), describe(kwargs)
    output = func(*args, **kwargs)
    mode.observer.recall("operator", f"higher_order.{name}", Call(*inputs, describe(output)), None)
    return output


def _undecided(mode: OperatorObserver, name: str, args: tuple[Any, ...]) -> Any:
    """What it would return, whatever it would have run: both branches, and every turn of a loop, return the same."""
    with mode.observer.owning(), mode:
        output = args[1](*args[3]) if name == "cond" else tuple(args[2])
    mode.observer.recall("operator", f"higher_order.{name}", Call(describe(args), {}, describe(output)), None)
    return output


def _branch(mode: OperatorObserver, predicate: Any, when_true: Any, when_false: Any, operands: Any = ()) -> Any:
    """The branch that is taken."""
    with mode:
        return (when_true if predicate else when_false)(*operands)


def _scan(mode: OperatorObserver, combine: Any, initial: Any, inputs: Any, more: Any = ()) -> list[Any]:
    """Each step in turn: the state with a slice of the inputs to the next state and a slice of the outputs."""
    state, slices = list(initial), []
    with mode:
        for step in range(inputs[0].shape[0]):
            made = combine(*state, *(each.select(0, step) for each in inputs), *more)
            state = list(made[: len(state)])
            slices.append(made[len(state) :])
        return [*state, *(torch.stack(list(each)) for each in zip(*slices))]


def _flat(args: tuple[Any, ...]) -> Iterator[Any]:
    for arg in args:
        if isinstance(arg, (tuple, list)):
            yield from _flat(tuple(arg))
        else:
            yield arg


def _flex_attention(mode: OperatorObserver, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Attention over all positions, whatever the mask leaves out, and what ``score_mod`` makes of every score."""
    query, key, value, score_mod = args[:4]
    options, buffers = args[6], args[7] if len(args) > 7 else ()
    *batch, queries, features = query.shape
    scores, rows = (*batch, queries, key.shape[-2]), query.numel() // features if features else 0
    output = _answer(query, value) if query.is_meta else func(*args, **kwargs)
    call = Call(describe(args[:3]), {}, describe(output))
    terms = [*attention_terms(rows=rows, sources=scores[-1], features=features, width=value.shape[-1])]
    if options.get("OUTPUT_LOGSUMEXP"):  # of the sum and the maximum that softmax has already
        terms.append(Term("each", role="logarithm of the sum", count=rows, additions=1, transcendentals=1))
    mode.observer.recall(
        "operator", "higher_order.flex_attention", call, tuple(term.with_dtype(call.dtype) for term in terms)
    )
    positions = (
        torch.arange(size, device=query.device).view([-1 if axis == place else 1 for axis in range(4)]).expand(scores)
        for place, size in enumerate(scores)
    )
    score = torch.empty((), device=query.device, dtype=query.dtype).expand(scores)
    with mode:
        score_mod(score, *positions, *buffers)
    return output


def _answer(query: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What it returns: the attended values, and statistics of each row, of which newer releases have one more."""
    rows = tuple(query.shape[:-1])
    statistics = torch.empty(rows, dtype=torch.float32, device=query.device)
    extra = (torch.empty_like(statistics),) if _returns_maximum() else ()
    return torch.empty((*rows, value.shape[-1]), dtype=query.dtype, device=query.device), statistics, *extra


def _returns_maximum() -> bool:
    """Whether this PyTorch's flex_attention also returns each row's maximum, as it does where one can ask for it."""
    from torch.nn.attention import flex_attention

    return hasattr(flex_attention, "AuxRequest")
