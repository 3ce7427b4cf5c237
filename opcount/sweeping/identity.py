"""What a model is built from, as a fingerprint: when it changes, what was counted before is counted anew.

The fingerprint covers the code of the builder, the source file it is defined in, what it closes over, and the version
of the package it comes from. What that file imports from other files of the same project is not seen.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from opcount.sweeping.wire import packed


@dataclass(frozen=True)
class Identity:
    """What builds the models: a name that people know it by, and the fingerprint of what it is made of."""

    name: str
    source: str


def identify(build: Callable[..., Any]) -> Identity:
    """The identity of a builder: a function, a class, a partial, a method or an object that can be called.

    >>> identify(functools.partial(int, base=2)).name
    'builtins:int(base=2)'
    """
    digest = hashlib.sha256()
    for part in _parts(build):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return Identity(_name(build), digest.hexdigest()[:32])


def _name(build: Any) -> str:
    if isinstance(build, functools.partial):
        given = [*map(repr, build.args), *(f"{name}={value!r}" for name, value in build.keywords.items())]
        return f"{_name(build.func)}({', '.join(given)})"
    named = build if hasattr(build, "__qualname__") else type(build)
    return f"{named.__module__}:{named.__qualname__}"


def _parts(build: Any) -> Iterator[bytes]:
    yield _name(build).encode("utf-8", "backslashreplace")
    if isinstance(build, functools.partial):
        yield from _parts(build.func)
        yield _pickled((build.args, sorted(build.keywords.items())))
        return
    owner = getattr(build, "__self__", None)
    if owner is not None and not inspect.ismodule(owner):
        yield _pickled(owner)
    if not hasattr(build, "__qualname__"):
        yield _pickled(build)
        build = type(build)
    plain = inspect.unwrap(build) if callable(build) else build
    code = getattr(plain, "__code__", None)
    if code is not None:
        yield from _code(code)
        cells = getattr(plain, "__closure__", None) or ()
        yield _pickled([cell.cell_contents for cell in cells])
        yield _pickled((plain.__defaults__, plain.__kwdefaults__))
    yield source_of(plain)
    yield version_of(plain.__module__).encode()


def _code(code: CodeType) -> Iterator[bytes]:
    """What a function does, whatever it is called: two lambdas of one file differ in this alone."""
    yield code.co_code
    yield repr(code.co_names).encode("utf-8", "backslashreplace")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield repr(constant).encode("utf-8", "backslashreplace")


def _pickled(value: Any) -> bytes:
    try:
        return packed(value)
    except Exception:  # whatever a stranger's object raises: what it prints as tells it from others
        return repr(value).encode("utf-8", "backslashreplace")


def source_of(named: Any) -> bytes:
    """The source file something is defined in; nothing where it has none."""
    try:
        file = inspect.getsourcefile(named)
        return Path(file).read_bytes() if file else b""
    except (TypeError, OSError):
        return b""


@functools.lru_cache(maxsize=64)
def version_of(module: str | None) -> str:
    """The version of the installed package that a module belongs to; nothing if it belongs to none."""
    from importlib import metadata

    try:
        return metadata.version((module or "").partition(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        return ""
