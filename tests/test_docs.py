"""What the documentation says is what the code does."""

from __future__ import annotations

import doctest
import json
import os
import re
from pathlib import Path

import pytest

from benchmarks import lenet as study
from benchmarks.energy import tables as energy_tables
from lenet.models import Depthwise, Regular
from opcount import profile
from opcount.cli import main
from opcount.formulas.pointwise import GRADIENTS, POINTWISE
from opcount.ops import OpCount

ROOT = Path(__file__).parents[1]
COUNTING = ROOT / "docs" / "counting.md"
_COLUMNS = ("multiplications", "additions", "divisions", "comparisons", "transcendentals")


def elementwise_table(costs: dict[str, OpCount]) -> str:
    lines = ["| function | × | + | ÷ | compare | transcendental |", "|---|---:|---:|---:|---:|---:|"]
    lines += [
        f"| `{name}` | " + " | ".join(str(getattr(one, column) or "") for column in _COLUMNS) + " |"
        for name, one in costs.items()
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(("mark", "costs"), [("pointwise", POINTWISE), ("gradients", GRADIENTS)])
def test_the_tables_of_elementwise_functions(mark: str, costs: dict[str, OpCount]) -> None:
    """With OPCOUNT_UPDATE_SNAPSHOTS=1 the tables are written anew."""
    text, table = COUNTING.read_text(encoding="utf-8"), elementwise_table(costs)
    if os.environ.get("OPCOUNT_UPDATE_SNAPSHOTS") == "1":
        between = re.compile(f"(<!-- {mark} -->\n).*(<!-- /{mark} -->)", re.S)
        COUNTING.write_text(between.sub(lambda m: m[1] + table + "\n" + m[2], text), encoding="utf-8")
        text = COUNTING.read_text(encoding="utf-8")
    assert table in text


def test_no_formula_of_an_element_is_empty() -> None:
    assert all(one != OpCount() for one in (*POINTWISE.values(), *GRADIENTS.values()))


def _blocks(page: Path, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)


def test_the_readme_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """But for how long it took."""
    assert main(["lenet.models:Depthwise"]) == 0
    printed = capsys.readouterr().out
    shown = _blocks(ROOT / "README.md")[0].partition("Depthwise\n")[2]
    without_time = re.compile(r", [\d.]+ m?s$", re.M)
    assert without_time.sub("", shown).strip("\n") == without_time.sub("", printed).strip("\n")


def test_the_readme_shows_what_the_benchmark_wrote() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    written = (ROOT / "benchmarks" / "results" / "lenet.md").read_text(encoding="utf-8")
    totals, layers, _ = written.split("\n\n", 1)[1].split("\n\n")
    assert totals in readme
    assert layers in readme
    regular, depthwise = Regular(), Depthwise()
    assert "\n".join(study.layers(profile(regular, convention=study.STUDIED), profile(depthwise))) == layers


def test_the_readme_on_resnet50() -> None:
    code = next(block for block in _blocks(ROOT / "README.md", "python") if "resnet50" in block)
    assert "4,089,184,256" in code
    zoo = json.loads((ROOT / "benchmarks" / "results" / "zoo.json").read_text(encoding="utf-8"))
    assert next(model for model in zoo["models"] if model["name"] == "resnet50")["figures"]["macs"] == 4_089_184_256


@pytest.mark.parametrize("page", ["README.md", "docs/energy.md", "docs/memory.md"])
def test_the_examples_run(page: str) -> None:
    assert doctest.testfile(str(ROOT / page), module_relative=False).failed == 0


def test_the_page_on_energy_shows_what_the_benchmark_wrote() -> None:
    written = (ROOT / "benchmarks" / "results" / "energy.md").read_text(encoding="utf-8")
    studied, *tables = written.split("\n\n")[2:]
    assert studied in (ROOT / "docs" / "energy.md").read_text(encoding="utf-8")
    assert studied == "\n".join(energy_tables()[0])
    assert [table.strip() for table in tables] == ["\n".join(table) for table in energy_tables()[1:]]


@pytest.mark.parametrize("page", ["training", "tally", "meter"])
def test_the_examples_of_a_page_are_true(page: str) -> None:
    assert doctest.testfile(str(ROOT / "docs" / f"{page}.md"), module_relative=False).failed == 0


def test_links_in_the_documentation_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
