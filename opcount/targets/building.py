"""Making a model of a class or function: arguments checked before, failures in one line, weights without memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean, listed

if TYPE_CHECKING:
    from torch import nn

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def build(name: str, builder: Callable[..., Any], arguments: Mapping[str, Any]) -> nn.Module:
    """The model that a class or function makes of these arguments, in evaluation mode.

    Raises:
        TargetError: arguments are missing or unknown, it fails, or it makes something else.
    """
    from torch import nn

    check_arguments(name, builder, arguments)
    try:
        model = builder(**arguments)
    except (Exception, SystemExit) as error:  # whatever the model's own code raises is about the target
        raise TargetError(f"building {name} failed: {described(error)}") from error
    if not isinstance(model, nn.Module):
        raise TargetError(f"{name} returned {kind(model)}, not a model; name something that returns a torch.nn.Module")
    return evaluating(model)


def evaluating(model: nn.Module) -> nn.Module:
    """A model in evaluation mode.

    Raises:
        ForwardError: its modules are nested deeper than PyTorch can go through.
    """
    from opcount.trace.run import too_deep

    try:
        return model.eval()
    except RecursionError as error:
        raise too_deep(model) from error


def build_weightless(make: Callable[[], Any]) -> Any:
    """What ``make`` returns, its weights on the meta device if its constructor lets them be.

    A constructor that reads a value, which nothing on the meta device has, is given another try with its parameters
    alone there, and after that runs as it is.
    """
    import torch

    for home in (torch.device("meta"), _parameters_on_meta()):
        with suppress(Exception), home:  # if the last try fails too, its error is the one to show
            return make()
    return make()


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Every parameter that a module registers goes to the meta device."""
    from torch import nn

    register = nn.Module.register_parameter

    def on_meta(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if type(param) is nn.Parameter and not param.is_meta:
            param = nn.Parameter(param.detach().to("meta"), param.requires_grad)
        register(self, name, param)

    nn.Module.register_parameter = on_meta  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def check_arguments(name: str, builder: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """See that a class or function takes these arguments and lacks none.

    Raises:
        TargetError: it does not, or does.
    """
    try:
        parameters = list(inspect.signature(builder).parameters.values())
    except (ValueError, TypeError):  # written in C: the call itself will tell
        return
    named = [parameter.name for parameter in parameters if parameter.kind in NAMED]
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.kind in NAMED and parameter.default is parameter.empty and parameter.name not in arguments
    ]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    unknown = [argument for argument in arguments if argument not in named]
    if unknown and not takes_any:
        takes = f"; it takes {listed(named)}" if named else "; it takes none"
        raise TargetError(f"{name} takes no argument {unknown[0]!r}{did_you_mean(unknown[0], named) or takes}")
    if missing:
        given = " ".join(f"--arg {argument}=..." for argument in missing)
        raise TargetError(f"{name} needs {listed(missing)}: give {given}")


def kind(value: Any) -> str:
    """What a value is, in words.

    >>> kind(3), kind(None), kind("x")
    ('an int', 'None', 'a str')
    """
    if value is None:
        return "None"
    if isinstance(value, ModuleType):
        return "a Python module"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
