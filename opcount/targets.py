"""From ``package.module:Name`` to a model and, where one is known, an input for it.

The name may stand for a model, a class of models or a function that returns one. Nothing is ever downloaded:
torchvision's models are built without weights.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opcount import vision
from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean, listed, nearest

if TYPE_CHECKING:
    from torch import nn

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Target:
    """What a target names.

    Attributes:
        name: the target as it was written.
        model: the model; one that was built here is in evaluation mode, one that existed is as it was.
        inputs: an input known for it, as :func:`opcount.profile` takes it; None where the model has to know.
        built: whether it was built here.
    """

    name: str
    model: nn.Module
    inputs: Any = None
    built: bool = True


def load(name: str, arguments: Mapping[str, Any] | None = None, *, own_input: bool = True) -> Target:
    """The model that a target names.

    The working directory is importable, as it is for ``python -m``.

    Args:
        name: ``"package.module:Name"``; the name may have dots.
        arguments: keyword arguments for the class or function.
        own_input: whether the model is to be built for its own input size, where it has one.

    Raises:
        TargetError: it cannot be found or built, or is no model. The message says what to do.

    >>> target = load("torch.nn:Linear", {"in_features": 10, "out_features": 5})
    >>> target.model
    Linear(in_features=10, out_features=5, bias=True)
    """
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise TargetError(_without_colon(name))
    module = _import(module_name)
    found = _attribute(module, path)
    return _model(name, found, dict(arguments or {}), own_input)


def known_input(target: Target) -> Any:
    """The input that is known for a target, as :func:`opcount.profile` takes it; None leaves it to the model.

    Raises:
        TargetError: none is known; the message shows how to give one.
    """
    if target.inputs is not None or getattr(target.model, "example_input_size", None) is not None:
        return target.inputs
    needed = _needed(target.model.forward)
    if needed == []:
        return ()
    each = f", one for each of {listed(needed)}" if needed and len(needed) > 1 else ""
    raise TargetError(
        f"no input is known for {target.name}: give its size, batch included, as in --input 1,3,224,224{each}"
    )


def _needed(forward: Callable[..., Any]) -> list[str] | None:
    """The arguments a forward cannot do without; None if it does not tell."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (ValueError, TypeError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    needed = (*_NAMED, inspect.Parameter.POSITIONAL_ONLY)
    return [
        parameter.name for parameter in parameters if parameter.default is parameter.empty and parameter.kind in needed
    ]


