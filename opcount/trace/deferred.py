"""A module's table of which each value is made when it is first asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any


class Deferred(dict[str, Any]):
    """Makes a value of an original when it is first asked for.

    Most are never asked for: a layer that answers by its shape needs no tensors. Behind the back of this class (in
    ``dict.items(...)`` of it) the values that were not made look like None, never like the model's own.
    """

    __slots__ = ("_originals",)

    def __init__(self, originals: Mapping[str, Any]) -> None:
        super().__init__(dict.fromkeys(originals))
        self._originals = dict(originals)

    def made(self, name: str, original: Any) -> Any:
        """The value that is made of an original."""
        raise NotImplementedError

    def changed(self) -> None:
        """Something else is put in the place of a value, or a value taken away."""

    def peek(self, name: str) -> Any:
        """What is held under a name, to be looked at only: the original, unless another was put there."""
        original = self._originals.get(name)
        return super().get(name) if original is None else original

    def __getitem__(self, name: str) -> Any:
        found = dict.__getitem__(self, name)
        if found is None and self._originals.get(name) is not None:
            found = self.made(name, self._originals[name])
            dict.__setitem__(self, name, found)
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        self.changed()
        self._originals.pop(name, None)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self.changed()
        self._originals.pop(name, None)
        super().__delitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def pop(self, name: str, *default: Any) -> Any:
        found = self.get(name)
        self.changed()
        self._originals.pop(name, None)
        popped = super().pop(name, *default)
        return popped if found is None else found

    def values(self) -> Any:
        return self._complete().values()

    def items(self) -> Any:
        return self._complete().items()

    def __iter__(self) -> Iterator[str]:
        """The names. Were this left to ``dict``, a plain ``dict(...)`` would take the values past what is above."""
        return super().__iter__()

    def copy(self) -> dict[str, Any]:
        return self._complete()

    __copy__ = copy

    def __or__(self, other: Any) -> Any:
        return self._complete() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._complete()

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    update = MutableMapping.update  # by way of what is above
    setdefault = MutableMapping.setdefault
    popitem = MutableMapping.popitem
    clear = MutableMapping.clear

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        """A table of copies of all: what makes them, and all that this knows, is not to be copied with a layer."""
        return copy.deepcopy(self._complete(), memo)

    def _complete(self) -> dict[str, Any]:
        return {name: self[name] for name in self}
