"""From what a user writes to a model and, where one is known, an input for it. A file for each source.

A package adds a source with an entry point in the group ``opcount.targets``: its name is the prefix (``hub`` for
``hub:NAME``) or the suffix (``.abc``), what it leads to is a :class:`Source`.
"""

from opcount.targets.building import build
from opcount.targets.loading import counted, known_input, load
from opcount.targets.registry import listing
from opcount.targets.source import Knobs, Request, Source, Target, need

__all__ = [
    "Knobs",
    "Request",
    "Source",
    "Target",
    "build",
    "counted",
    "known_input",
    "listing",
    "load",
    "need",
]
