"""What stands below a report when asked for: energy, memory, a roofline, each with a table and figures of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opcount.errors import InputError
from opcount.intensity import Device, roofline
from opcount.occupancy import Memory
from opcount.pricing import EnergyTable, energy, total
from opcount.report.energies import energies_sheet, energy_sheet
from opcount.report.memories import memories_sheet, memory_sheet
from opcount.report.roofplot import svg, text_plot
from opcount.report.roofs import roofline_sheet, rooflines_sheet
from opcount.report.sheet import Sheet
from opcount.report.wholes import run_sheet
from opcount.result import Profile
from opcount.runs import whole_run

Value = str | int | float


@dataclass(frozen=True)
class Section:
    """One section of a report.

    Attributes:
        key: what it is called in JSON.
        title: its heading on a page.
        sheet: its table.
        data: its figures as plain data; None where the profile itself holds them.
        columns: for each column of a CSV file, values by path.
        plot: a drawing for a terminal.
        drawing: makes a drawing for a page.
    """

    key: str
    title: str
    sheet: Sheet
    data: Any
    columns: Mapping[str, Mapping[str, Value]]
    plot: str = ""
    drawing: Callable[[], str] | None = None


@dataclass(frozen=True)
class Wanted:
    """Which sections a report has.

    Args:
        table: the energy table, if energy is wanted.
        memory: whether memory is.
        device: the device, if a roofline is.
        run: how long a whole run is, if that is wanted: what :func:`opcount.whole_run` takes.
    """

    table: EnergyTable | None = None
    memory: bool = False
    device: Device | None = None
    run: Mapping[str, Any] | None = None

    def of(self, profiles: Sequence[Profile], top: int | None = None) -> tuple[Section, ...]:
        """The sections of one model or several.

        Args:
            profiles: the models.
            top: how many rows a table of layers lists; all if None.

        Raises:
            InputError: a profile holds no memory, because the file it was saved to does not; or its inputs do not say
                what a run is made of.
        """
        sections = []
        if self.table is not None:
            sections.append(_energy(profiles, self.table, top))
        if self.memory:
            sections.append(_memory(profiles, top))
        if self.device is not None:
            sections.append(_roofline(profiles, self.device, top))
        if self.run is not None:
            run = whole_run(profiles[0], **self.run)
            sections.append(Section("whole_run", "Whole run", run_sheet(run), run.to_dict(), {}))
        return tuple(sections)


def _energy(profiles: Sequence[Profile], table: EnergyTable, top: int | None) -> Section:
    found = [energy(profile, table) for profile in profiles]
    sheet = energy_sheet(found[0], top) if len(found) == 1 else energies_sheet(found, _labels(profiles))
    costs = {path: float(total(lines)) for path, lines in found[0].layers.items()}
    data = [each.to_dict() for each in found]
    return Section("energy", "Energy", sheet, _one(data), {"energy_picojoules": costs})


def _memory(profiles: Sequence[Profile], top: int | None) -> Section:
    found = [_only(profile) for profile in profiles]
    sheet = memory_sheet(found[0], top) if len(found) == 1 else memories_sheet(found, _labels(profiles))
    layers = [layer for layer in found[0].layers if layer.weights or layer.allocated or layer.moved]
    columns: dict[str, dict[str, Value]] = {
        f"{name}_bytes": {layer.path: getattr(layer, name) for layer in layers}
        for name in ("weights", "allocated", "live", "moved")
    }
    return Section("memory", "Memory", sheet, None, columns)


def _roofline(profiles: Sequence[Profile], device: Device, top: int | None) -> Section:
    found = [roofline(profile, device) for profile in profiles]
    if len(found) > 1:
        data = [each.to_dict() for each in found]
        return Section("roofline", "Roofline", rooflines_sheet(found, _labels(profiles)), data, {})
    only = found[0]
    columns: dict[str, dict[str, Value]] = {
        "intensity": {point.path: point.intensity for point in only.points if point.bytes},
        "bound": {point.path: point.bound for point in only.points},
        "least_seconds": {point.path: point.seconds for point in only.points if point.seconds is not None},
    }
    return Section(
        "roofline", "Roofline", roofline_sheet(only, top), only.to_dict(), columns, text_plot(only), lambda: svg(only)
    )


def _only(profile: Profile) -> Memory:
    """The memory of the layers that a profile has.

    Raises:
        InputError: it has none.
    """
    if profile.memory is None:
        raise InputError(
            f"{profile.model} was saved without its memory: count the model itself, or save it with --memory"
        )
    return profile.memory.only(record.path for record in profile.layers)


def _labels(profiles: Iterable[Profile]) -> list[str]:
    return [profile.model for profile in profiles]


def _one(data: list[Any]) -> Any:
    return data[0] if len(data) == 1 else data
