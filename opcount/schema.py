"""A profile as JSON: the schema ``opcount-profile/1``, written and read.

Whole numbers beyond 2**53 are written as strings, because many readers of JSON would round them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from opcount.errors import SchemaError
from opcount.occupancy import Memory
from opcount.ops import FIGURES, Convention, Execution, Number, OpCount, Phase, Term
from opcount.result import Entry, LayerRecord, Profile, Shapes, Site, Uncounted

SCHEMA = "opcount-profile/1"

_LARGEST_EXACT = 2**53


def to_dict(profile: Profile) -> dict[str, Any]:
    """The profile as plain lists, dicts, strings and numbers."""
    return {
        "schema": SCHEMA,
        "model": profile.model,
        "inputs": _shapes_out(profile.inputs),
        "convention": profile.convention.to_dict(),
        "execution": {
            "mode": profile.execution,
            "reason": profile.execution_reason,
            "seconds": profile.seconds,
            **({"remarks": list(profile.remarks)} if profile.remarks else {}),
        },
        "complete": profile.complete,
        "params": number_out(profile.params),
        "ops": ops_out(profile.ops),
        "total": number_out(profile.total),
        **_phases_out(profile),
        "layers": [_record_out(record) for record in profile.layers],
        **({} if profile.memory is None else {"memory": profile.memory.to_dict()}),
    }


def _phases_out(profile: Profile) -> dict[str, Any]:
    """The figures of each phase of a training step; they are read back from the layers' entries."""
    if len(profile.phases) == 1:
        return {}
    return {"phases": {phase: ops_out(getattr(profile, phase)) for phase in profile.phases}}


def to_json(profile: Profile, indent: int | None = 1) -> str:
    """The profile as JSON text."""
    return json.dumps(to_dict(profile), indent=indent, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Profile:
    """The profile that :func:`to_json` wrote.

    Raises:
        SchemaError: the text is something else, or of a version this release cannot read.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"this is not JSON: {error}; give a file that Profile.to_json() wrote") from None
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if isinstance(schema, str) and schema.startswith("opcount-comparison/"):
        raise SchemaError("this JSON is a comparison; give one of its profiles, as --format json wrote it of one model")
    if not isinstance(schema, str) or not schema.startswith("opcount-profile/"):
        raise SchemaError("this JSON is not an opcount profile; give a file that Profile.to_json() wrote")
    if schema != SCHEMA:
        raise SchemaError(f"this profile has the schema {schema}; this release reads {SCHEMA}: update opcount")
    try:
        return _profile_in(data)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise SchemaError(
            f"this opcount profile is damaged: {type(error).__name__} at {error}; write it anew"
        ) from None


def _profile_in(data: Mapping[str, Any]) -> Profile:
    execution, memory = data["execution"], data.get("memory")
    return Profile(
        model=str(data["model"]),
        inputs=_shapes_in(data["inputs"]),
        layers=tuple(_record_in(record) for record in data["layers"]),
        convention=Convention(**data["convention"]),
        execution_record=Execution(
            str(execution["mode"]),
            str(execution["reason"]),
            float(execution["seconds"]),
            tuple(str(remark) for remark in execution.get("remarks", ())),
        ),
        memory=None if memory is None else Memory.from_dict(memory),
    )


def _record_out(record: LayerRecord) -> dict[str, Any]:
    return {
        "path": record.path,
        "type": record.type,
        "bases": list(record.bases),
        "aliases": list(record.aliases),
        "sites": [
            {"inputs": _shapes_out(site.input_shapes), "outputs": _shapes_out(site.output_shapes), "calls": site.calls}
            for site in record.sites
        ],
        "params": number_out(record.params),
        "ops": ops_out(record.ops),
        "subtree": ops_out(record.subtree),
        "entries": [_entry_out(entry) for entry in record.entries],
        "uncounted": [
            {"name": item.name, "kind": item.kind, "calls": item.calls, "phase": item.phase}
            for item in record.uncounted
        ],
    }


def _record_in(data: Mapping[str, Any]) -> LayerRecord:
    path = str(data["path"])
    return LayerRecord(
        path=path,
        type=str(data["type"]),
        bases=tuple(map(str, data["bases"])),
        aliases=tuple(map(str, data["aliases"])),
        sites=tuple(
            Site(_shapes_in(site["inputs"]), _shapes_in(site["outputs"]), int(site["calls"])) for site in data["sites"]
        ),
        params=_count_in(data["params"]),
        ops=_ops_in(data["ops"]),
        subtree=_ops_in(data["subtree"]),
        entries=tuple(_entry_in(entry) for entry in data["entries"]),
        uncounted=tuple(
            Uncounted(str(item["name"]), str(item["kind"]), path, int(item["calls"]), str(item.get("phase", "forward")))
            for item in data["uncounted"]
        ),
    )


def _entry_out(entry: Entry) -> dict[str, Any]:
    term = entry.term
    return {
        "source": entry.source,
        "name": entry.name,
        "formula": term.formula,
        "numbers": {name: number_out(value) for name, value in term.items},
        "role": term.role,
        "dtype": term.dtype,
        "phase": term.phase,
        "times": entry.times,
        "ops": ops_out(entry.ops),
    }


def _entry_in(data: Mapping[str, Any]) -> Entry:
    numbers = {name: _number_in(value) for name, value in data["numbers"].items()}
    formula, role, dtype, phase = (str(data[name]) for name in ("formula", "role", "dtype", "phase"))
    term = Term(formula, role=role, dtype=dtype, phase=cast(Phase, phase), **numbers)
    return Entry(str(data["source"]), str(data["name"]), term, int(data["times"]), _ops_in(data["ops"]))


def ops_out(ops: OpCount) -> dict[str, Any]:
    """The six figures by name, as JSON keeps them exact."""
    return {figure: number_out(value) for figure, value in ops.to_dict().items()}


def _ops_in(data: Mapping[str, Any]) -> OpCount:
    return OpCount(**{figure: _count_in(data[figure]) for figure in FIGURES})


def _count_in(value: Any) -> int:
    number = _number_in(value)
    if not isinstance(number, int):
        raise ValueError(f"{value}, which is not one whole number")
    return number


def _shapes_out(shapes: Shapes) -> list[list[int]]:
    return [list(shape) for shape in shapes]


def _shapes_in(data: Any) -> Shapes:
    return tuple(tuple(int(size) for size in shape) for shape in data)


def number_out(value: Number) -> Any:
    """A number, or a tuple of them, as JSON keeps it exact.

    >>> number_out(7), number_out(2**60), number_out((1, 2))
    (7, '1152921504606846976', [1, 2])
    """
    if isinstance(value, tuple):
        return [number_out(item) for item in value]
    if isinstance(value, float):
        return {"float": repr(value)}  # a power's exponent, which may be infinite
    return value if abs(value) <= _LARGEST_EXACT else str(value)


def _number_in(value: Any) -> Number:
    if isinstance(value, list):
        return tuple(_number_in(item) for item in value)
    if isinstance(value, Mapping):
        return float(value["float"])
    if isinstance(value, float):
        raise ValueError(f"{value}, which is not a whole number")
    return int(value)
