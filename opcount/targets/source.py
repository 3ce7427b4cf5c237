"""What a source of models is: how its targets are written, what it is asked and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opcount.errors import MissingExtraError, TargetError
from opcount.parsing import listed

KNOBS = ("batch", "seq", "resolution")
"""What may be asked of a natural input; each is an option of the command."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """What was asked of the natural input; None is what the source takes by itself.

    Attributes:
        batch: samples in a batch.
        seq: tokens, or steps, of a sequence.
        resolution: height and width of an image.

    >>> Knobs(batch=8, resolution=(160, 160)).given
    {'batch': 8, 'resolution': (160, 160)}
    """

    batch: int | None = None
    seq: int | None = None
    resolution: tuple[int, int] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that were asked, by name."""
        values = {name: getattr(self, name) for name in KNOBS}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Request:
    """What a source is asked for.

    Attributes:
        word: the target as it was written.
        name: what stands behind the source's prefix; the whole word for a source known by a suffix.
        arguments: keyword arguments for whatever builds the model.
        knobs: what the natural input is to be like.
        own_input: whether the natural input will be used; False where the user gave another.
        trust: whether the user vouches for a file whose loading may run what is in it.
    """

    word: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    knobs: Knobs = Knobs()
    own_input: bool = True
    trust: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a target names.

    Attributes:
        name: the target as it is to be shown.
        model: the model, or whatever else :func:`opcount.profile` counts; a saved ``Profile`` stands for itself. A
            model that was built here is in evaluation mode, one that existed is as it was.
        inputs: an input known for it, as :func:`opcount.profile` takes it; None where the model has to know.
        built: whether it was built here.
        remarks: what a reader of the figures has to know, for the report's heading.
        real: builds the same model with memory for its weights, where ``model`` has none; for a forward that asks
            for values. None where ``model`` is all there is.
    """

    name: str
    model: Any
    inputs: Any = None
    built: bool = True
    remarks: tuple[str, ...] = ()
    real: Callable[[], Any] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of target, such as ``timm:NAME``.

    Attributes:
        form: how a target of it is written, for help and errors.
        load: from a request to the target; it raises ``TargetError`` with what to do.
        knobs: which of :data:`KNOBS` it understands.
        takes_arguments: whether ``--arg`` means something to it.
        names: the names there are, where they can be listed.

    >>> Source("hub:NAME", lambda request: Target(request.word, None), knobs=frozenset({"batch"})).form
    'hub:NAME'
    """

    form: str
    load: Callable[[Request], Target]
    knobs: frozenset[str] = frozenset()
    takes_arguments: bool = True
    names: Callable[[], Iterable[str]] | None = None

    def check(self, request: Request) -> None:
        """See that it understands all that is asked.

        Raises:
            TargetError: it does not.
        """
        for knob in request.knobs.given:
            if knob not in self.knobs:
                knows = f"; {self.form} takes {listed(f'--{name}' for name in KNOBS if name in self.knobs)}"
                raise TargetError(f"{request.word} takes no --{knob}{knows if self.knobs else ''}")
        if request.arguments and not self.takes_arguments:
            raise TargetError(
                f"{request.word} is a file that is read, so it takes no --arg {next(iter(request.arguments))}=..."
            )


def need(package: str, extra: str, purpose: str) -> Any:
    """A package that an extra of opcount installs.

    Raises:
        MissingExtraError: it is not installed; the message names the extra.
    """
    from importlib import import_module

    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or package).partition(".")[0] != package.partition(".")[0]:
            raise TargetError(f"{package} is installed, but needs {error.name!r}, which is not") from error
        raise MissingExtraError(f"{purpose} needs {package}: pip install 'opcount[{extra}]'") from error
