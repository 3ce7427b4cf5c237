"""An image among the tokens of a text: as many places for it as the model makes of it.

What a model makes of an image is asked of itself, on shapes: its ``get_image_features``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from opcount.errors import OpCountError, TargetError, described
from opcount.inputs import Input
from opcount.returning import returned

_PLACES = ("image_token_id", "image_token_index")
_OTHER = 1


def takes_image(model: Any) -> bool:
    """Whether a model puts an image among the tokens."""
    takes = inspect.signature(model.forward).parameters
    return "pixel_values" in takes and _place_of(model.config) is not None and hasattr(model, "get_image_features")


def with_image(
    model: Any, inputs: Mapping[str, Any], size: tuple[int, int], channels: int, word: str
) -> dict[str, Any]:
    """The natural input of a model with an image before the text of each sample.

    Args:
        model: one that takes an image.
        inputs: its input without, of which ``input_ids`` is the text.
        size: height and width of the image.
        channels: of the image.
        word: what the user calls the model.

    Raises:
        TargetError: it cannot be told how the model puts the image among the tokens.
    """
    batch, text = inputs["input_ids"].size
    takes = inspect.signature(model.forward).parameters
    image, places = _made(model, batch, size, channels, word)
    if places % batch:
        raise TargetError(f"{word} makes {places} tokens of {batch} images, which is no whole number for each")
    each = places // batch
    tokens = torch.full((batch, each + text), _OTHER)
    seen = torch.arange(each + text) < each
    tokens[:, seen] = _place_of(model.config) or 0
    found = {**inputs, "input_ids": tokens, **image}
    if "mm_token_type_ids" in takes:
        found["mm_token_type_ids"] = seen.long().expand(batch, -1)
    if "token_type_ids" in takes and "token_type_ids" not in inputs:
        found["token_type_ids"] = Input((batch, each + text), "int64")
    return found


def _made(model: Any, batch: int, size: tuple[int, int], channels: int, word: str) -> tuple[dict[str, Any], int]:
    """The images as the model takes them, and how many tokens it makes of them.

    Raises:
        TargetError: it takes them in no way that is known.
    """
    takes = inspect.signature(model.forward).parameters
    if "image_grid_thw" in takes:
        ways = [_patches(model, batch, size, channels, word)]
    else:
        sizes = {"image_sizes": torch.tensor([size] * batch)} if "image_sizes" in takes else {}
        plain = [{"pixel_values": shape} for shape in ((batch, channels, *size), (batch, 1, channels, *size))]
        ways = [*plain, *({**way, **sizes} for way in plain if sizes)]
    tried = [_tokens_of(model, way) for way in ways]
    found = next(((way, places) for way, places in zip(ways, tried) if isinstance(places, int)), None)
    if found is None:
        raise TargetError(
            f"it is not known how {word} puts an image of {size[0]}x{size[1]} among the tokens: leave --resolution out "
            f"to count a text alone, or give another ({tried[0]})"
        )
    return found


def _tokens_of(model: Any, image: Mapping[str, Any]) -> int | str:
    """How many tokens a model makes of its images, or why it takes none of that form."""
    try:
        return _rows(returned(model, image, "get_image_features"))
    except (OpCountError, AttributeError, TypeError) as error:
        return described(error)


def _place_of(config: Any) -> int | None:
    """The token that stands where a part of the image goes."""
    return next((getattr(config, name) for name in _PLACES if isinstance(getattr(config, name, None), int)), None)


def _patches(model: Any, batch: int, size: tuple[int, int], channels: int, word: str) -> dict[str, Any]:
    """The patches of images in one long row, and how many of them an image has across and down.

    Raises:
        TargetError: an image of that size has no whole number of them.
    """
    vision = model.config.vision_config
    side, merged = int(vision.patch_size), int(getattr(vision, "spatial_merge_size", 1))
    frames = int(getattr(vision, "temporal_patch_size", 1))
    if any(length % (side * merged) for length in size):
        raise TargetError(f"{word} takes images whose sides are multiples of {side * merged}, not {size[0]}x{size[1]}")
    down, across = size[0] // side, size[1] // side
    return {
        "pixel_values": (batch * down * across, channels * frames * side * side),
        "image_grid_thw": torch.tensor([[1, down, across]] * batch),
    }


def _rows(output: Any) -> int:
    """How many tokens a model makes of its images."""
    made = getattr(output, "pooler_output", output)
    parts = made if isinstance(made, (list, tuple)) else [made]
    return sum(part.shape[:-1].numel() for part in parts)
