"""torchvision's builders as targets: built without weights, with the input size that their weights were made for.

Whoever names one of its builders has imported torchvision. Weights are never downloaded: only what torchvision says
about them is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_CROP, _FRAMES = 224, 16
_DRAWN_SLOWLY = ("googlenet", "inception")  # their initial weights take seconds to draw, and no count looks at them


def is_torchvision(builder: Any) -> bool:
    """Whether something is one of torchvision's functions that build a model."""
    module = str(getattr(builder, "__module__", ""))
    return (
        module.startswith("torchvision.models.") and inspect.isfunction(builder) and "weights" in _parameters(builder)
    )


def builder_arguments(builder: Callable[..., Any], given: Mapping[str, Any], own_input: bool = True) -> dict[str, Any]:
    """The arguments to build with: those given, and what keeps the builder from fetching weights.

    Where ``own_input`` is set, a vision transformer is built for the image size of its weights, as it is with weights.
    """
    arguments: dict[str, Any] = {
        name: None for name in ("weights", "weights_backbone") if name in _parameters(builder) and name not in given
    }
    if _family(builder).rpartition(".")[2] in _DRAWN_SLOWLY:
        arguments["init_weights"] = False
    if own_input and is_built_for_a_size(builder):
        arguments["image_size"] = _crop(builder)[-1]
    return {**arguments, **given}


def is_built_for_a_size(builder: Callable[..., Any]) -> bool:
    """Whether the size of the image is an argument of the builder, as for a vision transformer."""
    return _family(builder) == "vision_transformer"


def example_input(builder: Callable[..., Any], model: Any) -> Any:
    """The positional arguments for one call of the model, as sizes: one image, one clip or one pair of images."""
    family = _family(builder)
    if family.startswith("detection"):
        resize = getattr(model, "transform", None)
        fixed, shortest = getattr(resize, "fixed_size", None), getattr(resize, "min_size", (800,))
        height, width = fixed or (shortest[-1], shortest[-1])
        return ([(3, height, width)],)
    if family.startswith("optical_flow"):
        return ((1, 3, 520, 960), (1, 3, 520, 960))  # the size its weights were evaluated at
    if family.startswith("video"):
        frames = max(_FRAMES, _said_of_weights(builder)[1].get("min_temporal_size", _FRAMES))
        return ((1, 3, frames, *_crop(builder)),)
    built_for = getattr(model, "image_size", None)
    size = (built_for, built_for) if isinstance(built_for, int) else _crop(builder)
    return ((1, 3, *size),)


def _crop(builder: Callable[..., Any]) -> tuple[int, int]:
    """Height and width of what the weights' own preprocessing ends with."""
    preprocessing, _ = _said_of_weights(builder)
    size = preprocessing.get("crop_size", preprocessing.get("resize_size", _CROP))
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    return int(sizes[0]), int(sizes[-1])


def _said_of_weights(builder: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What torchvision says of the builder's default weights: their preprocessing and their description."""
    import torchvision

    try:
        weights = torchvision.models.get_model_weights(builder).DEFAULT
    except (ValueError, AttributeError):  # a builder without published weights
        return {}, {}
    return dict(getattr(weights.transforms, "keywords", {})), dict(weights.meta)


def _family(builder: Callable[..., Any]) -> str:
    """Where a builder is defined: ``"resnet"``, ``"detection.ssd"``."""
    return builder.__module__.removeprefix("torchvision.models.")


def _parameters(builder: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(builder).parameters
