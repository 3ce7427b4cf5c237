"""A profile as a pandas DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opcount.errors import MissingExtraError
from opcount.ops import FIGURES
from opcount.report.phases import phase_figures
from opcount.result import Profile

if TYPE_CHECKING:
    import pandas


def dataframe(profile: Profile) -> pandas.DataFrame:
    """A row for every module, called or not; figures too large for 64 bits are Python's own whole numbers.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("to_dataframe() needs pandas, which is not installed: pip install pandas") from error
    phases = phase_figures(profile.phases)
    rows: list[dict[str, Any]] = [
        {
            "layer": record.path,
            "type": record.type,
            "inputs": record.input_shapes,
            "outputs": record.output_shapes,
            "calls": record.calls,
            "params": record.params,
            **record.ops.to_dict(),
            "total": record.ops.total,
            "subtree_total": record.subtree.total,
            **{name: getattr(record.phase(phase), figure) for name, phase, figure in phases},
            "uncounted": tuple(item.name for item in record.uncounted),
        }
        for record in profile.layers
    ]
    names = ["layer", "type", "inputs", "outputs", "calls", "params", *FIGURES, "total", "subtree_total"]
    names += [*(name for name, _, _ in phases), "uncounted"]
    columns = {name: [row[name] for row in rows] for name in names}
    frame = pandas.DataFrame({name: _series(pandas, values) for name, values in columns.items()})
    return frame.set_index("layer")


def _series(pandas: Any, values: list[Any]) -> Any:
    """Whole numbers as int64 where they fit, else as objects: never as floats."""
    if values and all(isinstance(value, int) for value in values):
        return pandas.Series(values, dtype="int64" if max(map(abs, values)) < 2**63 else object)
    return pandas.Series(values, dtype=object)
