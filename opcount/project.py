"""What a project says of itself to opcount: the models that its pyproject.toml names, with their inputs and budgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opcount.budgets import NAMES as BUDGETS, Budgets, read as read_budgets
from opcount.errors import InputError
from opcount.ops import Convention
from opcount.parsing import did_you_mean, listed, parse_size, parse_toml, visible
from opcount.result import Profile

LOCK = "opcount.lock"
PROJECT = "pyproject.toml"

_BUDGETS = tuple(name.replace("_", "-") for name in BUDGETS)
_KEYS = ("target", "input", "args", "bias", "zero-padding", *_BUDGETS)


@dataclass(frozen=True, slots=True)
class Named:
    """A model that a project names.

    Attributes:
        name: what the project calls it.
        target: ``package.module:Name``.
        sizes: of its inputs, as ``--input`` takes them; none is the model's own.
        arguments: for its class or function.
        convention: what its figures include.
        budgets: what it may not exceed.
    """

    name: str
    target: str
    sizes: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    convention: Convention = Convention()
    budgets: Budgets = Budgets()

    def settings(self) -> dict[str, Any]:
        """What its figures depend on beside its code, as the lock keeps it."""
        return {"target": self.target, "input": list(self.sizes), "args": dict(self.arguments),
                "convention": self.convention.to_dict()}  # fmt: skip

    def count(self) -> Profile:
        """Its figures as they are now.

        Raises:
            OpCountError: it cannot be found, built or counted; the message says what to do.
        """
        from opcount import Input, profile
        from opcount.targets import known_input, load

        given = [parse_size(size) for size in self.sizes]
        sizes = tuple(size if dtype is None else Input(size, dtype) for size, dtype in given)
        target = load(self.target, self.arguments, own_input=not sizes)
        counted = profile(target.model, sizes or known_input(target), convention=self.convention)
        return replace(counted, model=self.name)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a pyproject that names models.

    Attributes:
        folder: where it is.
        models: the models by name, in the order of the file.
    """

    folder: Path
    models: Mapping[str, Named]

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.folder / LOCK

    def chosen(self, names: list[str]) -> list[Named]:
        """The models of these names, all if there are none.

        Raises:
            InputError: there is no such model.
        """
        for name in names:
            if name not in self.models:
                hint = did_you_mean(name, self.models) or f" (models: {listed(map(visible, self.models), 20)})"
                raise InputError(f"{PROJECT} names no model {name!r}{hint}")
        return [self.models[name] for name in dict.fromkeys(names or self.models)]


def find_project(start: Path | None = None) -> Project:
    """The nearest pyproject, from a folder upwards, that has a table ``[tool.opcount]``.

    Raises:
        InputError: there is none, it cannot be read, or what it says cannot be understood.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        path = folder / PROJECT
        if path.is_file():
            tools = _toml(path).get("tool")
            table = tools.get("opcount") if isinstance(tools, Mapping) else None
            if table is not None:
                return Project(folder, _models(table))
    raise InputError(
        f"no {PROJECT} in {str(start)!r} or above has a table [tool.opcount]: name a model in it as in "
        '[tool.opcount.models.small] target = "package.module:Name"'
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        raise InputError(f"cannot read {str(path)!r}: {error}") from error


def _models(table: Any) -> dict[str, Named]:
    models = table.get("models") if isinstance(table, Mapping) else None
    _known(table, ("models",), "[tool.opcount]")
    if not isinstance(models, Mapping) or not models:
        raise InputError("[tool.opcount] names no models: give each a table [tool.opcount.models.NAME] with a target")
    return {str(name): _named(str(name), given) for name, given in models.items()}


def _named(name: str, given: Any) -> Named:
    where = f"[tool.opcount.models.{name}]"
    _known(given, _KEYS, where)
    target, arguments = given.get("target"), given.get("args", {})
    if not isinstance(target, str):
        raise InputError(f'{where} needs a target, as in target = "package.module:Name"')
    if not isinstance(arguments, Mapping):
        raise InputError(f"{where}: args is a table, as in args = {{ num_classes = 10 }}")
    try:
        json.dumps(arguments)
    except TypeError as error:
        raise InputError(f"{where}: args holds numbers, texts, lists and tables: {error}") from None
    choices = {key: given.get(key, True) for key in ("bias", "zero-padding")}
    for key, choice in choices.items():
        if not isinstance(choice, bool):
            raise InputError(f"{where}: {key} is true or false, not {choice!r}")
    convention = Convention(bias=choices["bias"], zero_padding=choices["zero-padding"])
    budgets = read_budgets({key: given[key] for key in _BUDGETS if key in given}, where)
    return Named(name, target, _sizes(given.get("input", []), where), dict(arguments), convention, budgets)


def _known(table: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(table, Mapping):
        raise InputError(f"{where} is a table, not {table!r}")
    for key in table:
        if key not in keys:
            raise InputError(f"{where} has no {key!r}{did_you_mean(key, keys)} (possible: {', '.join(keys)})")


def _sizes(given: Any, where: str) -> tuple[str, ...]:
    """One size as text or numbers, or a list of texts, one an input; each brought into one form."""
    if isinstance(given, list) and given and all(isinstance(size, int) for size in given):
        given = ",".join(map(str, given))
    sizes = [given] if isinstance(given, str) else given
    if not isinstance(sizes, list) or not all(isinstance(size, str) for size in sizes):
        raise InputError(f'{where}: input is a size, as in input = "1,3,224,224", or a list of them, not {given!r}')
    try:
        parsed = [parse_size(size) for size in sizes]
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return tuple(",".join(map(str, size)) + (f":{dtype}" if dtype else "") for size, dtype in parsed)
