"""Laws as text for a terminal and as LaTeX."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from opcount.algebra.library import sympy
from opcount.algebra.writing import wrapped, write
from opcount.ops import FIGURES
from opcount.parsing import visible
from opcount.scaling_laws.law import Scaling

_NAME = max(map(len, FIGURES))


def text(scaling: Scaling, width: int | None, only: str | None) -> str:
    """The laws of the whole, of every module that costs something, and for which sizes they hold."""
    return "\n".join(_lines(scaling, width, only))


def latex(scaling: Scaling, only: str | None) -> str:
    """The laws of the whole, or of a part, as one ``align*`` of amsmath."""
    laws = scaling.law(only)
    order = list(scaling.symbols.values())
    rows = [
        rf"  \text{{{figure}}} &= {write(each, order=order, latex=True)}" for figure, each in laws.items() if each != 0
    ]
    body = " \\\\\n".join(rows)
    heading = f"% {visible(scaling.model)}{f', {visible(only)}' if only else ''}\n% {scaling.domain}"
    return f"{heading}\n\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _lines(scaling: Scaling, width: int | None, only: str | None) -> Iterator[str]:
    order = list(scaling.symbols.values())
    sizes = "; ".join(f"{name} is {words}" for name, words in scaling.sizes.items())
    of = " · a training step" if len(scaling.fit.sample.phases) > 1 else ""
    yield from _folded(f"{visible(scaling.model)}{of} · {sizes}", width)
    yield ""
    laws = scaling.law(only)
    yield f"  {visible(only) if only else 'the whole'}"
    for figure, each in laws.items():
        if each != 0:
            yield from _equation(figure, each, order, width)
    shown = "macs" if laws["macs"] != 0 else "total"
    if laws[shown] != 0:
        yield from _folded(f"  {shown} grow as {write(scaling.order(shown, only), order=order)}", width)
    if only is None:
        yield from _modules(scaling, shown, order, width)
    yield ""
    yield from _folded(_domain(scaling), width)


def _domain(scaling: Scaling) -> str:
    notes = [f"exact {scaling.domain}", *scaling.convention.notes()]
    if scaling.fit.sample.uncounted:
        names = ", ".join(dict.fromkeys(item.name for item in scaling.fit.sample.uncounted))
        notes.append(f"not counted: {names}")
    return " · ".join(notes)


def _modules(scaling: Scaling, figure: str, order: list[Any], width: int | None) -> Iterator[str]:
    """The law of each module's own arithmetic, modules with equal ones together."""
    groups: dict[Any, list[str]] = {}
    for record, row in zip(scaling.fit.sample.layers, scaling.fit.rows):
        laws = [row["multiplications"], row["additions"]] if figure == "total" else [row[figure]]
        each = sympy().Add(*map(scaling._expression, laws))
        if each != 0:
            groups.setdefault((each, visible(record.type)), []).append(visible(record.path) or "(the model itself)")
    yield ""
    yield f"  {figure} of each module"
    for (each, kind), paths in groups.items():
        often = f" and {len(paths) - 1:,} more like it" if len(paths) > 1 else ""
        yield from _folded(f"  {paths[0]} · {kind}{often}", width)
        yield from _continued("      = ", write(each, order=order), width)


def _equation(figure: str, each: Any, order: list[Any], width: int | None) -> Iterator[str]:
    yield from _continued(f"    {figure.ljust(_NAME)} = ", write(each, order=order), width)


def _continued(lead: str, right: str, width: int | None) -> Iterator[str]:
    for index, line in enumerate(wrapped(right, None if width is None else max(width - len(lead), 20), 2)):
        yield f"{lead if index == 0 else ' ' * len(lead)}{line}"


def _folded(line: str, width: int | None) -> Iterator[str]:
    indent = " " * (2 + len(line) - len(line.lstrip()))
    room = len(line) + 9 if width is None else max(width, 20)
    lines = textwrap.wrap(
        line.strip(),
        room,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from lines or [""]
