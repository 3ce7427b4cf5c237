"""A model and its inputs in, a profile out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from opcount.errors import InputError, OpCountError
from opcount.inputs import call_arguments
from opcount.ledger import Ledger, ModuleFacts
from opcount.ops import Convention, tensors
from opcount.result import Profile
from opcount.trace.describe import describe
from opcount.trace.run import run_real
from opcount.trace.skeleton import Skeleton, clone


def profile(
    model: nn.Module,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    convention: Convention = Convention(),
    execution: str = "auto",
) -> Profile:
    """Count the arithmetic of one call of a model, layer by layer.

    The model is not touched: a clone of it runs. Training mode, gradient mode and device are taken as they are.

    Args:
        model: any ``nn.Module``.
        inputs: a tensor; a tuple of positional arguments; a mapping of keyword arguments; a tuple of ints, which is one
            size with its batch; an :class:`~opcount.Input`; or any nesting of these. None takes the model's own
            ``example_input_size``.
        kwargs: keyword arguments beside ``inputs``.
        convention: what to include where the field does not agree.
        execution: ``"real"`` runs the clone on real values; ``"auto"`` chooses.

    Returns:
        The figures of the whole and of each layer, in scalar operations.

    Raises:
        InputError: the inputs are missing or unusable.
        ForwardError: the model's forward raised; the message names the layer and the sizes.
        RuleError: a rule cannot read a layer.

    >>> from torch import nn
    >>> p = profile(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8))
    >>> p.macs
    13824
    >>> profile(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8), convention=Convention(zero_padding=False)).macs
    11616
    """
    if execution not in ("auto", "real"):
        raise InputError(f"execution is 'auto' or 'real', not {execution!r}")
    return profile_by(model, inputs, kwargs, convention)


def profile_by(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    convention: Convention,
    *,
    layer_rules: bool = True,
) -> Profile:
    """:func:`profile`, with layers counted by their own rules or by the functions and operators they call."""
    _check_model(model)
    args, keywords = call_arguments(model, inputs, kwargs)
    shapes = tuple(spec.shape for spec in tensors(describe((args, keywords))))
    ledger = Ledger(convention)
    skeleton = _clone(model)
    executed = run_real(skeleton, args, keywords, ledger, layer_rules=layer_rules)
    return Profile(
        model=type(skeleton.model).__name__,
        inputs=shapes,
        layers=ledger.records(_facts(skeleton)),
        convention=convention,
        execution_record=executed,
    )


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        hint = f"; make one first: {model.__name__}(...)" if isinstance(model, type) else ""
        raise InputError(f"profile() takes an nn.Module, not {type(model).__name__} {model!r}{hint}")


def _clone(model: nn.Module) -> Skeleton:
    try:
        return clone(model)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise OpCountError(
            f"{type(model).__name__} cannot be cloned, and opcount runs nothing else: {type(error).__name__}: {error}"
        ) from error


def _facts(skeleton: Skeleton) -> Iterator[ModuleFacts]:
    """Each module once, under its first path, with its own parameters counted where they are first met."""
    paths: dict[int, list[str]] = {}
    modules: dict[int, nn.Module] = {}
    for path, module in skeleton.modules():
        paths.setdefault(id(module), []).append(path)
        modules[id(module)] = module
    counted: set[int] = set()
    for key, module in modules.items():
        own = [
            parameter
            for parameter in module.__dict__.get("_parameters", {}).values()
            if parameter is not None and id(parameter) not in counted and not is_lazy(parameter)
        ]
        counted.update(map(id, own))
        first, *others = paths[key]
        kind = type(module)
        yield ModuleFacts(
            path=first,
            type=kind.__name__,
            bases=tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__ if base is not object),
            aliases=tuple(others),
            params=sum(parameter.numel() for parameter in own),
        )
