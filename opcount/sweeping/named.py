"""Builders by name: the models of a target, of a source's pattern such as ``timm:efficientnet*``, or of a module's."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opcount.errors import TargetError
from opcount.parsing import did_you_mean, listed
from opcount.sweeping.identity import Identity, identify, version_of

TARGET = "target"
"""The name under which a point of a pattern has its target."""


@dataclass(frozen=True)
class Named:
    """Builds what a target names, with the point as its arguments.

    Attributes:
        word: the target; where it is empty, each point has its own, under the name ``target``.
        own_input: whether the model's natural input will be used.
    """

    word: str = ""
    own_input: bool = True

    def __call__(self, **point: Any) -> Any:
        from opcount.targets import load

        word = self.word or str(point.pop(TARGET))
        return load(word, point, own_input=self.own_input)

    def identity_of(self, point: dict[str, Any]) -> Identity:
        """The identity of what builds this point."""
        return _identity(self.word or str(point[TARGET]))

    def check(self, point: dict[str, Any]) -> None:
        """See that a class or function of a module takes a point.

        Raises:
            TargetError: it does not, or there is no such thing.
        """
        from opcount.targets.building import check_arguments

        found = _builder(self.word) if self.word else None
        if callable(found):
            check_arguments(self.word, found, point)


@lru_cache(maxsize=4096)
def _identity(word: str) -> Identity:
    found = _builder(word)
    return Identity(word, identify(found).source if callable(found) else version_of(word.partition(":")[0]))


@lru_cache(maxsize=4096)
def _builder(word: str) -> Any:
    """What a name in a module stands for; None for a target of another source."""
    from opcount.targets.from_module import SOURCE, named
    from opcount.targets.registry import source_of

    return named(word) if source_of(word)[0] is SOURCE else None


def is_pattern(word: str) -> bool:
    """Whether a word stands for several targets.

    >>> is_pattern("timm:efficientnet*"), is_pattern("lenet.models:Regular")
    (True, False)
    """
    return ":" in word and any(sign in word.partition(":")[2] for sign in "*?[")


def expand(words: Iterable[str]) -> list[dict[str, Any]]:
    """The points of targets and patterns, each target once.

    Raises:
        TargetError: nothing fits a pattern, or there is no such module or name.

    >>> expand(["lenet.models:Depthwise", "lenet.models:Re*"])
    [{'target': 'lenet.models:Depthwise'}, {'target': 'lenet.models:Regular'}]
    """
    found: dict[str, None] = {}
    for word in words:
        if not is_pattern(word):
            _builder(word)  # which sees that there is such a thing
        found.update(dict.fromkeys(_fitting(word) if is_pattern(word) else [word]))
    return [{TARGET: word} for word in found]


def _fitting(pattern: str) -> list[str]:
    from opcount.targets import listing
    from opcount.targets.from_module import models_in, module_named
    from opcount.targets.registry import known

    prefix, _, glob = pattern.partition(":")
    if prefix in known():
        return listing(pattern).splitlines()
    names = sorted(models_in(module_named(prefix)))
    fitting = [f"{prefix}:{name}" for name in names if fnmatch.fnmatchcase(name, glob)]
    if not fitting:
        there = f"; the models in it are {listed(names)}" if names else ", which has no models"
        raise TargetError(f"no model of {prefix} fits {glob!r}{did_you_mean(glob, names) or there}")
    return fitting
