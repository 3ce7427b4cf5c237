"""What is known of how a model scales: exact expressions, the sizes they hold for, and what follows from them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opcount.algebra.library import sympy
from opcount.algebra.writing import write
from opcount.errors import MissingExtraError, ScalingError, UnknownLayerError
from opcount.ops import FIGURES, Convention, OpCount
from opcount.parsing import did_you_mean, listed
from opcount.result import LayerRecord
from opcount.scaling_laws.fitting import Fit, Step
from opcount.scaling_laws.polynomial import Law, total


@dataclass(frozen=True)
class Domain:
    """For which sizes laws are stated, and at which they were verified.

    Attributes:
        classes: for each name the residue class of its sizes: all of them where the modulus is 1.
        verified: for each name the smallest and the largest size at which profiles agreed with the laws.
        points: how many profiles that were.
        exceptions: sizes of these classes at which the model does something else.
    """

    classes: Mapping[str, Step]
    verified: Mapping[str, tuple[int, int]]
    points: int
    exceptions: tuple[Mapping[str, int], ...] = ()

    def __str__(self) -> str:
        """The domain in words.

        >>> print(Domain({"H": Step(32, 0)}, {"H": (64, 224)}, 7))
        for H = 32·h; verified at 7 points, H from 64 to 224
        """
        classes = [_class(name, step) for name, step in self.classes.items() if step.modulus > 1]
        ranges = [f"{name} from {low:,} to {high:,}" for name, (low, high) in self.verified.items()]
        parts = [f"for {', '.join(classes)}"] if classes else [f"for every {', '.join(self.classes)}"]
        parts.append(f"verified at {self.points} points, {', '.join(ranges)}")
        if self.exceptions:
            told = listed((", ".join(f"{n} = {size:,}" for n, size in each.items()) for each in self.exceptions), 3)
            parts.append(f"not at {told}, where the model does something else")
        return "; ".join(parts)


def _class(name: str, step: Step) -> str:
    rest = f" + {step.remainder}" if step.remainder else ""
    return f"{name} = {step.modulus}·{name.lower() if name.lower() != name else name + '′'}{rest}"


@dataclass(frozen=True)
class Scaling:
    """Exact laws of a model's figures in sizes of its inputs.

    The six figures and ``total`` can be read off as sympy expressions; :meth:`law` gives those of a part of the model.

    Attributes:
        model: its name.
        fit: the laws of each of its modules.
        domain: for which sizes they hold, and how far that was verified.
        sizes: what each name is a size of, in words.
        convention: what is counted.

    >>> from torch import nn
    >>> from opcount import scaling
    >>> net = nn.Sequential(nn.Linear(8, 8), nn.Softmax(dim=0))
    >>> law = scaling(net, (4, 8), vary={"S": 0})
    >>> law.macs, law.additions, law.order("transcendentals")
    (64*S, 80*S - 8, S)
    >>> law.law("0")["macs"], law.at(S=10**6).macs
    (64*S, 64000000)
    """

    model: str
    fit: Fit
    domain: Domain
    sizes: Mapping[str, str]
    convention: Convention = Convention()

    @cached_property
    def symbols(self) -> dict[str, Any]:
        """The symbols of the expressions by name."""
        return {name: sympy().Symbol(name, integer=True, positive=True) for name in self.fit.steps}

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the modules that cost something."""
        return tuple(record.path for record, row in self._rows() if any(map(_is_something, row.values())))

    @property
    def multiplications(self) -> Any:
        """Scalar products."""
        return self.law()["multiplications"]

    @property
    def additions(self) -> Any:
        """Scalar sums and differences."""
        return self.law()["additions"]

    @property
    def divisions(self) -> Any:
        """Scalar quotients."""
        return self.law()["divisions"]

    @property
    def comparisons(self) -> Any:
        """Scalar compares and max/min selections."""
        return self.law()["comparisons"]

    @property
    def transcendentals(self) -> Any:
        """exp, log, roots, tanh, erf, sin, cos and general powers."""
        return self.law()["transcendentals"]

    @property
    def macs(self) -> Any:
        """Multiplications of contractions."""
        return self.law()["macs"]

    @property
    def total(self) -> Any:
        """``multiplications + additions``."""
        return self.law()["total"]

    def law(self, what: str | None = None) -> dict[str, Any]:
        """The six figures and ``total`` of a part of the model, as expressions.

        Args:
            what: a path or a glob on paths, with everything below what matches; or the name of a layer type; or the
                name of a function or operator, such as ``"scaled_dot_product_attention"``. None is the whole.

        Raises:
            UnknownLayerError: nothing matches.
        """
        laws = self._laws(what)
        found = {figure: self._expression(law) for figure, law in laws.items()}
        return {**found, "total": sympy().expand(found["multiplications"] + found["additions"])}

    @cached_property
    def by_type(self) -> dict[str, dict[str, Any]]:
        """The laws of each layer type, of their own arithmetic."""
        groups: dict[str, list[dict[str, Law]]] = {}
        for record, row in self._rows():
            groups.setdefault(record.type, []).append(row)
        summed = {kind: _summed(rows) for kind, rows in groups.items()}
        return {
            kind: {figure: self._expression(law) for figure, law in laws.items()}
            for kind, laws in summed.items()
            if any(map(_is_something, laws.values()))
        }

    def at(self, what: str | None = None, **sizes: int) -> OpCount:
        """The six figures at given sizes, of the whole or of a part.

        Args:
            what: a part, as of :meth:`law`.
            sizes: one number for each name.

        Raises:
            ScalingError: a size is missing, unknown, below 1 or not of the residue class the laws hold for.
        """
        self._check(sizes)
        at = [step.index(sizes[name]) for name, step in self.fit.steps.items()]
        laws = self._laws(what)
        return OpCount(**{figure: int(law.value(at, self.fit.variables)) for figure, law in laws.items()})

    def order(self, figure: str = "macs", what: str | None = None) -> Any:
        """How a figure grows: the sum of its monomials that no other outgrows, without their factors.

        >>> from torch import nn
        >>> from opcount import scaling
        >>> scaling(nn.Softmax(dim=-1), (2, 4), vary={"N": 0, "S": 1}).order("additions")
        N*S
        """
        package, expression = sympy(), self.law(what)[figure]
        try:
            monomials = package.Poly(expression, *self.symbols.values()).monoms()
        except package.PolynomialError:
            return package.Add(*(_monomial(term) for term in package.Add.make_args(expression)))
        largest = [
            one for one in monomials
            if not any(one != other and all(a <= b for a, b in zip(one, other)) for other in monomials)
        ]  # fmt: skip
        return package.Add(
            *(package.Mul(*(s**power for s, power in zip(self.symbols.values(), one))) for one in largest)
        )

    def crossover(self, a: str, b: str, figure: str = "macs", **sizes: int) -> int | None:
        """The smallest size from which on part ``a`` has more of a figure than part ``b``.

        Args:
            a, b: parts, as of :meth:`law`.
            figure: one of the six figures, or ``"total"``.
            sizes: a number for each name but the one that is asked for; a name that both parts are in proportion to
                may be left out.

        Returns:
            A size of the residue class the laws hold for; None if ``a`` never passes ``b`` for good.

        Raises:
            ScalingError: several names are left open.

        >>> from torch import nn
        >>> from opcount import scaling
        >>> net = nn.Sequential(nn.Softmax(dim=0), nn.Linear(8, 4))
        >>> law = scaling(net, (4, 8), vary={"S": 0})
        >>> law.crossover("1", "0", "additions"), law.crossover("0", "1", "additions")
        (1, None)
        """
        package = sympy()
        fixed = {self.symbols[name]: package.Integer(size) for name, size in sizes.items() if name in self.symbols}
        difference = package.factor((self.law(a)[figure] - self.law(b)[figure]).xreplace(fixed))
        if difference == 0:
            return None
        common = package.Mul(*(f for f in package.Mul.make_args(difference) if f.is_Symbol or f.is_positive))
        left = package.cancel(difference / common) if len(difference.free_symbols) > 1 else difference
        open_ = sorted(left.free_symbols or difference.free_symbols, key=str)
        if len(open_) != 1:
            told = f"{listed(map(str, open_))} are" if open_ else "nothing is"
            raise ScalingError(f"a crossover is in one size, but {told} left open: fix the others, as in N=1")
        if not left.is_polynomial(open_[0]):
            raise ScalingError(f"{figure} of {a} and {b} differ by no polynomial in {open_[0]}: compare them by at()")
        return _passes(package.Poly(left, open_[0]), self.fit.steps[str(open_[0])])

    def plot(self, path: str | None = None, *, figure: str = "macs", parts: Sequence[str] = (), **sizes: int) -> Any:
        """Draw a figure against the size that is left open: of the whole, and of parts.

        Args:
            path: a file to save it to, whose suffix gives the form.
            figure: one of the six figures, or ``"total"``.
            parts: parts, as of :meth:`law`.
            sizes: a number for each name but one.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
            ScalingError: not exactly one name is left open.
            InputError: the file cannot be written.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("a plot needs matplotlib: pip install 'opcount[study]'") from None
        open_ = [name for name in self.fit.steps if name not in sizes]
        if len(open_) != 1:
            raise ScalingError(f"a plot is against one size, but {listed(open_) or 'none'} is left open")
        (name,) = open_
        step, (_, high) = self.fit.steps[name], self.domain.verified[name]
        start = step.remainder or step.modulus
        xs = range(start, 4 * high + 1, step.modulus * max(1, (4 * high - start) // step.modulus // 200))
        drawn = Figure(figsize=(7, 4.5), layout="constrained")
        axes = drawn.add_subplot()
        for what in (None, *parts):
            ys = [int(_figure(self.at(what, **sizes, **{name: x}), figure)) for x in xs]
            axes.plot(list(xs), ys, label=self.model if what is None else what)
        axes.axvspan(self.domain.verified[name][0], high, alpha=0.1, label="verified")
        axes.set(xlabel=name, ylabel=figure, title=f"{figure} = {write(self.law()[figure], order=self._order)}")
        axes.legend()
        if path is not None:
            from opcount.report.files import write_picture

            write_picture(str(path), drawn)
        return drawn

    def text(self, width: int | None = None, only: str | None = None) -> str:
        """The laws for a terminal of that many columns; without a width no line is broken.

        Args:
            only: the modules to list, as of :meth:`law`; all that cost something if nothing is given.
        """
        from opcount.scaling_laws.showing import text

        return text(self, width, only)

    def latex(self, only: str | None = None) -> str:
        """The laws as LaTeX."""
        from opcount.scaling_laws.showing import latex

        return latex(self, only)

    def __str__(self) -> str:
        return self.text()

    @property
    def _order(self) -> list[Any]:
        return list(self.symbols.values())

    def _rows(self) -> Iterator[tuple[LayerRecord, dict[str, Law]]]:
        return zip(self.fit.sample.layers, self.fit.rows)

    def _laws(self, what: str | None) -> dict[str, Law]:
        if what is None:
            return self._whole
        chosen = [row for record, row in self._rows() if _matches(record, what)]
        if chosen:
            inside = [row for record, row in self._rows() if self._is_inside(record, what)]
            return _summed(inside)
        named = [
            self.fit.terms[at, place]
            for at, record in enumerate(self.fit.sample.layers)
            for place, entry in enumerate(record.entries)
            if what in (entry.name, entry.name.rpartition(".")[2]) and (at, place) in self.fit.terms
        ]
        if not named:
            names = [*self.paths, *self.by_type]
            raise UnknownLayerError(f"{self.model} has no layer, type or operator {what!r}{did_you_mean(what, names)}")
        return _summed(named)

    @cached_property
    def _whole(self) -> dict[str, Law]:
        return _summed([row for _, row in self._rows()])

    def _is_inside(self, record: LayerRecord, what: str) -> bool:
        path = record.path
        while True:
            owner = self._by_path.get(path)
            if owner is not None and _matches(owner, what):
                return True
            if not path:
                return False
            path = path.rpartition(".")[0]

    @cached_property
    def _by_path(self) -> dict[str, LayerRecord]:
        return {record.path: record for record in self.fit.sample.layers}

    def _expression(self, law: Law) -> Any:
        """A law in the sizes themselves."""
        package = sympy()
        local = law.expression(self.fit.variables)
        steps = zip(self.fit.variables, self.fit.steps.items())
        sizes = {
            variable: (self.symbols[name] - step.remainder) / package.Integer(step.modulus)
            for variable, (name, step) in steps
        }
        return package.expand(local.xreplace(sizes))

    def _check(self, sizes: Mapping[str, Any]) -> None:
        unknown = [name for name in sizes if name not in self.fit.steps]
        missing = [name for name in self.fit.steps if name not in sizes]
        if unknown or missing:
            wrong = f"there is no {unknown[0]}" if unknown else f"{missing[0]} is missing"
            raise ScalingError(f"{wrong}: give a size for each of {listed(self.fit.steps)}")
        for name, step in self.fit.steps.items():
            size = sizes[name]
            if not isinstance(size, int) or size < 1:
                raise ScalingError(f"{name} is a whole number of 1 or more, not {size!r}")
            if size not in step:
                near = size - (size - step.remainder) % step.modulus
                raise ScalingError(
                    f"the laws are for {_class(name, step)}, which {size} is not; "
                    f"near it are {near} and {near + step.modulus}"
                )


def _passes(difference: Any, step: Step) -> int | None:
    """The smallest size of a class from which on a polynomial is positive; None if that ends or never begins."""
    if difference.LC() <= 0:
        return None
    start = step.remainder or step.modulus
    last = int(sympy().floor(max(sympy().real_roots(difference), default=sympy().Integer(0))))
    size = start + max(last - start, 0) // step.modulus * step.modulus
    while difference.eval(size) <= 0:
        size += step.modulus
    return size


def _matches(record: LayerRecord, what: str) -> bool:
    names = (record.path, *record.aliases)
    return record.type == what or what in names or any(fnmatch.fnmatchcase(path, what) for path in names)


def _summed(rows: Sequence[Mapping[str, Law]]) -> dict[str, Law]:
    return {figure: total([row[figure] for row in rows]) for figure in FIGURES}


def _is_something(law: Law) -> bool:
    return bool(law.coefficients or law.others)


def _figure(ops: OpCount, figure: str) -> int:
    return int(getattr(ops, figure))


def _monomial(term: Any) -> Any:
    return term.as_independent(*term.free_symbols)[1] if term.free_symbols else sympy().Integer(1)
