"""Running a clone for real under the three observers."""

from __future__ import annotations

import time
from typing import Any

from torch import nn

from opcount.errors import ForwardError, OpCountError, described
from opcount.ops import Execution, tensors
from opcount.trace import hooks
from opcount.trace.functions import FunctionObserver
from opcount.trace.guard import nothing_compiled, process_state_kept
from opcount.trace.observer import Collector, Observer
from opcount.trace.operators import OperatorObserver
from opcount.trace.skeleton import Skeleton, walk


def run_real(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    collector: Collector,
    *,
    layer_rules: bool = True,
) -> Execution:
    """Call the clone once on real values and tell the collector what happened.

    Args:
        layer_rules: whether layers are counted by their own rules; without, by what they call.

    Raises:
        ForwardError: the forward raised; names the innermost layer it came from and the sizes that layer had.
    """
    observer = Observer(collector, layer_rules=layer_rules)
    hooks.attach(skeleton.modules, observer)
    begin = time.perf_counter()
    with (
        process_state_kept(lambda: observer.drew),
        nothing_compiled(),
        FunctionObserver(observer),
        OperatorObserver(observer),
    ):
        call(skeleton.model, args, kwargs, observer)
    return Execution("real", seconds=time.perf_counter() - begin)


def call(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], observer: Observer) -> Any:
    """What a model that is observed returns.

    Raises:
        ForwardError: its forward raised.
    """
    try:
        return model(*args, **kwargs)
    except OpCountError:
        raise
    except RecursionError as error:
        raise too_deep(model) from error
    except (Exception, SystemExit) as error:  # a forward that exits ends neither the command nor a caller's process
        raise _explained(error, observer, model) from error


def too_deep(model: nn.Module) -> ForwardError:
    """What to say of a model that calls deeper than Python allows, with how deep the modules are nested."""
    depth = max(path.count(".") + 1 if path else 0 for path, _ in walk(model))
    return ForwardError(
        f"RecursionError: {type(model).__name__} calls deeper than Python's recursion limit allows; its modules are "
        f"nested {depth:,} deep. Nest it less deeply, or raise the limit first by sys.setrecursionlimit"
    )


def _explained(error: BaseException, observer: Observer, model: nn.Module) -> ForwardError:
    """What a forward raised, with the innermost layer it came from and the sizes that layer had."""
    problem = described(error)
    failure = observer.left_by(error)
    if failure is None or failure.exception is not error:
        return ForwardError(f"{type(model).__name__} could not be called: {problem}")
    sizes = " and ".join("x".join(map(str, spec.shape)) or "a scalar" for spec in tensors(failure.inputs))
    where = f"{failure.path} ({failure.module})" if failure.path else f"the forward of {failure.module}"
    return ForwardError(f"{where} failed on {sizes or 'no tensors'}: {problem}")
