"""From readings at a few sizes to laws: the numbers inside each term are interpolated, the formulas do the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from opcount.algebra.library import sympy
from opcount.formulas import evaluate
from opcount.ops import FIGURES, Term
from opcount.result import Profile
from opcount.scaling_laws.interpolation import Point, degree, through
from opcount.scaling_laws.polynomial import Law, law_of, total
from opcount.scaling_laws.sampling import Place, Reading, Sampler, counts, with_counts

_HIGHEST = 2, 4  # degrees of a number inside a term, and of a figure
_TRIES = 6  # sizes along an axis at which two terms may happen to be equal
_REFUSED = 2  # sizes along an axis that the model may refuse


class NoLaw(Exception):
    """The readings do not follow polynomials in these steps."""


@dataclass(frozen=True)
class Step:
    """Sizes of one residue class: ``modulus * k + remainder``, for whole k."""

    modulus: int
    remainder: int

    def index(self, size: int) -> int:
        """The k of a size."""
        return (size - self.remainder) // self.modulus

    def __contains__(self, size: int) -> bool:
        return size % self.modulus == self.remainder % self.modulus


@dataclass
class Fit:
    """Laws for every record of a model.

    Attributes:
        steps: for each name the residue class of its sizes.
        variables: the symbols of the laws, each the k of its class.
        anchor: the first of the sizes that were used, for each name.
        used: the sizes along each axis that laws were made from.
        rows: for each record its own six figures; for each term of it as well, where terms could be matched.
        sample: a profile with the structure of the laws.
    """

    steps: dict[str, Step]
    variables: list[Any]
    sample: Profile
    anchor: dict[str, int]
    used: dict[str, list[int]]
    rows: list[dict[str, Law]] = field(default_factory=list)
    terms: dict[Place, dict[str, Law]] = field(default_factory=dict)

    def misses(self, found: Profile, sizes: Mapping[str, int]) -> bool:
        """Whether a record of a profile has other figures than its law says."""
        value = self.evaluator(sizes)
        if [record.path for record in found.layers] != [record.path for record in self.sample.layers]:
            return True
        return any(
            value(law) != getattr(record.ops, figure)
            for record, row in zip(found.layers, self.rows)
            for figure, law in row.items()
        )

    def evaluator(self, sizes: Mapping[str, int]) -> Callable[[Law], Fraction]:
        """What laws are at these sizes; the same law, which many layers share, is worked out once."""
        at = [step.index(sizes[name]) for name, step in self.steps.items()]
        known: dict[int, Fraction] = {}

        def value(law: Law) -> Fraction:
            if id(law) not in known:
                known[id(law)] = law.value(at, self.variables)
            return known[id(law)]

        return value


class Fitter:
    """Finds laws in given names, the others held at an anchor."""

    def __init__(self, sampler: Sampler, anchor: dict[str, int], steps: dict[str, Step]) -> None:
        self.sampler, self.anchor, self.steps = sampler, dict(anchor), steps
        self.names = list(steps)
        package = sympy()
        self.variables = [package.Symbol(f"k_{name}", integer=True, positive=True) for name in self.names]
        self.direct: frozenset[Place] | None = frozenset()
        self._cache: dict[Any, dict[str, Law]] = {}

    def fit(self) -> Fit:
        """Laws by terms; where a formula does not take symbols, by that term's figures; else by those of each record.

        Raises:
            NoLaw: nothing of this holds.
        """
        try:
            return self._fit_terms()
        except NoLaw:
            self.direct = None
            return self._fit_once()

    def _fit_terms(self) -> Fit:
        found = self._fit_once()
        wrong = self._wrong_terms(found)
        if wrong:
            self.direct = frozenset(wrong)
            found = self._fit_once()
        return found

    def _fit_once(self) -> Fit:
        lines = {name: self._line(name) for name in self.names}
        self.anchor |= {name: sizes[0] for name, (sizes, _) in lines.items()}
        degrees = [self._degree(sizes, readings) for sizes, readings in lines.values()]
        grid = [sizes[: most + 1] for (sizes, _), most in zip(lines.values(), degrees)]
        readings = {point: self._read(dict(zip(self.names, point))) for point in itertools.product(*grid)}
        structures = {reading.structure if reading else None for reading in readings.values()}
        if len(structures) != 1 or None in structures:
            raise NoLaw("the model does not do the same at all sizes")
        sample = self.sampler.profile(self._sizes(dict(zip(self.names, next(iter(readings))))))
        fit = Fit(
            self.steps, self.variables, sample, dict(self.anchor), {name: sizes for name, (sizes, _) in lines.items()}
        )
        self._laws(fit, grid, {point: reading for point, reading in readings.items() if reading})
        return fit

    def _sizes(self, sizes: Mapping[str, int]) -> dict[str, int]:
        return {**self.anchor, **sizes}

    def _read(self, sizes: Mapping[str, int]) -> Reading | None:
        return self.sampler.read(self._sizes(sizes), self.direct)

    def _line(self, name: str) -> tuple[list[int], list[Reading]]:
        """Sizes along one axis that are read alike, as many as the degree needs, and one more."""
        groups: dict[Any, list[tuple[int, Reading]]] = {}
        refused, needed = 0, 3
        most = _HIGHEST[1] if self.direct != frozenset() else _HIGHEST[0]
        for size in candidates(self.anchor[name], self.steps[name]):
            reading = self._read({name: size})
            if reading is None:
                refused += 1
            else:
                group = groups.setdefault(reading.structure, [])
                group.append((size, reading))
                if len(group) >= needed:
                    sizes, readings = [each for each, _ in group], [each for _, each in group]
                    if _degree_of(sizes, readings, most) is not None:
                        return sizes, readings
                    needed = len(group) + 1
                    if needed > most + 2:
                        raise NoLaw(f"no polynomial in {name}")
            grouped = [len(group) for group in groups.values()]
            if refused > _REFUSED or sum(grouped) - max(grouped, default=0) > _TRIES:
                break
        raise NoLaw(f"too few sizes {name} at which the model does the same")

    def _degree(self, sizes: list[int], readings: list[Reading]) -> int:
        found = _degree_of(sizes, readings, max(_HIGHEST))
        if found is None:
            raise NoLaw("no polynomial")
        return found

    def _laws(self, fit: Fit, grid: list[list[int]], readings: Mapping[Point, Reading]) -> None:
        """Interpolate every number, and let each term's formula make its law of them."""
        axes = [tuple(step.index(size) for size in sizes) for step, sizes in zip(self.steps.values(), grid)]
        points = list(itertools.product(*axes))
        columns = zip(*(reading.numbers for reading in readings.values()))
        known: dict[tuple[int, ...], Law] = {}

        def laws() -> Iterator[Law]:
            for column in columns:
                if column not in known:
                    known[column] = Law(through(axes, dict(zip(points, column))))
                yield known[column]

        numbers = laws()
        for row, record in enumerate(fit.sample.layers):
            if self.direct is None:
                fit.rows.append({figure: next(numbers) for figure in FIGURES})
                continue
            for place, entry in enumerate(record.entries):
                times = next(numbers)
                if (row, place) in self.direct:
                    cost = {figure: next(numbers) for figure in FIGURES}
                else:
                    cost = self._term_law(entry.term, [next(numbers) for _ in counts(entry.term)])
                fit.terms[row, place] = _often(cost, times)
            fit.rows.append(
                {
                    figure: total([fit.terms[row, place][figure] for place in range(len(record.entries))])
                    for figure in FIGURES
                }
            )

    def _term_law(self, term: Term, numbers: list[Law]) -> dict[str, Law]:
        """The six figures of one call of a term; empty where the formula does not take symbols."""
        expressions = [law.expression(self.variables) for law in numbers]
        whole = [int(each) if each.is_Integer else each for each in expressions]
        varied = with_counts(term, iter(whole))
        key = (varied, tuple(map(type, whole)))  # 1 and sympy's 1 are equal, and taken differently
        if key not in self._cache:
            try:
                cost = evaluate(varied, self.sampler.convention)
                found = {figure: law_of(getattr(cost, figure), self.variables) for figure in FIGURES}
            except Exception:  # a formula that compares or indexes with its numbers fails on symbols in ways of its own
                found = {figure: Law() for figure in FIGURES}
            self._cache[key] = found
        return self._cache[key]

    def _wrong_terms(self, fit: Fit) -> set[Place]:
        """Terms whose law is not what was counted somewhere: their formula branches on what varies."""
        wrong: set[Place] = set()
        for key, found in self.sampler.profiles.items():
            sizes = dict(zip(self.sampler.inputs.axes, key))
            if any(sizes[name] != self.anchor[name] for name in self.anchor if name not in self.steps):
                continue
            if any(sizes[name] not in step for name, step in self.steps.items()):
                continue
            if self.sampler.read(sizes, frozenset()) is None or not _alike(found, fit.sample):
                continue
            value = fit.evaluator(sizes)
            for row, record in enumerate(found.layers):
                for place, entry in enumerate(record.entries):
                    laws = fit.terms[row, place]
                    if any(value(law) != getattr(entry.ops, figure) for figure, law in laws.items()):
                        wrong.add((row, place))
        return wrong


