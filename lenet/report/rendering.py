"""A report as Markdown and as one page that asks for nothing outside itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lenet.errors import missing
from lenet.report.document import Paper
from lenet.report.style import PALETTE

_HERE = Path(__file__).parent
_DARK = {
    "ground": "#14171a",
    "text": "#e8eaed",
    "quiet": "#a2abb4",
    "line": "#32383e",
    "regular": "#7db8ff",
    "depthwise": "#ffa066",
    "front": "#6fd39a",
    "map-image": "#3a4048",
    "map-regular": "#2b5484",
    "map-depthwise": "#6f4527",
    "map-pointwise": "#96551f",
    "map-pool": "#2a3036",
    "map-linear": "#2f5a37",
}
"""The palette in the dark."""


def markdown(paper: Paper) -> str:
    """The report as Markdown, with its figures beside it as PNG and SVG."""
    return str(_template("report.md.j2", autoescape=False).render(paper=paper))


def page(paper: Paper, figures: Mapping[str, str]) -> str:
    """The report as one page of HTML.

    Args:
        paper: the report.
        figures: the figures as SVG for a place inside a page, by name.
    """
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    template = _template("report.html.j2", autoescape=True)
    return str(template.render(paper=paper, figures=figures, style=style, light=PALETTE, dark=_DARK))


def _template(name: str, autoescape: bool) -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup, escape
    except ImportError as error:
        raise missing("jinja2") from error

    def marked(text: str) -> Any:
        return Markup(_marked(str(escape(text))))  # noqa: S704 - escaped before the few marks are set # nosec B704

    environment = Environment(  # Markdown is no HTML: its texts are names that were checked, or fenced # nosec B701
        autoescape=autoescape,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"marked": marked, "cell": _cell, "fence": _fence}
    return environment.from_string((_HERE / name).read_text(encoding="utf-8"))


def _marked(text: str) -> str:
    """The few marks of a text, after it was escaped, as HTML.

    >>> _marked("**so** `x` C_out 5 %")
    '<strong>so</strong> <code>x</code> C<sub>out</sub> 5&nbsp;%'
    """
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    text = text.replace(" %", "&nbsp;%")
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", text)
    return re.sub(r"\bC_(in|out)\b", r"C<sub>\1</sub>", text)


def _cell(text: str) -> str:
    r"""A text for a cell of a table in Markdown.

    >>> print(_cell("a|b"))
    a\|b
    """
    return text.replace("|", "\\|")


def _fence(text: str) -> str:
    """A fence longer than any run of backticks in a text.

    >>> _fence("a"), _fence("```")
    ('```', '````')
    """
    return "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
