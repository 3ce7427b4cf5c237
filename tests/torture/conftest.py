"""Writes what each test did into the report of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.torture.figures import DONE


@pytest.fixture(autouse=True)
def _figures(record_property: Callable[[str, object], None]) -> Iterator[None]:
    DONE.clear()
    yield
    for what, times in DONE.items():
        record_property(what, times)
