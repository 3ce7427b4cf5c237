"""The figures that a project commits to: what its models cost in opcount.lock, and what is not so any more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opcount.budgets import Excess
from opcount.comparison import Comparison, compare
from opcount.errors import InputError, SchemaError
from opcount.ops import FIGURES, Convention, OpCount
from opcount.parsing import listed, visible
from opcount.project import LOCK, PROJECT, Named, Project
from opcount.result import LayerRecord, Profile, Site, Uncounted
from opcount.schema import number_out

SCHEMA = "opcount-lock/1"


@dataclass(frozen=True, slots=True)
class Locked:
    """A model as the lock has it: the settings, and the figures layer by layer."""

    settings: Mapping[str, Any]
    profile: Profile


@dataclass(frozen=True, slots=True)
class Change:
    """What is not as it was locked.

    Attributes:
        name: the model.
        said: what changed, in one line.
        comparison: locked against now, where both are there.
        of_budget: whether it is a budget that is not kept, which no new lock would mend.
    """

    name: str
    said: str
    comparison: Comparison | None = None
    of_budget: bool = False


_CALLED = (Site((), (), 1),)
"""Where and how often a layer is called is no figure; that it is called keeps a report from saying that it is not."""


def _reduced(profile: Profile) -> Profile:
    """What of a profile is locked: each layer's type, parameters, own figures, and what was not counted in it."""
    layers = tuple(
        LayerRecord(
            record.path, record.type, sites=_CALLED, params=record.params, ops=record.ops, uncounted=record.uncounted
        )
        for record in profile.layers
        if record.ops or record.params or record.uncounted
    )
    return Profile(profile.model, profile.inputs, layers, profile.convention)


def write_lock(project: Project, chosen: list[Named]) -> tuple[bool, tuple[Excess, ...], list[Profile]]:
    """Count models and lock their figures; the lock of others that the project names stays.

    Returns:
        Whether the file changed; the budgets that are not kept, for which nothing is written; what was counted.

    Raises:
        OpCountError: a model cannot be counted, or the lock that is there cannot be read or written.
    """
    from opcount.report.files import write

    kept = read_lock(project) if project.lock.exists() and len(chosen) < len(project.models) else {}
    counted = {model.name: _reduced(model.count()) for model in chosen}
    excesses = tuple(each for model in chosen for each in model.budgets.check(counted[model.name]))
    if excesses:
        return False, excesses, list(counted.values())
    locked = {
        name: Locked(model.settings(), counted[name]) if name in counted else kept[name]
        for name, model in project.models.items()
        if name in counted or name in kept
    }
    text = _written(locked)
    before = project.lock.read_text(encoding="utf-8") if project.lock.is_file() else None
    if text != before:
        write(str(project.lock), text)
    return text != before, (), list(counted.values())


def _written(locked: Mapping[str, Locked]) -> str:
    """The lock as text, the same for the same figures: a line a layer, so that a diff of it can be read."""
    blocks = []
    for name in sorted(locked):
        settings, profile = locked[name].settings, locked[name].profile
        layers = ",\n".join(f"    {json.dumps(_layer_out(record))}" for record in profile.layers)
        blocks.append(
            f"  {json.dumps(name)}: {{\n"
            + "".join(
                f"   {json.dumps(key)}: {json.dumps(value, sort_keys=True)},\n" for key, value in settings.items()
            )
            + f'   "inputs": {json.dumps(profile.inputs)},\n'
            + f'   "figures": {json.dumps(_figures(profile))},\n   "layers": [\n{layers}\n   ]\n  }}'
        )
    return f'{{\n "schema": {json.dumps(SCHEMA)},\n "models": {{\n' + ",\n".join(blocks) + "\n }\n}\n"


def _figures(profile: Profile) -> dict[str, Any]:
    return {"params": number_out(profile.params), "total": number_out(profile.total), **_ops_out(profile.ops)}


def _ops_out(ops: OpCount) -> dict[str, Any]:
    return {figure: number_out(value) for figure, value in ops.to_dict().items()}


def _layer_out(record: LayerRecord) -> dict[str, Any]:
    data = {"path": record.path, "type": record.type, "params": number_out(record.params), **_ops_out(record.ops)}
    if record.uncounted:
        data["uncounted"] = [[item.name, item.kind, item.calls] for item in record.uncounted]
    return data