def _often(cost: dict[str, Law], times: Law) -> dict[str, Law]:
    try:
        return {figure: law.times(times) for figure, law in cost.items()}
    except ValueError as error:
        raise NoLaw(str(error)) from None


def candidates(anchor: int, step: Step) -> Iterator[int]:
    """Sizes of a class, near the anchor: down from it where there is room, else up."""
    low = max(2, step.modulus)
    down = range(anchor, low - 1, -step.modulus)
    if len(down) >= 4:
        yield from itertools.islice(down, 4 + _TRIES)
        yield from range(anchor + step.modulus, anchor + 8 * step.modulus, step.modulus)
    else:
        start = anchor if anchor >= 2 else anchor + step.modulus
        yield from range(start, start + (6 + _TRIES) * step.modulus, step.modulus)


def _degree_of(sizes: list[int], readings: list[Reading], most: int) -> int | None:
    """The highest degree of any number along an axis; None if one follows no polynomial."""
    highest = 0
    for column in set(zip(*(reading.numbers for reading in readings))):
        found = degree(sizes, column, most)
        if found is None:
            return None
        highest = max(highest, found)
    return highest


def _alike(found: Profile, sample: Profile) -> bool:
    return len(found.layers) == len(sample.layers) and all(
        [entry.term.formula for entry in one.entries] == [entry.term.formula for entry in other.entries]
        for one, other in zip(found.layers, sample.layers)
    )
