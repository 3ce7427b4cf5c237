"""Values as JSON that tells them apart: what a point is keyed by, and kept as.

Two values have the same text if and only if a model built from them is the same: ``1``, ``1.0`` and ``True`` differ, a
tuple differs from a list. What JSON has no word for is an object of one member whose name begins with ``$``.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from typing import Any

from opcount.errors import InputError

_HINT = "a point holds numbers, words, None, lists, tuples, mappings, classes, functions and element types"


def to_text(plain: Any) -> str:
    """What :func:`to_plain` gave as text, one text for one value: names sorted, no spaces.

    >>> to_text(to_plain({"width": 0.5, "kernel": (3, 5)}))
    '{"kernel":{"$tuple":[3,5]},"width":0.5}'
    """
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def to_plain(value: Any) -> Any:
    """A value as what JSON knows.

    Raises:
        InputError: it is something that cannot be told from others by what it looks like.
    """
    if isinstance(value, enum.Enum):
        return {"$name": f"{_name(type(value))}.{value.name}"}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [to_plain(item) for item in value]}
    if isinstance(value, Mapping):
        return {_key(name): to_plain(item) for name, item in value.items()}
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return {"$name": _name(value)}
    if type(value).__module__ == "torch" and type(value).__name__ in ("dtype", "device", "memory_format"):
        return {"$name": str(value)}
    if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return to_plain(value.item())  # a number of numpy's or of a tensor's
    raise InputError(f"{value!r} is a {type(value).__name__}, by which a result cannot be found again: {_HINT}")


def from_plain(value: Any) -> Any:
    """A value as a reader of results sees it: tuples are tuples again, classes and functions are their names.

    >>> from_plain({"kernel": {"$tuple": [3, 5]}, "act": {"$name": "torch.nn:ReLU"}})
    {'kernel': (3, 5), 'act': 'torch.nn:ReLU'}
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1:
            ((name, inner),) = value.items()
            if name == "$tuple":
                return tuple(from_plain(item) for item in inner)
            if name == "$name":
                return inner
            if name == "$float":
                return float(inner)
        return {name: from_plain(item) for name, item in value.items()}
    return value


def _key(name: Any) -> str:
    if not isinstance(name, str) or name.startswith("$"):
        raise InputError(f"a mapping in a point has words as keys, none of which begins with $, not {name!r}")
    return name


def _name(value: Any) -> str:
    module, name = getattr(value, "__module__", None), value.__qualname__
    if module in (None, "__main__") or "<" in name:
        raise InputError(
            f"{value!r} cannot be told apart from others of its name: {_HINT}, the last three defined in a module"
        )
    return f"{module}:{name}"