def read_lock(project: Project) -> dict[str, Locked]:
    """The locked models by name.

    Raises:
        InputError: there is no lock, or it cannot be read.
        SchemaError: it is damaged, or of another version.
    """
    path = project.lock
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {LOCK} in {str(project.folder)!r}: opcount lock writes it") from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{LOCK} is damaged: {error}; opcount lock writes it anew") from error
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if schema != SCHEMA:
        said = f"has the schema {schema!r}, and this release reads {SCHEMA}" if schema else "is no lock of opcount's"
        raise SchemaError(f"{LOCK} {said}; opcount lock writes it anew")
    try:
        return {name: _locked(name, given) for name, given in data["models"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SchemaError(
            f"{LOCK} is damaged: {type(error).__name__} at {error}; opcount lock writes it anew"
        ) from None


def _locked(name: str, data: Mapping[str, Any]) -> Locked:
    settings = {key: data[key] for key in ("target", "input", "args", "convention")}
    layers = tuple(_layer_in(layer) for layer in data["layers"])
    inputs = tuple(tuple(int(size) for size in shape) for shape in data["inputs"])
    profile = Profile(name, inputs, layers, Convention(**data["convention"]))
    if _figures(profile) != data["figures"]:
        raise ValueError(f"the figures of {name}, which are not the sums of its layers")
    return Locked(settings, profile)


def _layer_in(data: Mapping[str, Any]) -> LayerRecord:
    path = str(data["path"])
    uncounted = tuple(Uncounted(str(a), str(b), path, int(calls)) for a, b, calls in data.get("uncounted", ()))
    ops = OpCount(**{figure: int(data[figure]) for figure in FIGURES})
    return LayerRecord(path, str(data["type"]), sites=_CALLED, params=int(data["params"]), ops=ops, uncounted=uncounted)


def changes(project: Project, chosen: list[Named]) -> Iterator[Change]:
    """What is not as it was locked, and the budgets that are not kept, model by model.

    Raises:
        OpCountError: a model cannot be counted, or the lock cannot be read.
    """
    locked = read_lock(project)
    for model in chosen:
        now = _reduced(model.count())
        if model.name not in locked:
            yield Change(model.name, f"is not locked yet: opcount lock {model.name} does it")
        else:
            yield from _changes(model, locked[model.name], now)
        for excess in model.budgets.check(now):
            said = "; ".join(filter(None, excess.said(excess.budget.replace("_", "-"))))
            yield Change(model.name, said.removeprefix(f"{visible(model.name)} "), of_budget=True)
    if len(chosen) == len(project.models):
        for name in locked.keys() - project.models.keys():
            yield Change(name, f"is locked, but {PROJECT} does not name it any more: opcount lock forgets it")


def _changes(model: Named, before: Locked, now: Profile) -> Iterator[Change]:
    settings = json.loads(json.dumps(model.settings()))
    for key, value in settings.items():
        if value != before.settings[key]:
            yield Change(model.name, f"{key} was {_shown(before.settings[key])} and is {_shown(value)}")
    if now.layers != before.profile.layers or now.inputs != before.profile.inputs:
        both = replace(before.profile, model=f"{model.name}:locked"), replace(now, model=f"{model.name}:now")
        yield Change(model.name, _said(*both), compare(*both))


def _shown(value: Any) -> str:
    return visible(value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def _said(before: Profile, now: Profile) -> str:
    """The figures that changed, or that only where they are did."""
    figures = (("MACs", "macs"), ("operations", "total"), ("parameters", "params"))
    others = tuple((name, name) for name in FIGURES if name != "macs")
    parts = []
    for noun, name in (*figures, *others):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            percent = f" ({100 * (new - old) / old:+.2f} %)" if old else ""
            parts.append(f"{old:,} → {new:,} {noun}{percent}")
    if [item.name for item in before.uncounted] != [item.name for item in now.uncounted]:
        names = listed(dict.fromkeys(visible(item.name) for item in now.uncounted)) or "nothing"
        parts.append(f"not counted: {names}")
    if before.inputs != now.inputs:
        parts.append(f"inputs {_shown(list(before.inputs))} → {_shown(list(now.inputs))}")
    return ", ".join(parts) or "the same sums from other layers"


def annotation(change: Change, project: Project) -> str:
    """A change as GitHub shows it beside the lock's line of the model: a workflow command, safely written.

    >>> project = Project(Path("/tmp/none"), {})
    >>> annotation(Change("a,b", "5 % more\\nand worse"), project).partition("title=")[2]
    'opcount%3A a%2Cb::5 %25 more%0Aand worse'
    """
    root = os.environ.get("GITHUB_WORKSPACE") or os.getcwd()
    path = Path(os.path.relpath(project.lock, root)).as_posix()
    title = _property(f"opcount: {visible(change.name)}")
    place = f"file={_property(path)},line={_line(project, change.name)},title={title}"
    return f"::error {place}::{_message(change.said)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _line(project: Project, name: str) -> int:
    """Where the lock begins to speak of a model, else its first line."""
    try:
        lines = project.lock.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 1
    wanted = f"  {json.dumps(name)}: {{"
    return lines.index(wanted) + 1 if wanted in lines else 1
