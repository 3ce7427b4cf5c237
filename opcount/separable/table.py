"""Before, predicted and counted side by side, for each convolution that was made separable."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from opcount.ops import OpCount
from opcount.report.escape import spreadsheet, visible
from opcount.report.forms import table
from opcount.report.sheet import Cell, Column, Note, Row, Sheet
from opcount.result import Profile
from opcount.separable.prediction import Prediction

FIGURES = (("multiplications", "mults"), ("total", "total"))
_COLUMNS = ("before", "predicted", "counted", "reduction")


@dataclass(frozen=True)
class Comparison:
    """A model as it is, what its separable copy was predicted to cost, and what that was counted to cost.

    Attributes:
        before, counted: the profiles of the model and of its copy.
        prediction: made from ``before`` alone.
    """

    before: Profile
    prediction: Prediction
    counted: Profile

    @property
    def agree(self) -> bool:
        """Whether every layer and the total were counted as predicted."""
        return self.prediction.after == self.counted.ops and all(
            self.counted[layer.path].subtree == layer.after for layer in self.prediction.layers
        )

    def rows(self) -> Iterator[tuple[str, OpCount, OpCount, OpCount]]:
        """Each replaced layer, then everything else: before, predicted, counted."""
        layers = self.prediction.layers
        for layer in layers:
            yield layer.path, layer.before, layer.after, self.counted[layer.path].subtree
        rest = self.before.ops, self.prediction.after, self.counted.ops
        taken = [sum((row[at] for row in self._layers()), OpCount()) for at in range(3)]
        others = tuple(_minus(whole, part) for whole, part in zip(rest, taken))
        if any(others):
            yield "everything else", others[0], others[1], others[2]

    def _layers(self) -> Iterator[tuple[OpCount, OpCount, OpCount]]:
        for layer in self.prediction.layers:
            yield layer.before, layer.after, self.counted[layer.path].subtree

    def sheet(self, heading: tuple[str, ...] = ()) -> Sheet:
        """The table, for any of the reports' forms."""
        columns = [Column("layer", "layer", "layer", "path")]
        for figure, short in FIGURES:
            group = "total operations" if figure == "total" else figure
            for title in _COLUMNS:
                kind = "change" if title == "reduction" else "count"
                columns.append(Column(f"{figure}:{title}", title, title, kind, group, short))  # type: ignore[arg-type]
        total = Row(("total", *_cells(self.before.ops, self.prediction.after, self.counted.ops)))
        return Sheet(
            headings=(heading or (visible(self.before.model),),),
            columns=tuple(columns),
            rows=tuple(Row((visible(path) or "(the model)", *_cells(*costs))) for path, *costs in self.rows()),
            total=total,
            whole=0,
            drops=(
                frozenset({"total:before", "total:predicted", "total:counted"}),
                frozenset({"total:reduction"}),
                frozenset({"multiplications:predicted"}),
            ),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[Note]:
        said = (
            "every layer and the total were counted as predicted"
            if self.agree
            else "the count is not what was predicted"
        )
        yield Note((said, *self.before.convention.notes()), self.agree)
        for reason, times in Counter(self.prediction.kept.values()).items():
            yield Note((f"kept: {times:,} {'convolution' if times == 1 else 'convolutions'}, {reason}",))

    def to_json(self) -> str:
        """The rows as JSON: path, and for each of before, predicted and counted the six figures."""
        rows = [
            {"path": path, "before": before.to_dict(), "predicted": after.to_dict(), "counted": counted.to_dict()}
            for path, before, after, counted in self.rows()
        ]
        return json.dumps({"model": self.before.model, "agree": self.agree, "rows": rows}, indent=1)

    def to_csv(self) -> str:
        """The rows as comma-separated values."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["layer", *(f"{title} {figure}" for figure, _ in FIGURES for title in _COLUMNS[:3])])
        for path, *costs in self.rows():
            figures = [getattr(cost, figure) for figure, _ in FIGURES for cost in costs]
            writer.writerow([spreadsheet(visible(path)), *figures])
        return out.getvalue().rstrip("\n")

    def render(self, form: str, width: int | None, heading: tuple[str, ...], ascii_only: bool = False) -> str:
        """The table in one of the forms.

        Raises:
            InputError: it cannot be written in that form.
        """
        if form == "json":
            return self.to_json()
        if form == "csv":
            return self.to_csv()
        sheet = self.sheet(heading)
        return table(sheet, form, width, "--separate", ascii_only)


def _cells(before: OpCount, predicted: OpCount, counted: OpCount) -> Iterator[Cell]:
    for figure, _ in FIGURES:
        first, last = getattr(before, figure), getattr(counted, figure)
        yield from (first, getattr(predicted, figure), last)
        yield "=" if first == last else 100 * (last - first) / first if first else None


def _minus(whole: OpCount, part: OpCount) -> OpCount:
    return whole + part.times(-1)
