"""The natural input of a model of transformers: what its forward takes, in the sizes that its configuration tells.

Sizes come from the configuration where it has them; a text has 128 tokens, a sound lasts one second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from opcount.errors import TargetError
from opcount.inputs import Input
from opcount.parsing import listed
from opcount.targets.building import NAMED
from opcount.targets.source import Request

TOKENS, IMAGE, FRAMES, SAMPLES, STEPS = 128, 224, 16, 16_000, 1_000
"""Where a configuration does not tell: tokens, pixels a side, frames of a film, samples and frames of a sound."""
SEEING = ("vision_config", "backbone_config")


def natural_inputs(model: Any, request: Request) -> dict[str, Any] | None:
    """Keyword arguments for one call of the model, as sizes; None where it is not known what it takes.

    Raises:
        TargetError: a knob means nothing to this model.
    """
    shape = _Shapes(model.config, request)
    takes = inspect.signature(model.forward).parameters
    needed = [
        name for name, parameter in takes.items() if parameter.default is parameter.empty and parameter.kind in NAMED
    ]
    main = getattr(model, "main_input_name", "input_ids")
    mains = [main] if isinstance(main, str) else list(main)
    wanted = [*(name for name in mains if name in takes), *(name for name in needed if name not in mains)]
    if shape.encoder_decoder and "decoder_input_ids" in takes:
        wanted.append("decoder_input_ids")
    if pairs_text_and_image(model.config) and "pixel_values" in takes and "input_ids" in takes:
        wanted += [name for name in ("input_ids", "pixel_values") if name not in wanted]
    inputs = {}
    for name in wanted:
        maker = _MAKERS.get(name)
        if maker is None:
            return None
        inputs[name] = maker(shape)
    if "input_ids" in inputs and (request.knobs.resolution is not None or "pixel_values" in inputs):
        from opcount.targets.transformers_images import takes_image, with_image

        if takes_image(model):
            inputs = with_image(model, inputs, shape.resolution, shape.channels, request.word)
    shape.check_used()
    return inputs or None


def resized(config: Any, size: tuple[int, int]) -> None:
    """Make a configuration be of models for images of that size, as far as it says what size they are for."""
    for part in (config, *(getattr(config, name, None) for name in SEEING)):
        before = getattr(part, "image_size", None)
        if isinstance(before, int):
            part.image_size = size[0] if size[0] == size[1] else size
        elif isinstance(before, (list, tuple)):
            part.image_size = type(before)(size)


def pairs_text_and_image(config: Any) -> bool:
    """Whether the model holds a text against an image, as CLIP does; others put the image among the tokens."""
    return hasattr(config, "projection_dim") and hasattr(config, "text_config") and hasattr(config, "vision_config")


class _Shapes:
    """Sizes that a configuration, or the user, tells."""

    def __init__(self, config: Any, request: Request) -> None:
        self.config, self.word, self.knobs = config, request.word, request.knobs
        self.used: set[str] = {"batch"}
        self.encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))

    def check_used(self) -> None:
        """See that every knob meant something.

        Raises:
            TargetError: one did not.
        """
        for knob in self.knobs.given:
            if knob not in self.used:
                takes = listed(f"--{name}" for name in sorted(self.used))
                raise TargetError(f"{self.word} takes no --{knob}: its natural input has {takes}")

    def said(self, *names: str, default: Any = None, parts: tuple[str, ...] = ()) -> Any:
        """The first field that the configuration, or one of its parts, has."""
        for config in (self.config, *(getattr(self.config, part, None) for part in parts)):
            for name in names:
                value = config.get(name) if isinstance(config, dict) else getattr(config, name, None)
                if value is not None:
                    return value
        return default

    @property
    def batch(self) -> int:
        return self.knobs.batch or 1

    @property
    def seq(self) -> int:
        self.used.add("seq")
        if self.knobs.seq is not None:
            return self.knobs.seq
        most = self.said("max_position_embeddings", "n_positions", "max_seq_len", parts=("text_config",))
        return min(TOKENS, most) if isinstance(most, int) and most > 0 else TOKENS

    @property
    def resolution(self) -> tuple[int, int]:
        self.used.add("resolution")
        if self.knobs.resolution is not None:
            return self.knobs.resolution
        size = self.said("image_size", "img_size", "input_size", default=IMAGE, parts=SEEING)
        size = (size["height"], size["width"]) if isinstance(size, dict) else size
        size = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        return int(size[0]), int(size[-1])

    @property
    def channels(self) -> int:
        return int(self.said("num_channels", "in_channels", "in_chans", default=3, parts=SEEING))


def _tokens(shape: _Shapes) -> Input:
    return Input((shape.batch, shape.seq), "int64")


def _pixels(shape: _Shapes) -> tuple[int, ...]:
    frames = shape.said("num_frames")
    if frames is not None:
        return (shape.batch, frames, shape.channels, *shape.resolution)
    return (shape.batch, shape.channels, *shape.resolution)


def _video(shape: _Shapes) -> tuple[int, ...]:
    frames = shape.said("num_frames", "frames_per_clip", default=FRAMES, parts=("vision_config",))
    return (shape.batch, frames, shape.channels, *shape.resolution)


def _sound(shape: _Shapes) -> tuple[int, ...]:
    """A wave of one second; or a spectrogram, where the configuration tells how many frames of how many bins."""
    bins, frames = shape.said("num_mel_bins"), shape.said("max_length")
    shape.used.add("seq")
    if bins is not None and isinstance(frames, int) and frames > 100:
        return (shape.batch, shape.knobs.seq or frames, bins)
    wave = (shape.batch, shape.knobs.seq or SAMPLES)
    channels = shape.said("audio_channels")
    return (wave[0], channels, wave[1]) if channels else wave


def _features(shape: _Shapes) -> tuple[int, ...]:
    """A spectrogram: bins by frames, as Whisper takes it, where the configuration tells positions; else transposed."""
    shape.used.add("seq")
    parts = ("encoder_config", "audio_config")
    positions = shape.said("max_source_positions", parts=parts)
    bins = shape.said("num_mel_bins", "feature_projection_input_dim", "input_feat_per_channel", default=80, parts=parts)
    if isinstance(positions, int) and shape.said("input_feat_per_channel") is None:
        return (shape.batch, bins, shape.knobs.seq or 2 * positions)
    return (shape.batch, shape.knobs.seq or STEPS, bins)


def _boxes(shape: _Shapes) -> Input:
    return Input((shape.batch, shape.seq, 4), "int64")


def _series(shape: _Shapes) -> tuple[int, ...]:
    shape.used.add("seq")
    steps = shape.knobs.seq or shape.said("context_length", default=TOKENS)
    channels = shape.said("num_input_channels")
    return (shape.batch, steps, channels) if channels else (shape.batch, steps)


_MAKERS: dict[str, Callable[[_Shapes], Any]] = {
    "input_ids": _tokens,
    "decoder_input_ids": _tokens,
    "qformer_input_ids": _tokens,
    "pixel_values": _pixels,
    "pixel_values_videos": _video,
    "input_values": _sound,
    "input_features": _features,
    "bbox": _boxes,
    "past_values": _series,
}
