"""What a report is made of, before it is Markdown or a page: sections of paragraphs, tables and figures.

Texts may set **words** in bold and `words` as code; everything else in them stands as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """Anything between two headings."""

    @property
    def kind(self) -> str:
        """Its name in the templates."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Heading(Block):
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Paragraph(Block):
    """One paragraph."""

    text: str


@dataclass(frozen=True)
class Equations(Block):
    """Lines of a derivation: what is done, and what it gives."""

    steps: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code(Block):
    """Text to copy into a terminal."""

    text: str


@dataclass(frozen=True)
class Table(Block):
    """A table.

    Attributes:
        caption: what it shows, and on which data set.
        head: the titles of the columns.
        rows: texts; the first of each names the row.
        words: the columns, by index, that hold words and not numbers.
        notes: what has to be known to read it.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset({0})
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Figure(Block):
    """A figure.

    Attributes:
        name: of its files, without the ending.
        alt: what it shows, for who cannot see it.
        caption: what to look for.
        wide: whether it needs more room than a phone has, and scrolls there.
    """

    name: str
    alt: str
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Card:
    """A figure to see first: what it is, its value, what to set it beside, and which network's it is, if one's."""

    label: str
    value: str
    beside: str
    network: str = ""


@dataclass(frozen=True)
class Paper:
    """A whole report."""

    title: str
    lead: str
    cards: Sequence[Card]
    warnings: Sequence[str]
    sections: Sequence[Section] = field(default_factory=tuple)
