"""How a model's figures scale with the sizes of its inputs: exact laws, never fits that are merely close."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcount.scaling_laws.finding import scaling as scaling
    from opcount.scaling_laws.law import Domain as Domain, Scaling as Scaling

_ROOMS = ("law", "finding")
__all__ = ["Domain", "Scaling", "scaling"]


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first asked for."""
    if name in __all__:
        for room in _ROOMS:
            if name in vars(module := import_module(f"opcount.scaling_laws.{room}")):
                return globals().setdefault(name, vars(module)[name])
    raise AttributeError(f"module 'opcount.scaling_laws' has no attribute {name!r}")
