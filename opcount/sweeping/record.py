"""One row: what is kept of a point, and how it is laid out in columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opcount.errors import InputError
from opcount.ops import FIGURES
from opcount.sweeping.plain import from_plain

PEAK = "peak_activations"
"""The column that is empty also where it was not asked for."""

WHOLE = (*FIGURES, "total", "params", PEAK)
"""The columns that are whole numbers, or empty where counting failed."""

RESULT = (*WHOLE, "complete", "uncounted", "execution", "called_with", "seconds", "error")
"""What counting a point gives."""

COLUMNS = (*RESULT, "build", "inputs", "convention", "version")
"""Every column but those of the point itself."""

RESERVED = frozenset({*COLUMNS, "question", "key", "position", "failed", "point", "crc"})


def failed(error: str, seconds: float) -> dict[str, Any]:
    """The result of a point that could not be counted: no figure, and why."""
    empty: dict[str, Any] = dict.fromkeys(RESULT)
    return {**empty, "complete": False, "uncounted": [], "seconds": round(seconds, 6), "error": error}


def check_names(point: Mapping[str, Any]) -> None:
    """See that no name of a point is that of a column.

    Raises:
        InputError: one is.
    """
    clash = next((name for name in point if name in RESERVED), None)
    if clash is not None:
        raise InputError(
            f"the point has an argument {clash!r}, which is a column of the results: wrap build in a function whose "
            "argument has another name"
        )


def to_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a reader of results sees it: the point first, one value a column."""
    values = {name: record.get(name) for name in COLUMNS}
    values["uncounted"] = tuple(record.get("uncounted") or ())
    return {**{name: from_plain(value) for name, value in record["point"].items()}, **values}


def to_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as the columns of a file: what is no plain value as JSON, and the whole point once more, exactly."""
    point = {name: _cell(value) for name, value in record["point"].items()}
    values = {name: record.get(name) for name in COLUMNS}
    values["uncounted"] = json.dumps(values["uncounted"] or [])
    return {**point, **values, "point": json.dumps(record["point"], separators=(",", ":"))}


def from_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record that :func:`to_columns` laid out."""
    record: dict[str, Any] = {"point": json.loads(row["point"])}
    for name in COLUMNS:
        value = row.get(name) if name == PEAK else row[name]
        record[name] = int(value) if name in WHOLE and value is not None else value
    record["uncounted"] = json.loads(row["uncounted"])
    return record


def _cell(value: Any) -> Any:
    """One value of a point as a cell: a name stands for itself, what has parts is JSON."""
    if isinstance(value, dict) and len(value) == 1 and ("$name" in value or "$float" in value):
        return from_plain(value)
    return json.dumps(from_plain(value)) if isinstance(value, (dict, list)) else value
