"""pytest's plugin: the fixture ``assert_ops``. It stands beside the package, which pytest then need not import."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def assert_ops() -> Any:
    """``assert_ops(model, inputs, max_macs=...)``, see :func:`opcount.testing.assert_ops`."""
    from opcount.testing import assert_ops

    return assert_ops
