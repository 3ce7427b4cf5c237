"""How figures look: one palette for files and, by names that a page defines for light and dark, for the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lenet.errors import missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = {
    "ground": "#fffffe",
    "text": "#1c2024",
    "quiet": "#59616a",
    "line": "#dde0e4",
    "regular": "#0b62c4",
    "depthwise": "#c4500b",
    "front": "#0a7a40",
    "map-image": "#e3e6ea",
    "map-regular": "#bcd6f4",
    "map-depthwise": "#fbd0b4",
    "map-pointwise": "#f4a877",
    "map-pool": "#eceef1",
    "map-linear": "#d5ebd3",
}
"""The colours by name. A page replaces each by a variable of that name, so no two are the same."""

STYLE = {
    "axes.edgecolor": PALETTE["quiet"],
    "axes.facecolor": PALETTE["ground"],
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": PALETTE["text"],
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": PALETTE["text"],
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.facecolor": PALETTE["ground"],
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "grid.color": PALETTE["line"],
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.labelcolor": PALETTE["text"],
    "savefig.facecolor": PALETTE["ground"],
    "svg.fonttype": "none",
    "text.color": PALETTE["text"],
    "text.parse_math": False,
    "xtick.color": PALETTE["quiet"],
    "xtick.labelcolor": PALETTE["text"],
    "ytick.color": PALETTE["quiet"],
    "ytick.labelcolor": PALETTE["text"],
}
"""matplotlib's settings. Text stays text, and a dollar sign is one."""

_SVG_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in our style, whatever the user's own settings.

    Raises:
        StudyError: matplotlib is not installed.
    """
    try:
        from matplotlib import style
    except ImportError as error:
        raise missing("matplotlib") from error
    with style.context(["default", STYLE]):
        yield


def png(figure: Figure) -> bytes:
    """A figure as PNG: the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=160, metadata={"Software": None})
    return out.getvalue()


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG: the same figure and name give the same text."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata=_SVG_METADATA)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(lines) + "\n"


_FONTS = re.compile(r"font-family: [^;\"]*|font: ([\d.]+px) [^;\"]*")
_SHARED = re.compile(r"<style type=\"text/css\">.*?</style>", re.S)


def inline(text: str, name: str) -> str:
    r"""An SVG for a place inside a page: no prologue, names of its own, the page's colours, font and width.

    >>> inline('<?xml?>\n<svg width="9pt" height="4pt" id="a"><use xlink:href="#a" style="fill: #1c2024"/></svg>', "x")
    '<svg aria-hidden="true" id="x-a"><use xlink:href="#x-a" style="fill: var(--text)"/></svg>'
    """
    text = text[text.index("<svg") :].strip()
    text = re.sub(r'^(<svg[^>]*?) width="[^"]*" height="[^"]*"', r'\1 aria-hidden="true"', text)
    text = _SHARED.sub("", text)
    for before in ('id="', "url(#", 'href="#'):
        text = re.sub(rf"(?<![\w-]){re.escape(before)}", f"{before}{name}-", text)
    text = _FONTS.sub(lambda found: f"font-size: {found[1]}" if found[1] else "font-family: inherit", text)
    for each, colour in PALETTE.items():
        text = text.replace(colour, f"var(--{each})")
    return text


def alone(axes: Any) -> None:
    """Spines and ticks that do not draw attention."""
    axes.tick_params(length=3)
    axes.spines["left"].set_visible(False)
