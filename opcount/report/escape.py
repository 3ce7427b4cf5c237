"""Names made safe to print.

A model may call its modules anything: no name moves a cursor, draws a colour, ends a table or runs a formula.
"""

from __future__ import annotations

import re

from opcount.parsing import visible as visible

_ASCII = str.maketrans(
    {"·": "-", "×": "x", "–": "-", "…": "...", "→": "->", "─": "-", "≥": ">=", "−": "-", "±": "~", "µ": "u"}
)


def to_ascii(text: str) -> str:
    r"""Text for an output that knows no more than ASCII.

    >>> print(to_ascii("input 1x3 · ×2 · größe"))
    input 1x3 - x2 - gr\xf6\xdfe
    """
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def markdown(text: str) -> str:
    r"""Text that Markdown shows as it stands, in a table too.

    >>> print(markdown("layer_norm"), markdown("a|b"), markdown("<b>*x*</b>"))
    layer_norm a\|b \<b\>\*x\*\</b\>
    """
    text = re.sub(r"([\\`*\[\]<>|&~$#!])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word an underscore is only itself


def spreadsheet(text: str) -> str:
    """Text that a spreadsheet shows and does not evaluate.

    >>> spreadsheet("=1+1"), spreadsheet("conv1")
    ("'=1+1", 'conv1')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else text


def json(text: str) -> str:
    r"""JSON with what is not ASCII, which is always inside a string, written as JSON's own escapes.

    >>> print(json('{"größe": 1}'))
    {"gr\u00f6\u00dfe": 1}
    """
    return re.sub(r"[^\x00-\x7f]+", lambda match: _utf16(match.group()), text)


def _utf16(text: str) -> str:
    data = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[index]:02x}{data[index + 1]:02x}" for index in range(0, len(data), 2))
