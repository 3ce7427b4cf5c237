"""sympy, imported when it is first needed."""

from __future__ import annotations

from typing import Any

from opcount.errors import MissingExtraError


def sympy() -> Any:
    """The sympy package.

    Raises:
        MissingExtraError: it is not installed; the message says how to install it.
    """
    try:
        import sympy as package
    except ImportError:
        raise MissingExtraError("this needs sympy, which is not installed: pip install 'opcount[symbolic]'") from None
    return package
