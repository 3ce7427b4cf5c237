"""What the tests of the loops share: values held against another's, counts handed back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.reference.machine import Tally, count


def same(values: Any, expected: Any) -> None:
    """The same numbers in the same shapes; expected may be arrays, tensors, None, or tuples of them."""
    if expected is None:
        assert values is None
    elif isinstance(expected, tuple | list):
        assert len(values) == len(expected)
        for value, other in zip(values, expected, strict=True):
            same(value, other)
    else:
        other = np.asarray(expected.detach() if hasattr(expected, "detach") else expected)
        assert np.shape(values) == other.shape, (np.shape(values), other.shape)
        np.testing.assert_allclose(values, other, rtol=1e-8, atol=1e-10)


def counted(expected: Any, function: Callable[..., Any], *arrays: Any, **options: Any) -> Tally:
    """What the loop counted, after its values turned out to be the expected ones."""
    values, tally = count(function, *arrays, **options)
    same(values, expected)
    return tally
