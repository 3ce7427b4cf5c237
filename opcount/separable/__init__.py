"""Depthwise separable convolutions: a model made of them, what that costs, and why.

:func:`separate` replaces every convolution of a model that can be; :func:`derive` obtains the function that maps one
cost to the other by algebra, and :func:`predict` applies it to a profile.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcount.separable.derivation import Derivation as Derivation, derive as derive
    from opcount.separable.prediction import Prediction as Prediction, predict as predict
    from opcount.separable.replacing import (
        SeparableConv2d as SeparableConv2d,
        Separated as Separated,
        separate as separate,
    )

_ROOMS = ("derivation", "prediction", "replacing")
__all__ = ["Derivation", "Prediction", "SeparableConv2d", "Separated", "derive", "predict", "separate"]


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first asked for: algebra need not wait for torch, nor the reverse."""
    if name in __all__:
        for room in _ROOMS:
            if name in vars(module := import_module(f"opcount.separable.{room}")):
                return globals().setdefault(name, vars(module)[name])
    raise AttributeError(f"module 'opcount.separable' has no attribute {name!r}")
