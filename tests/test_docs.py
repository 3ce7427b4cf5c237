"""What the documentation says is what the code does."""

from __future__ import annotations

import os
import re
from pathlib import Path

from opcount.formulas.pointwise import POINTWISE
from opcount.ops import OpCount

ROOT = Path(__file__).parents[1]
COUNTING = ROOT / "docs" / "counting.md"
_COLUMNS = ("multiplications", "additions", "divisions", "comparisons", "transcendentals")


def pointwise_table() -> str:
    lines = ["| function | × | + | ÷ | compare | transcendental |", "|---|---:|---:|---:|---:|---:|"]
    lines += [
        f"| `{name}` | " + " | ".join(str(getattr(one, column) or "") for column in _COLUMNS) + " |"
        for name, one in POINTWISE.items()
    ]
    return "\n".join(lines)


def test_the_table_of_elementwise_functions() -> None:
    """With OPCOUNT_UPDATE_SNAPSHOTS=1 the table is written anew."""
    text = COUNTING.read_text(encoding="utf-8")
    if os.environ.get("OPCOUNT_UPDATE_SNAPSHOTS") == "1":
        between = re.compile("(<!-- pointwise -->\n).*(<!-- /pointwise -->)", re.S)
        COUNTING.write_text(between.sub(lambda m: m[1] + pointwise_table() + "\n" + m[2], text), encoding="utf-8")
        text = COUNTING.read_text(encoding="utf-8")
    assert pointwise_table() in text


def test_no_formula_of_an_element_is_empty() -> None:
    assert all(one != OpCount() for one in POINTWISE.values())


def test_links_in_the_documentation_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
