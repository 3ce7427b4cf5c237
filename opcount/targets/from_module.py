"""``package.module:Name``: a model, a class of models or a function that returns one.

Naming a module runs it, as importing it would. Nothing is ever downloaded: torchvision's models are built without
weights.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from opcount import vision
from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean, listed, nearest
from opcount.targets.building import build, kind
from opcount.targets.resizing import resized
from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The model that a dotted name in a module stands for; the working directory is importable, as for ``python -m``.

    Raises:
        TargetError: it cannot be found or built, or is no model. The message says what to do.
    """
    return found_model(request, named(request.name))


def named(word: str) -> Any:
    """What ``package.module:Name`` stands for, whatever that is.

    Raises:
        TargetError: there is no such thing.

    >>> named("torch.nn:Linear")
    <class 'torch.nn.modules.linear.Linear'>
    """
    module_name, colon, path = word.partition(":")
    if not colon or not module_name or not path:
        raise TargetError(_without_colon(word))
    return attribute(module_named(module_name), path)


def module_named(name: str) -> ModuleType:
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


def attribute(module: ModuleType, path: str) -> Any:
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
            found = module_named(f"{found.__name__}.{part}")
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
            module = module_named(".".join(parts[:end]))
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


def found_model(request: Request, found: Any) -> Target:
    """The model that was found, or that is made by calling what was found.

    Raises:
        TargetError: it is neither, or its input cannot be what was asked for.
    """
    from torch import nn

    name, arguments = request.word, dict(request.arguments)
    if isinstance(found, nn.Module):
        if arguments:
            raise TargetError(f"{name} is a model already, so it takes no --arg {next(iter(arguments))}=...")
        return resized(Target(name, found, built=False), request)
    if isinstance(found, type) and not issubclass(found, nn.Module):
        raise TargetError(f"{name} is a class, but not of models: it does not derive from torch.nn.Module")
    if not callable(found):
        raise TargetError(f"{name} is {kind(found)}, not a model{_models_hint(found)}")
    if not vision.is_torchvision(found):
        return resized(Target(name, build(name, found, arguments)), request)
    size = request.knobs.resolution
    if vision.is_built_for_a_size(found) and size is not None and size[0] == size[1]:
        arguments.setdefault("image_size", size[0])
    model = build(name, found, vision.builder_arguments(found, arguments, request.own_input))
    return resized(Target(name, model, vision.example_input(found, model)), request)


def _models_hint(found: Any) -> str:
    models = [f"{found.__name__}:{name}" for name in models_in(found)] if isinstance(found, ModuleType) else []
    return f"; the models in it are {listed(models)}" if models else ""


SOURCE = Source("package.module:Name", load, knobs=frozenset({"batch", "resolution"}))
