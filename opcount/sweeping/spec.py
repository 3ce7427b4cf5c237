"""A sweep as a file: what builds, the space, the inputs, the limits and the store, in TOML."""

from __future__ import annotations

import itertools
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from opcount.errors import InputError
from opcount.ops import Convention
from opcount.parsing import did_you_mean, listed, parse_size, parse_toml
from opcount.sweeping.named import Named, expand, is_pattern
from opcount.sweeping.space import Points, points

_TABLES = {
    "": (
        *("build", "inputs", "store", "peak", "sampler", "grid", "points", "arguments"),
        *("convention", "limits", "executor"),
    ),
    "convention": ("bias", "zero_padding"),
    "limits": ("time", "memory"),
    "executor": ("workers", "dask"),
}
_BYTES = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*([KMGT]?)(i?)B?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Spec:
    """A sweep to be made: what :func:`opcount.sweep` takes."""

    build: Named
    space: Callable[[], Iterable[Mapping[str, Any]]]
    total: int | None
    inputs: Any = None
    store: str = "sweep.parquet"
    convention: Convention = field(default=Convention())
    time_limit: float | None = None
    memory_limit: int | None = None
    workers: int | None = None
    dask: str | None = None
    peak: bool = True


def of_targets(words: Iterable[str], arguments: Mapping[str, Any], inputs: tuple[str, ...] = ()) -> Spec:
    """The sweep over targets and patterns, each built with the same arguments.

    Raises:
        OpCountError: nothing fits one, or a size cannot be read.
    """
    each = [{**point, **arguments} for point in expand(words)]
    return Spec(Named(own_input=not inputs), lambda: each, len(each), sized(inputs) if inputs else None)


def load(path: str) -> Spec:
    """The sweep that a file describes.

    Raises:
        InputError: it cannot be read, or says something that is not understood.
        TargetError: it names what is not there.
    """
    try:
        data = parse_toml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is no text" if isinstance(error, ValueError) else error.strerror or str(error)
        raise InputError(f"cannot read {path!r}: {reason}") from error
    except ValueError as error:  # what a TOML reader raises is one
        raise InputError(f"{path!r} is no TOML: {error}") from error
    try:
        return read(data, default_store=f"{Path(path).stem}.parquet")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read(data: Mapping[str, Any], *, default_store: str = "sweep.parquet") -> Spec:
    """The sweep that such a file's tables describe.

    Raises:
        InputError: something in them is not understood.

    >>> spec = read({"build": "torch.nn:Linear", "inputs": "1,{in_features}",
    ...              "grid": {"in_features": [2, 4], "out_features": [8]}})
    >>> [dict(point) for point in spec.space()], spec.inputs(in_features=4, out_features=8)
    ([{'in_features': 2, 'out_features': 8}, {'in_features': 4, 'out_features': 8}], ((1, 4),))
    """
    _check_names(data)
    words = _words(data, "build")
    if not words:
        raise InputError('it has no build: name what builds a model, as in build = "lenet.models:Regular"')
    texts = tuple(_words(data, "inputs"))
    space, total = _space(data, words)
    limits, executor = data.get("limits", {}), data.get("executor", {})
    several = len(words) > 1 or is_pattern(words[0])
    return Spec(
        build=Named("" if several else words[0], own_input=not texts),
        space=space,
        total=total,
        inputs=sized(texts) if texts else None,
        store=_of(data, "store", str, default_store),
        convention=Convention(
            **{name: _of(data["convention"], name, bool, True) for name in data.get("convention", {})}
        ),
        time_limit=_of(limits, "time", (int, float), None),
        memory_limit=parse_bytes(limits["memory"]) if "memory" in limits else None,
        workers=_of(executor, "workers", int, None),
        dask=_of(executor, "dask", str, None),
        peak=_of(data, "peak", bool, True),
    )


