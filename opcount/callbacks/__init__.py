"""Callbacks for trainers of other packages, which log what each step costs; each package is imported when asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcount.callbacks.of_lightning import LightningMeter as LightningMeter
    from opcount.callbacks.of_transformers import TransformersMeter as TransformersMeter

_HOMES = {"LightningMeter": "of_lightning", "TransformersMeter": "of_transformers"}


def __getattr__(name: str) -> Any:
    """The callbacks.

    Raises:
        MissingExtraError: the package that one is for is not installed.
    """
    if name in _HOMES:
        return getattr(import_module(f"opcount.callbacks.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'opcount.callbacks' has no attribute {name!r}")
