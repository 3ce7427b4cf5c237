"""Which source a target belongs to: ours, and those that installed packages add as entry points.

A source is known by its entry point's name: ``timm`` is the prefix of ``timm:NAME``, ``.onnx`` the suffix of a file. So
nothing is imported for a source until a target of it is named.
"""

from __future__ import annotations

import fnmatch
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean, listed
from opcount.targets.source import Source

GROUP = "opcount.targets"
OWN = {
    "timm": "opcount.targets.from_timm:SOURCE",
    "transformers": "opcount.targets.from_transformers:SOURCE",
    "torchvision": "opcount.targets.from_torchvision:SOURCE",
    ".json": "opcount.targets.from_profile:SOURCE",
    ".py": "opcount.targets.from_file:SOURCE",
    ".pt2": "opcount.targets.from_exported:SOURCE",
    ".onnx": "opcount.targets.from_onnx:SOURCE",
    ".pt": "opcount.targets.from_saved:SOURCE",
    ".pth": "opcount.targets.from_saved:SOURCE",
}
_MODULE = "opcount.targets.from_module:SOURCE"
_DATA = (".bin", ".ckpt", ".safetensors")


def source_of(word: str) -> tuple[Source, str]:
    """The source that a target belongs to, and what the source is to load.

    Raises:
        TargetError: it is a file of weights, or another package's source cannot be had.

    >>> source, name = source_of("lenet.models:Regular")
    >>> source.form, name
    ('package.module:Name', 'lenet.models:Regular')
    """
    keys = known()
    prefix, colon, rest = word.partition(":")
    if colon and prefix in keys:
        return _source(prefix), rest
    path = _path(word)
    suffix = next((key for key in sorted(keys, key=len, reverse=True) if key[:1] == "." and path.endswith(key)), None)
    if suffix is not None:
        return _source(suffix), word
    if path.endswith(_DATA):
        raise TargetError(
            f"{word!r} looks like saved weights, which do not say what is computed with them, and is not unpickled; "
            "name what builds the model, as in package.module:Name, or export the model"
        )
    return _found(_MODULE), word


def _path(word: str) -> str:
    """A target without the name of something in the file, in lower case."""
    before, colon, _ = word.rpartition(":")
    return (before if colon and "." in before else word).lower()


@lru_cache(maxsize=1)
def _others() -> dict[str, EntryPoint]:
    """The sources of other packages. The names of ours stay ours."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in OWN}


def known() -> list[str]:
    """The prefixes and suffixes there are sources for.

    >>> "timm" in known(), ".json" in known()
    (True, True)
    """
    return [*OWN, *_others()]


def _source(key: str) -> Source:
    if key in OWN:
        return _found(OWN[key])
    entry = _others()[key]
    try:
        source = entry.load()
    except Exception as error:  # whatever another package does wrong
        raise TargetError(f"the source {key!r} ({entry.value}) cannot be had: {described(error)}") from error
    if not isinstance(source, Source):
        raise TargetError(f"the source {key!r} ({entry.value}) is no opcount.targets.Source")
    return source


def _found(place: str) -> Source:
    module, _, name = place.partition(":")
    source: Source = getattr(import_module(module), name)
    return source


def listing(pattern: str) -> str:
    """The names that a source has, one a line.

    Args:
        pattern: ``"timm"`` or ``"timm:vit_*"``.

    Raises:
        TargetError: there is no such source, it cannot list its names, or none fits.
    """
    key, _, glob = pattern.partition(":")
    keys = [key for key in known() if key[:1] != "."]
    if key not in keys:
        raise TargetError(
            f"there are no names of {key!r} to list{did_you_mean(key, keys) or f'; there are those of {listed(keys)}'}"
        )
    source = _source(key)
    names = sorted(source.names()) if source.names is not None else []
    fitting = [name for name in names if fnmatch.fnmatch(name.casefold(), (glob or "*").casefold())]
    if not fitting:
        raise TargetError(
            f"no name of {key} fits {glob!r}{did_you_mean(glob, names)}" if names else f"{key} cannot list its names"
        )
    return "\n".join(f"{key}:{name}" for name in fitting)
