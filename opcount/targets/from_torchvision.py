"""``torchvision:NAME``: one of torchvision's models by the name in its own list."""

from __future__ import annotations

from collections.abc import Iterable

from opcount.errors import TargetError
from opcount.parsing import did_you_mean
from opcount.targets.from_module import found_model
from opcount.targets.source import Request, Source, Target, need


def load(request: Request) -> Target:
    """The model of that name, without weights, with the input its weights were made for.

    Raises:
        TargetError: there is none.
        MissingExtraError: torchvision is not installed.
    """
    models = need("torchvision.models", "torchvision", request.word)
    names = models.list_models()
    if request.name not in names:
        meant = did_you_mean(request.name, names)
        raise TargetError(f"torchvision has no model {request.name!r}{meant}; opcount --list torchvision shows all")
    return found_model(request, models.get_model_builder(request.name))


def names() -> Iterable[str]:
    """The names there are."""
    found: list[str] = need("torchvision.models", "torchvision", "listing torchvision").list_models()
    return found


SOURCE = Source("torchvision:NAME", load, knobs=frozenset({"batch", "resolution"}), names=names)
