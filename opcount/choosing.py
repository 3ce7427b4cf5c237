"""Choosing layers of a profile: by class, by name, or by a glob on their paths."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opcount.result import LayerRecord


def chooser(what: type | str, layers: Iterable[LayerRecord]) -> Callable[[LayerRecord], bool]:
    """Whether a layer is meant by a class, by a name of one, or else by a glob on paths."""
    if not isinstance(what, str):
        name = f"{what.__module__}.{what.__qualname__}"
        return lambda record: name in record.bases
    wanted = {what.casefold(), _without_dimension(what)}

    def is_type(record: LayerRecord) -> bool:
        return any(
            name.casefold() in wanted or _without_dimension(name) in wanted
            for name in (record.type, *(base.rpartition(".")[2] for base in record.bases))
        )

    if any(is_type(record) for record in layers):
        return is_type
    return lambda record: any(fnmatch.fnmatchcase(path, what) for path in (record.path, *record.aliases))


def _without_dimension(name: str) -> str:
    return re.sub(r"[123]d$", "", name.casefold())
