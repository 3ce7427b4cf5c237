"""Profiles at a few sizes, as rows of numbers that can be matched from one size to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from opcount.errors import OpCountError
from opcount.formulas import evaluate
from opcount.ops import FIGURES, Convention, Number, Term
from opcount.profiler import profile
from opcount.result import Entry, Profile


class Varied(Protocol):
    """A model's inputs, of which some sizes vary."""

    @property
    def axes(self) -> Mapping[str, Any]:
        """By name what has each size."""

    def at(self, sizes: Mapping[str, int]) -> tuple[Any, dict[str, Any]]:
        """Positional and keyword arguments for :func:`opcount.profile`, at these sizes."""


Place = tuple[int, int]
"""A term: the number of its record, and its number in that."""


@dataclass(frozen=True)
class Reading:
    """A profile as its structure, which stays, and the whole numbers in it, which vary.

    Attributes:
        structure: where each number belongs: terms are matched by path, order of appearance, formula, role and type.
        numbers: how often each term came, and the numbers of its formula; or its figures.
    """

    structure: tuple[Any, ...]
    numbers: tuple[int, ...]


class Sampler:
    """Profiles of one model at any sizes, each made once.

    Args:
        execution, step: as for :func:`opcount.profile`; ``step`` is what it is told of a training step.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Varied,
        convention: Convention,
        execution: str = "auto",
        step: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.inputs, self.convention = model, inputs, convention
        self.execution, self.step = execution, dict(step or {})
        self.profiles: dict[tuple[int, ...], Profile] = {}
        self.failures: dict[tuple[int, ...], OpCountError] = {}

    def profile(self, sizes: Mapping[str, int]) -> Profile:
        """The profile at these sizes.

        Raises:
            OpCountError: the model does not take them.
        """
        key = tuple(sizes[name] for name in self.inputs.axes)
        if key in self.failures:
            raise self.failures[key]
        if key not in self.profiles:
            args, kwargs = self.inputs.at(sizes)
            try:
                found = profile(
                    self.model,
                    args,
                    kwargs=kwargs or None,
                    convention=self.convention,
                    execution=self.execution,
                    **self.step,
                )
            except OpCountError as error:
                self.failures[key] = type(error)(str(error))  # without the frames, which hold a copy of the model
                raise
            self.execution = found.execution  # what shapes alone could not do once they need not try again
            self.profiles[key] = found
        return self.profiles[key]

    def read(self, sizes: Mapping[str, int], direct: frozenset[Place] | None) -> Reading | None:
        """The reading at these sizes; None if the model does not take them.

        Args:
            direct: the terms that are read as their figures; None reads whole records so.
        """
        try:
            found = self.profile(sizes)
        except OpCountError:
            return None
        return _records(found) if direct is None else _terms(found, direct, self.convention)


def _records(found: Profile) -> Reading:
    numbers = tuple(getattr(record.ops, figure) for record in found.layers for figure in FIGURES)
    return Reading(tuple(record.path for record in found.layers), numbers)


def _terms(found: Profile, direct: frozenset[Place], convention: Convention) -> Reading:
    structure: list[Any] = []
    numbers: list[int] = []
    for row, record in enumerate(found.layers):
        for place, entry in enumerate(record.entries):
            structure.append((row, entry.source, entry.name, _shape_of(entry)))
            numbers.append(entry.times)
            if (row, place) in direct:
                cost = evaluate(entry.term, convention)
                numbers.extend(getattr(cost, figure) for figure in FIGURES)
            else:
                numbers.extend(counts(entry.term))
    return Reading((tuple(record.path for record in found.layers), *structure), tuple(numbers))


def _shape_of(entry: Entry) -> tuple[Any, ...]:
    """What of a term does not vary: formula, role, type, which numbers it has, and those that are no counts."""
    term = entry.term
    items = tuple((name, _kind(number)) for name, number in term.items)
    return (term.formula, term.role, term.dtype, term.phase, items)


def _kind(number: Number) -> Any:
    if isinstance(number, tuple):
        return tuple(map(_kind, number))
    return "count" if _counts(number) else number


def counts(term: Term) -> Iterator[int]:
    """The whole numbers of a term in order, those of each axis one by one."""
    for _, number in term.items:
        for each in number if isinstance(number, tuple) else (number,):
            if _counts(each):
                yield each


def with_counts(term: Term, numbers: Iterator[Number]) -> Term:
    """The term with other numbers, expressions perhaps, in the place of its whole ones."""

    def put(number: Number) -> Number:
        if isinstance(number, tuple):
            return tuple(map(put, number))
        return next(numbers) if _counts(number) else number

    items = {name: put(number) for name, number in term.items}
    return Term(term.formula, role=term.role, dtype=term.dtype, phase=term.phase, **items)


def _counts(number: Number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
