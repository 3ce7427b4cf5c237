"""A roofline drawn: with characters for a terminal, by matplotlib for a file or a page."""

from __future__ import annotations

import io
import math
from typing import Any

from opcount.errors import InputError, MissingExtraError
from opcount.intensity import Point, Roofline
from opcount.report.escape import visible
from opcount.report.layers import path_text
from opcount.report.roofs import intensity_text, used
from opcount.report.units import si

_WIDTH, _HEIGHT, _NAMED = 64, 14, 9
_FORMS = ("svg", "png", "pdf")


def text_plot(roofline: Roofline) -> str:
    """The roof and the layers under it, both axes logarithmic: 1 to 9 are the layers with the most operations.

    ``*`` is the whole model, ``o`` any other layer; a layer without multiplications or additions has no place on it.
    """
    points = placed(roofline)
    if not points:
        return "  no layer has operations whose peak the device states: there is nothing to plot"
    frame = _Frame(roofline, points)
    canvas = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    dtypes = used(roofline)
    for dtype in dtypes:
        for column in range(_WIDTH):
            line, sloped = frame.roof(column, dtype)
            if 0 <= line < _HEIGHT:
                canvas[line][column] = "/" if sloped else "-"
    marks = _marks(points)
    for point, mark in reversed(marks):
        column, line = frame.place(point)
        canvas[line][column] = mark
    column, line = frame.place(roofline.whole) if roofline.whole.attainable else (-1, -1)
    if line >= 0:
        canvas[line][column] = "*"
    return "\n".join([*frame.labelled(canvas), "", *_legend(marks)])


def placed(roofline: Roofline) -> list[Point]:
    """The points that have a place on logarithmic axes, the most operations first."""
    found = [point for point in roofline.points if point.attainable and point.bytes]
    return sorted(found, key=lambda point: -point.operations)


class _Frame:
    """The axes: which column is which intensity, which line which rate."""

    def __init__(self, roofline: Roofline, points: list[Point]) -> None:
        self.roofline = roofline
        device, dtypes = roofline.device, used(roofline)
        ridges = [device.ridge(dtype) for dtype in dtypes]
        intensities = [point.intensity for point in points] + ridges
        self.left = math.floor(math.log10(min(intensities)) * 2) / 2
        self.right = max(math.ceil(math.log10(max(intensities)) * 2) / 2, self.left + 1)
        self.top = math.log10(max(float(device.peak[dtype]) for dtype in dtypes))
        rates = [point.attainable for point in points if point.attainable]
        self.bottom = min(math.log10(min(rates)), self.top - 1)

    def intensity(self, column: int) -> float:
        return float(10 ** (self.left + (self.right - self.left) * column / (_WIDTH - 1)))

    def roof(self, column: int, dtype: str) -> tuple[int, bool]:
        """On which line the roof is there, and whether it still rises."""
        device = self.roofline.device
        by_memory, peak = self.intensity(column) * float(device.bandwidth), float(device.peak[dtype])
        return self.line(min(by_memory, peak)), by_memory < peak

    def line(self, rate: float) -> int:
        return round((self.top - math.log10(rate)) / (self.top - self.bottom) * (_HEIGHT - 1))

    def place(self, point: Point) -> tuple[int, int]:
        share = (math.log10(point.intensity) - self.left) / (self.right - self.left)
        column = min(max(round(share * (_WIDTH - 1)), 0), _WIDTH - 1)
        return column, min(max(self.line(point.attainable or 1.0), 0), _HEIGHT - 1)

    def labelled(self, canvas: list[list[str]]) -> list[str]:
        labels = {0: si(10**self.top, "op/s"), _HEIGHT - 1: si(10**self.bottom, "op/s")}
        width = max(map(len, labels.values()))
        lines = [f"  {labels.get(i, ''):>{width}} |{''.join(row).rstrip()}" for i, row in enumerate(canvas)]
        low, high = intensity_text(self.intensity(0)), intensity_text(self.intensity(_WIDTH - 1))
        axis = f"{low}{'operations a byte':^{_WIDTH - len(low) - len(high)}}{high}"
        return [*lines, f"  {'':>{width}} +{'-' * _WIDTH}", f"  {'':>{width}}  {axis}"]


