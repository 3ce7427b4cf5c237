"""An operator's arguments by their names in its schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch._ops import OpOverload

from opcount.ops import Call, Tree


@cache
def _schema(operator: OpOverload) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (argument.name, argument.default_value if argument.has_default_value() else None)
        for argument in operator._schema.arguments
    )


def named(operator: OpOverload, call: Call) -> Mapping[str, Tree]:
    """Every argument of the call by its name, those left out with their default."""
    schema = _schema(operator)
    values = {name: call.kwargs.get(name, default) for name, default in schema}
    values.update(zip((name for name, _ in schema), call.args))
    return values
