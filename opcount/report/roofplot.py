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
        rates = [point.attainable or 0.0 for point in points]
    axes.scatter([point.intensity for point in points], rates, s=18, color="tab:gray", zorder=3)
    for number, (point, rate) in enumerate(zip(points[:_NAMED], rates, strict=False), start=1):
        offset = (4, -10) if number % 2 else (-9, 5)
        axes.annotate(str(number), (point.intensity, rate), xytext=offset, textcoords="offset points", fontsize=8)
        axes.plot([], [], " ", label=_plain(f"{number} {path_text(point.path)}"))
    whole = roofline.whole
    if whole.attainable:
        axes.scatter([whole.intensity], [whole.attainable], marker="*", s=90, color="tab:red", zorder=4, label="whole")
    axes.set(xlabel="operations a byte", ylabel="operations a second, at best")
    axes.set_title(_plain(f"{visible(roofline.model)} · {visible(device.title)} · {si(device.bandwidth, 'B/s')}"))
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(visible=True, which="major", alpha=0.3)
    return drawn


def _plain(text: str) -> str:
    """A name in which matplotlib sees no mathematics."""
    return text.replace("$", r"\$")


def svg(roofline: Roofline) -> str:
    """The figure as an SVG element for a page, the same every time."""
    text = drawn_bytes(roofline, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def drawn_bytes(roofline: Roofline, form: str) -> bytes:
    """The figure as the bytes of a file."""
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context({"svg.hashsalt": "opcount", "svg.fonttype": "none"}):
        figure(roofline).savefig(out, format=form, metadata={"Date": None} if form == "svg" else None, dpi=150)
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
    figure(roofline)  # what is missing is told before anything is opened
    write_bytes(path, drawn_bytes(roofline, form))