def _import(name: str) -> ModuleType:
    """The module of that name.

    Raises:
        TargetError: it is not there, needs something that is not there, or fails.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        dotted = ".".join(
            part for part in name.removesuffix(".py").replace("\\", "/").split("/") if part not in (".", "")
        )
        meant = f"did you mean {dotted}?" if dotted != name and dotted.replace(".", "").isidentifier() else ""
        raise TargetError(
            f"{name!r} is no module name; {meant or 'write package.module:Name, as in lenet.models:Regular'}"
        )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise TargetError(_no_module(missing)) from error
        raise TargetError(
            f"{name} was found, but it needs the module {missing!r}, which is not installed: install that first"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the module itself does wrong is about the target
        raise TargetError(f"importing {name} failed: {described(error)}") from error


def _no_module(missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    alike = nearest(last, (name.rpartition(".")[2] for name in _siblings(parent)))  # a shared package makes none alike
    hint = did_you_mean(missing, [f"{parent}.{name}" if parent else name for name in alike])
    if not hint and not parent:
        hint = f"; it is looked for in {os.getcwd()} and among what is installed"
    if not hint and parent in sys.modules and not hasattr(sys.modules[parent], "__path__"):
        hint = f"; {parent} is a module: a name in it is written {parent}:{missing.rpartition('.')[2]}"
    return f"there is no module {missing!r}{hint}"


def _siblings(parent: str) -> list[str]:
    """The modules beside one that is missing: in its package, or at the top."""
    if not parent:
        return [info.name for info in pkgutil.iter_modules()]
    folders = getattr(sys.modules.get(parent), "__path__", None)
    return [f"{parent}.{info.name}" for info in pkgutil.iter_modules(folders)] if folders else []


def _attribute(module: ModuleType, path: str) -> Any:
    """What a dotted name stands for in a module.

    Raises:
        TargetError: there is no such name; the nearest are given.
    """
    found: Any = module
    where = module.__name__
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            if not _is_submodule(found, part):
                raise TargetError(f"there is no {part!r} in {where}{_names_in(found, part)}") from None
            found = _import(f"{found.__name__}.{part}")
        except Exception as error:
            raise TargetError(f"reading {part!r} of {where} failed: {described(error)}") from error
        where = f"{where}.{part}" if ":" in where else f"{where}:{part}"
    return found


def _is_submodule(owner: Any, name: str) -> bool:
    """Whether a package holds a module of that name that nobody has imported yet."""
    folders = getattr(owner, "__path__", None)
    return isinstance(owner, ModuleType) and any(info.name == name for info in pkgutil.iter_modules(folders or ()))


def _names_in(owner: Any, wanted: str) -> str:
    """The names a wrong one may have meant: similar ones, else the models there are."""
    public = [name for name in dir(owner) if not name.startswith("_")]
    callables = [name for name in public if callable(getattr(owner, name, None))]
    hint = did_you_mean(wanted, nearest(wanted, callables) or public)
    models = list(models_in(owner)) if isinstance(owner, ModuleType) else []
    return hint or (f"; the models in it are {listed(models)}" if models else "")


def models_in(module: ModuleType) -> Iterator[str]:
    """The public classes of models, and models, that a module defines itself."""
    from torch import nn

    for name, value in vars(module).items():
        own = isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
        if not name.startswith("_") and (own or isinstance(value, nn.Module)):
            yield name


def _without_colon(word: str) -> str:
    """What to say of a target without a colon: the names that were probably meant."""
    parts = word.strip(":").split(".")
    for end in range(len(parts), 0, -1):
        try:
            module = _import(".".join(parts[:end]))
        except TargetError:
            continue
        inner = ".".join(parts[end:])
        exact = inner and hasattr(module, parts[end])
        names = [inner] if exact else nearest(inner, models_in(module)) or list(models_in(module))
        if names:
            meant = listed([f"{module.__name__}:{name}" for name in names], most=4, last="or")
            return f"{word!r} is no target; did you mean {meant}?"
        break
    if len(parts) == 1 and hasattr(_torchvision_models(), word):
        return f"{word!r} is no target; did you mean torchvision.models:{word}?"
    return f"{word!r} is no target: write package.module:Name, as in lenet.models:Regular"


def _torchvision_models() -> Any:
    try:
        return importlib.import_module("torchvision.models")
    except ImportError:
        return None


def _model(name: str, found: Any, arguments: dict[str, Any], own_input: bool) -> Target:
    """The model that was found, or that is made by calling what was found."""
    from torch import nn

    if isinstance(found, nn.Module):
        if arguments:
            raise TargetError(f"{name} is a model already, so it takes no --arg {next(iter(arguments))}=...")
        return Target(name, found, built=False)
    if isinstance(found, type) and not issubclass(found, nn.Module):
        raise TargetError(f"{name} is a class, but not of models: it does not derive from torch.nn.Module")
    if not callable(found):
        raise TargetError(f"{name} is {_kind(found)}, not a model{_models_hint(found)}")
    if vision.is_torchvision(found):
        model = build(name, found, vision.builder_arguments(found, arguments, own_input))
        return Target(name, model, vision.example_input(found, model))
    return Target(name, build(name, found, arguments))


def build(name: str, builder: Callable[..., Any], arguments: Mapping[str, Any]) -> nn.Module:
    """The model that a class or function makes of these arguments, in evaluation mode.

    Raises:
        TargetError: arguments are missing or unknown, it fails, or it makes something else.
    """
    from torch import nn

    _check_arguments(name, builder, arguments)
    try:
        model = builder(**arguments)
    except (Exception, SystemExit) as error:  # whatever the model's own code raises is about the target
        raise TargetError(f"building {name} failed: {described(error)}") from error
    if not isinstance(model, nn.Module):
        raise TargetError(f"{name} returned {_kind(model)}, not a model; name something that returns a torch.nn.Module")
    return model.eval()


def _check_arguments(name: str, builder: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    try:
        parameters = list(inspect.signature(builder).parameters.values())
    except (ValueError, TypeError):  # written in C: the call itself will tell
        return
    named = [parameter.name for parameter in parameters if parameter.kind in _NAMED]
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.kind in _NAMED and parameter.default is parameter.empty and parameter.name not in arguments
    ]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    unknown = [argument for argument in arguments if argument not in named]
    if unknown and not takes_any:
        takes = f"; it takes {listed(named)}" if named else "; it takes none"
        raise TargetError(f"{name} takes no argument {unknown[0]!r}{did_you_mean(unknown[0], named) or takes}")
    if missing:
        given = " ".join(f"--arg {argument}=..." for argument in missing)
        raise TargetError(f"{name} needs {listed(missing)}: give {given}")


def _kind(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "None"
    if isinstance(value, ModuleType):
        return "a Python module"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _models_hint(found: Any) -> str:
    models = [f"{found.__name__}:{name}" for name in models_in(found)] if isinstance(found, ModuleType) else []
    return f"; the models in it are {listed(models)}" if models else ""
