"""The points of a sweep: from a grid, from anything that can be iterated, from a sampler. Never all at once."""

from __future__ import annotations

import inspect
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from opcount.errors import InputError
from opcount.parsing import did_you_mean, listed

Point: TypeAlias = "dict[str, Any]"
Space: TypeAlias = "Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]] | Callable[[], Any]"


@dataclass(frozen=True)
class Points:
    """Points to be counted, and how many there are if that is known."""

    each: Iterator[Point]
    total: int | None


def points(space: Space) -> Points:
    """The points of a space, made as they are asked for.

    Args:
        space: a mapping from names to lists of values is a grid, of which every combination is a point, the last name
            fastest; an iterable yields points; a callable is called without arguments for one.

    Raises:
        InputError: it is none of these, or, while iterating, something in it is no point.

    >>> list(points({"width": [1, 2], "kind": ["a", "b"]}).each)[1]
    {'width': 1, 'kind': 'b'}
    >>> points({"width": range(1000), "kind": ["a", "b"]}).total
    2000
    """
    if isinstance(space, Mapping):
        return _grid(space)
    if callable(space):
        space = space()
        if isinstance(space, Mapping):
            raise InputError("a sampler returns points one after another: make it a generator function, with yield")
    if isinstance(space, (str, bytes)) or not isinstance(space, Iterable):
        raise InputError(
            f"a space is a grid such as {{'width': [0.5, 1.0]}}, an iterable of points or "
            f"what returns one, not {space!r}"
        )
    hint = operator.length_hint(space, -1)  # of what knows it
    return Points(map(_point, space), hint if hint >= 0 else None)


def _grid(space: Mapping[str, Iterable[Any]]) -> Points:
    axes: dict[str, list[Any]] = {}
    for name, values in space.items():
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise InputError(f"in a grid each name has a list of values: write {name!r}: [{values!r}]")
        axes[name] = list(values)
        if not axes[name]:
            raise InputError(f"the grid has no values for {name!r}, so it has no points")
    _point(dict.fromkeys(axes))
    combinations = itertools.product(*axes.values())
    return Points((dict(zip(axes, each)) for each in combinations), math.prod(map(len, axes.values())))


def _point(given: Any) -> Point:
    if not isinstance(given, Mapping):
        raise InputError(f"a point is a mapping from names to values, as in {{'width': 0.5}}, not {given!r}")
    wrong = next((name for name in given if not isinstance(name, str) or not name.isidentifier()), None)
    if wrong is not None:
        raise InputError(f"the names of a point are those of arguments, which {wrong!r} cannot be")
    return dict(given)


def check_arguments(build: Callable[..., Any], point: Point) -> None:
    """See that a builder can be called with a point, so that a slip is not ten thousand errors.

    Raises:
        InputError: it takes no such argument, or needs one more.
    """
    try:
        signature = inspect.signature(build)
        signature.bind(**point)
    except TypeError as error:
        takes = [name for name, each in signature.parameters.items() if each.kind is not each.VAR_KEYWORD]
        unknown = next((name for name in point if name not in takes), None)
        meant = did_you_mean(unknown, takes) if unknown else ""
        takes_text = f"; it takes {listed(takes)}" if takes else "; it takes none"
        raise InputError(f"build cannot be called with the point {point!r}: {error}{meant or takes_text}") from None
    except ValueError:  # written in C: the call itself will tell
        return
