"""What another counter reports for a model, and item by item why that is not what opcount says.

Each tool's convention is a file here: which calls the tool looks at, and what it takes each for. The model is called
once, by shapes, with every level of calls seen; no tool need be installed. The items always sum to the difference.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcount.reconciling.reconciliation import (
        Item as Item,
        Reconciliation as Reconciliation,
        reconcile as reconcile,
    )
    from opcount.reconciling.tools import TOOLS as TOOLS, Tool as Tool, find as find

_HOMES = {"reconciliation": ("Item", "Reconciliation", "reconcile"), "tools": ("TOOLS", "Tool", "find")}
__all__ = ["TOOLS", "Item", "Reconciliation", "Tool", "find", "reconcile"]


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first asked for: a list of tools need not wait for torch."""
    for room, names in _HOMES.items():
        if name in names:
            return globals().setdefault(name, getattr(import_module(f"opcount.reconciling.{room}"), name))
    raise AttributeError(f"module 'opcount.reconciling' has no attribute {name!r}")