def parse_bytes(text: Any) -> int:
    """An amount of memory: a number of bytes, or one with a unit.

    Raises:
        InputError: it is none.

    >>> parse_bytes("2 GiB"), parse_bytes("500MB"), parse_bytes(1024)
    (2147483648, 500000000, 1024)
    """
    if type(text) is int and text > 0:
        return text
    found = _BYTES.fullmatch(str(text).strip()) if isinstance(text, (str, float)) else None
    amount = Fraction(found[1]) if found is not None else 0
    if found is None or amount == 0:
        shown = reprlib.repr(text) if isinstance(text, (str, float)) else f"of type {type(text).__name__}"
        raise InputError(f"cannot read the amount of memory {shown}: write it as in 2 GiB")
    power = " KMGT".index(found[2].upper() or " ")
    return int(amount * (1024 if found[3] else 1000) ** power)


def sized(texts: tuple[str, ...]) -> Any:
    """Inputs from sizes such as ``1,3,224,224``; with names in braces, a function of the point.

    Raises:
        InputError: a size cannot be read.
    """
    from opcount.inputs import Input

    if any("{" in text for text in texts):
        return partial(_filled, texts)
    parsed = [parse_size(text) for text in texts]
    return tuple(size if dtype is None else Input(size, dtype) for size, dtype in parsed)


def _filled(texts: tuple[str, ...], /, **point: Any) -> Any:
    filled = []
    for text in texts:
        names = re.findall(r"\{(\w*)\}", text)
        missing = next((name for name in names if name not in point), None)
        if missing is not None:
            raise InputError(f"the inputs {text!r} name {missing!r}, which the point has not; it has {listed(point)}")
        filled.append(re.sub(r"\{(\w+)\}", lambda match: str(point[match[1]]), text))
    return sized(tuple(text.replace("{", "[") for text in filled))


def _space(data: Mapping[str, Any], words: list[str]) -> tuple[Callable[[], Iterable[Mapping[str, Any]]], int | None]:
    """The points: those of a grid, those that are listed, or those of a sampler, each with the fixed arguments."""
    fixed = _of(data, "arguments", Mapping, {})
    ways = [name for name in ("grid", "points", "sampler") if name in data]
    if len(ways) > 1:
        raise InputError(f"it has both {ways[0]} and {ways[1]}: give the points one way")
    several = len(words) > 1 or is_pattern(words[0])
    targets: list[dict[str, Any]] = expand(words) if several else [{}]
    if not ways:
        each = [{**target, **fixed} for target in targets]
        return (lambda: each), len(each)
    if ways == ["sampler"]:
        from opcount.targets.from_module import named

        sampler = named(_of(data, "sampler", str, ""))
        if not callable(sampler):
            raise InputError(f"the sampler {data['sampler']!r} is no function that yields points")
    space = sampler if ways == ["sampler"] else _of(data, ways[0], (Mapping, list), {})
    total = points(space).total if ways != ["sampler"] else None

    def combined() -> Iterable[Mapping[str, Any]]:
        found: Points = points(space)
        return ({**target, **fixed, **point} for point, target in itertools.product(found.each, targets)) \
            if len(targets) > 1 else ({**targets[0], **fixed, **point} for point in found.each)  # fmt: skip

    return combined, None if total is None else total * len(targets)


def _check_names(data: Mapping[str, Any]) -> None:
    for table, names in _TABLES.items():
        found = data if not table else data.get(table, {})
        if not isinstance(found, Mapping):
            raise InputError(f"{table} is a table: write [{table}] above its lines")
        wrong = next((name for name in found if name not in names), None)
        if wrong is not None:
            where = f"[{table}]" if table else "it"
            raise InputError(f"{where} has a name {wrong!r}{did_you_mean(wrong, names)} (names: {', '.join(names)})")


def _words(data: Mapping[str, Any], name: str) -> list[str]:
    found = data.get(name, [])
    words = [found] if isinstance(found, str) else found
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{name} is a text or a list of texts, not {found!r}")
    return words


def _of(table: Mapping[str, Any], name: str, kind: Any, default: Any) -> Any:
    value = table.get(name, default)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if name in table and (not isinstance(value, kind) or (isinstance(value, bool) and bool not in kinds)):
        expected = {str: "a text", int: "a whole number", bool: "true or false"}.get(kinds[0], "a table or list")
        raise InputError(f"{name} is {'a number' if float in kinds else expected}, not {value!r}")
    return value
