"""The rows of a sweep: iterated from the store, filtered, sorted, joined, drawn. What holds them all says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from opcount.errors import InputError
from opcount.parsing import did_you_mean, listed
from opcount.sweeping.expressions import Condition
from opcount.sweeping.pareto import front
from opcount.sweeping.record import COLUMNS, to_row
from opcount.sweeping.tally import Tally

if TYPE_CHECKING:
    import pandas

    from opcount.sweeping.store import Kept

Row: TypeAlias = "dict[str, Any]"


class Results:
    """Rows of a sweep, each a dict: the names of its point, the six figures, ``total`` and ``params``, ``complete``
    and ``uncounted``, ``execution``, ``seconds``, ``error``, and what it was counted from.

    They are read from the store each time they are iterated, in the order of the points. ``len()`` reads them once.

    Attributes:
        tally: how many points were counted, answered from the store, and failed, and how long that took.
    """

    def __init__(self, rows: Callable[[], Iterable[Kept]], *, tally: Tally | None = None) -> None:
        self.tally = tally or Tally()
        self._make: Callable[[], Iterator[Row]] = lambda: (to_row(json.loads(kept.record)) for kept in rows())
        self._length: int | None = None

    @classmethod
    def read(cls, store: str) -> Results:
        """The rows that the last sweep into a store asked for; also while it runs, or after it was stopped.

        Raises:
            StoreError: there is no such store, or it is damaged.
        """
        from opcount.sweeping.store import read

        results = cls(lambda: read(store))
        next(iter(results), None)
        return results

    def __iter__(self) -> Iterator[Row]:
        return self._make()

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def __repr__(self) -> str:
        return f"<Results of a sweep: {len(self):,} rows>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns: those of points first."""
        names: dict[str, None] = {}
        for row in self:
            names.update(dict.fromkeys(row))
        own = [name for name in names if name in COLUMNS]
        return (*(name for name in names if name not in COLUMNS), *own)

    @property
    def failures(self) -> Results:
        """The rows whose point could not be counted; their ``error`` says why."""
        return self._with(lambda: (row for row in self if row["error"] is not None))

    def where(self, condition: str | Callable[[Row], Any]) -> Results:
        """The rows that meet a condition.

        Args:
            condition: such as ``"macs < 300e6 and width > 0.5"``, or a function of a row. A comparison with an empty
                value is false.

        Raises:
            InputError: it cannot be read; or, while iterating, it names what is no column.
        """
        holds = Condition(condition) if isinstance(condition, str) else condition
        if isinstance(holds, Condition):
            names = holds.names
            return self._with(lambda: (row for row in self._filled(names) if holds(row)))
        return self._with(lambda: (row for row in self if holds(row)))

    def sort(self, column: str, *, descending: bool = False) -> Results:
        """The rows in the order of a column; those that have no value there come last. Holds them all.

        Raises:
            InputError: while iterating, there is no such column.
        """

        def ordered() -> Iterator[Row]:
            rows = list(self._filled((column,)))
            self._check(rows, column)
            having = [row for row in rows if row[column] is not None]
            yield from sorted(having, key=lambda row: _sortable(row[column]), reverse=descending)
            yield from (row for row in rows if row[column] is None)

        return self._with(ordered)

    def pareto(self, x: str, y: str, *, maximize: str | Iterable[str] = ()) -> Results:
        """The Pareto front: the rows that no other equals in both columns and beats in one, ordered by ``x``.

        Args:
            x, y: two columns with numbers; less is better,
            maximize: except in these, where more is, such as an accuracy.

        Raises:
            InputError: while iterating, there is no such column.
        """
        most = (maximize,) if isinstance(maximize, str) else tuple(maximize)
        odd = next((name for name in most if name not in (x, y)), None)
        if odd is not None:
            raise InputError(f"maximize names {odd!r}, which is neither {x!r} nor {y!r}")

        def found() -> Iterator[Row]:
            yield from front(self._checked(x, y), x, y, most=most)

        return self._with(found)

    def join(self, table: Iterable[Mapping[str, Any]], *, on: Sequence[str] | None = None) -> Results:
        """The rows with further columns, such as an accuracy, found by the values they share with a table.

        Args:
            table: mappings with some names of the points and the new columns. A pandas DataFrame gives them as
                ``frame.to_dict("records")``. Rows that have no counterpart in it get empty values.
            on: the names to match by; None takes every name of a point that the table has.

        Raises:
            InputError: nothing to match by, or two entries for one point.
        """
        entries = [dict(entry) for entry in table]
        first = next(iter(self), {})
        names = (
            on
            if on is not None
            else [name for name in first if name not in COLUMNS and all(name in e for e in entries)]
        )
        if not names or not entries:
            raise InputError("the table shares no name with the points, so its values belong to none of them")
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for entry in entries:
            place = tuple(_hashable(entry.get(name)) for name in names)
            if place in found:
                raise InputError(f"the table has two entries for {dict(zip(names, place))}")
            found[place] = {name: value for name, value in entry.items() if name not in names}
        added = list(dict.fromkeys(name for entry in found.values() for name in entry))
        clash = next((name for name in added if name in COLUMNS), None)
        if clash is not None:
            raise InputError(f"the table has a column {clash!r}, which the rows have already: rename it")
        empty: dict[str, Any] = dict.fromkeys(added)

        def joined() -> Iterator[Row]:
            for row in self:
                extra = found.get(tuple(_hashable(row.get(name)) for name in names), {})
                yield {**row, **empty, **extra}

        return self._with(joined)

    def to_dataframe(self) -> pandas.DataFrame:
        """A pandas DataFrame, a row a point. Whole numbers stay whole; where counting failed they are missing values.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from opcount.sweeping.table import dataframe

        return dataframe(list(self), self.columns)

    def render(self, form: str = "rich", *, top: int | None = None, title: str = "sweep") -> str:
        """The rows as text in a form: rich, plain, markdown, github, latex, html, csv or json.

        Raises:
            InputError: there is no such form.
        """
        from opcount.sweeping.table import render

        return render(self, form, top=top, title=title)

    def plot(
        self, path: str | None = None, *, x: str = "macs", y: str = "params", maximize: str | Iterable[str] = ()
    ) -> Any:
        """A scatter plot of two columns with their Pareto front.

        Args:
            path: a file to save it to, whose suffix gives the form.
            x, y, maximize: as for :meth:`pareto`.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
            InputError: there is no such column, no row has numbers there, or the file cannot be written.
        """
        from opcount.sweeping.drawing import scatter

        return scatter(self, path, x, y, maximize)

    def to_page(
        self, *, x: str = "macs", y: str = "params", maximize: str | Iterable[str] = (), title: str = "sweep"
    ) -> str:
        """One self-contained HTML page: a scatter plot of any two columns with its front, above a table to search.

        Raises:
            MissingExtraError: what draws the page is not installed.
        """
        from opcount.sweeping.page import page

        return page(self, x, y, maximize, title)

    def _with(self, make: Callable[[], Iterator[Row]]) -> Results:
        other = Results.__new__(Results)
        other.tally, other._make, other._length = self.tally, make, None
        return other

    def _filled(self, names: Sequence[str]) -> Iterator[Row]:
        """The rows, with what some points lack and others have as empty values."""
        several = None
        for row in self:
            if any(name not in row for name in names):
                several = self.columns if several is None else several
                row = {**{name: None for name in names if name in several}, **row}
            yield row

    def _checked(self, *names: str) -> Iterator[Row]:
        rows = self._filled(names)
        first = next(rows, None)
        if first is not None:
            for name in names:
                self._check([first], name)
            yield from chain([first], rows)

    def _check(self, rows: list[Row], name: str) -> None:
        if rows and name not in rows[0]:
            meant = did_you_mean(name, rows[0]) or f"; there are {listed(rows[0], 30)}"
            raise InputError(f"there is no column {name!r}{meant}")


def _sortable(value: Any) -> tuple[int, Any]:
    """Numbers before words before all else, each among its own kind."""
    if isinstance(value, (int, float)):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, repr(value))


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, (list, dict, tuple)) else value
