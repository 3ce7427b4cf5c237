"""``timm:NAME``: a model of timm, built without weights, with the input that its weights were made for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean
from opcount.targets.building import build_weightless
from opcount.targets.source import Request, Source, Target, need


def load(request: Request) -> Target:
    """The model of that name in evaluation mode; nothing is downloaded.

    A model made for one size of image is built for the resolution asked for.

    Raises:
        TargetError: there is none, or it cannot be built so.
        MissingExtraError: timm is not installed.
    """
    timm = need("timm", "timm", request.word)
    name = request.name.removeprefix("hf-hub:").removeprefix("timm/")
    if not timm.is_model(name.partition(".")[0]):
        meant = did_you_mean(name, timm.list_models())
        raise TargetError(f"timm has no model {name!r}{meant}; opcount --list timm shows all")
    given = dict(request.arguments)
    if given.get("pretrained"):
        raise TargetError(f"{request.word} is counted without weights, which are not downloaded: leave pretrained out")
    make = _Builder(timm, request, name, given).checked
    model = build_weightless(make)
    return Target(request.word, model, _input(model, request), real=make)


class _Builder:
    """Builds the model, for the resolution asked for if it is made for one."""

    def __init__(self, timm: Any, request: Request, name: str, given: dict[str, Any]) -> None:
        self.timm, self.request, self.name, self.given = timm, request, name, given

    def __call__(self) -> Any:
        size = self.request.knobs.resolution
        if size is not None and "img_size" not in self.given:
            try:
                return self.make(img_size=size)
            except TypeError:  # made for any size
                pass
        return self.make()

    def make(self, **more: Any) -> Any:
        return self.timm.create_model(self.name, pretrained=False, **self.given, **more).eval()

    def checked(self) -> Any:
        """The model, or what is wrong with it."""
        try:
            return self()
        except (Exception, SystemExit) as error:  # whatever the model's own code raises is about the target
            raise TargetError(f"building {self.request.word} failed: {described(error)}") from error


def _input(model: Any, request: Request) -> tuple[tuple[int, ...], ...]:
    """One batch of images as the model's own description has it."""
    said = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    channels, height, width = said.get("input_size") or (3, 224, 224)
    channels = request.arguments.get("in_chans", channels)
    return ((request.knobs.batch or 1, channels, *(request.knobs.resolution or (height, width))),)


def names() -> Iterable[str]:
    """The names there are."""
    found: list[str] = need("timm", "timm", "listing timm").list_models()
    return found


SOURCE = Source("timm:NAME", load, knobs=frozenset({"batch", "resolution"}), names=names)