def _marks(points: list[Point]) -> list[tuple[Point, str]]:
    return [(point, str(number) if number <= _NAMED else "o") for number, point in enumerate(points, start=1)]


def _legend(marks: list[tuple[Point, str]]) -> list[str]:
    named = [f"{mark} {path_text(point.path)}" for point, mark in marks if mark != "o"]
    more = [f"o {len(marks) - len(named)} more"] if len(marks) > len(named) else []
    lines = [""]
    for entry in ("* all together", *named, *more):
        if lines[-1] and len(lines[-1]) + len(entry) > _WIDTH + 10:
            lines.append("")
        lines[-1] += f"  {entry}"
    return lines


def figure(roofline: Roofline) -> Any:
    """The same as a matplotlib figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a plot needs matplotlib: pip install 'opcount[study]'") from None
    drawn = Figure(figsize=(8, 5), layout="constrained")
    axes = drawn.add_subplot(xscale="log", yscale="log")
    points, device = placed(roofline), roofline.device
    ridges = [device.ridge(dtype) for dtype in used(roofline)]
    around = [point.intensity for point in points] + ridges
    low, high = min(around) / 3, max(around) * 3
    for dtype, ridge in zip(used(roofline), ridges, strict=True):
        peak = float(device.peak[dtype])
        roof = [low * float(device.bandwidth), peak, peak]
        axes.plot([low, ridge, high], roof, label=_plain(f"{visible(dtype)} {si(peak, 'op/s')}"))
    _scatter(axes, roofline, points)
    axes.set(xlabel="operations a byte", ylabel="operations a second, at best")
    axes.set_title(_plain(f"{visible(roofline.model)} · {visible(device.title)} · {si(device.bandwidth, 'B/s')}"))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
    axes.grid(visible=True, which="major", alpha=0.3)
    return drawn


def _scatter(axes: Any, roofline: Roofline, points: list[Point]) -> None:
    """The layers as dots, those with the most operations numbered, and the whole as a star."""
    rates = [point.attainable or 0.0 for point in points]
    axes.scatter([point.intensity for point in points], rates, s=18, color="tab:gray", zorder=3)
    for number, (point, rate) in enumerate(zip(points[:_NAMED], rates, strict=False), start=1):
        offset = (4, -10) if number % 2 else (-9, 5)
        axes.annotate(str(number), (point.intensity, rate), xytext=offset, textcoords="offset points", fontsize=8)
        axes.plot([], [], " ", label=_plain(f"{number} {path_text(point.path)}"))
    whole = roofline.whole
    if whole.attainable:
        axes.scatter([whole.intensity], [whole.attainable], marker="*", s=90, color="tab:red", zorder=4, label="whole")


def _plain(text: str) -> str:
    """A name in which matplotlib sees no mathematics."""
    return text.replace("$", r"\$")


def svg(roofline: Roofline) -> str:
    """The figure as an SVG element for a page, the same every time."""
    text = drawn_bytes(roofline, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def drawn_bytes(roofline: Roofline, form: str) -> bytes:
    """The figure as the bytes of a file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    drawn = figure(roofline)
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context({"svg.hashsalt": "opcount", "svg.fonttype": "none"}):
        drawn.savefig(out, format=form, metadata={"Date": None} if form == "svg" else None, dpi=150)
    return out.getvalue()


def form_of_figure(path: str) -> str | None:
    """Which kind of figure a file's name asks for, if any.

    >>> form_of_figure("out/roof.SVG"), form_of_figure("costs.md")
    ('svg', None)
    """
    suffix = path.rpartition(".")[2].casefold()
    return suffix if suffix in _FORMS else None


def write_figure(roofline: Roofline, path: str) -> None:
    """Write the figure to a file, whole or not at all.

    Raises:
        InputError: it cannot be written, or its name asks for no kind of figure.
        MissingExtraError: matplotlib is not installed.
    """
    from opcount.report.files import write_bytes

    form = form_of_figure(path)
    if form is None:
        raise InputError(f"the name {path!r} does not tell a kind of figure: end it in .svg, .png or .pdf")
    write_bytes(path, drawn_bytes(roofline, form))
