"""What a report shows: held by snapshot files for LeNet, by hand-made profiles for what LeNet does not have."""

from __future__ import annotations

import csv
import io
from collections import OrderedDict
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from torch import nn

from lenet.models import Depthwise, Regular
from opcount.comparison import Comparison, compare
from opcount.errors import InputError
from opcount.ops import Convention, Execution, OpCount, Term
from opcount.profiler import profile
from opcount.report import FORMATS, render, render_rich, render_text
from opcount.report.layers import COLUMNS, DROPS, layers_sheet
from opcount.report.layout import lay_out
from opcount.report.view import View
from opcount.result import Entry, LayerRecord, Profile, Site, Uncounted
from tests.snapshots import check

WIDTHS = (60, 80, 120, 200)


def fixed(made: Profile, name: str) -> Profile:
    """A profile as the command names it, with a time that is the same on every machine."""
    return replace(made, model=name, execution_record=Execution("real", seconds=0.012))


@pytest.fixture(scope="module")
def regular() -> Profile:
    return fixed(profile(Regular()), "lenet.models:Regular")


@pytest.fixture(scope="module")
def depthwise() -> Profile:
    return fixed(profile(Depthwise()), "lenet.models:Depthwise")


@pytest.fixture(scope="module")
def subjects(regular: Profile, depthwise: Profile) -> dict[str, Profile | Comparison]:
    study = [
        fixed(profile(model(), convention=Convention(bias=False)).only("conv"), f"lenet.models:{model.__name__}")
        for model in (Regular, Depthwise)
    ]
    return {
        "regular": regular,
        "depthwise": depthwise,
        "comparison": compare(regular, depthwise),
        "study": compare(*study),
    }


NAMES = ("regular", "depthwise", "comparison", "study")
EXTENSIONS = {"plain": "plain.txt", "markdown": "md", "github": "github.md", "latex": "tex", "csv": "csv"}


def layer(
    path: str, kind: str = "Linear", *, calls: int = 1, output: tuple[int, ...] = (1, 8), **more: object
) -> LayerRecord:
    """A record made by hand."""
    sites = (Site(((1, 4),), (output,), calls),) if calls else ()
    return LayerRecord(path, kind, sites=sites, **more)


def by_hand(*layers: LayerRecord, name: str = "Net") -> Profile:
    return Profile(name, ((1, 4),), layers, execution_record=Execution("real", seconds=0.0004))


def rows_of(text: str) -> list[str]:
    """The lines of the table: what stands between its header and its total, both included."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.split()[:1] == ["layer"])
    end = next(index for index, line in enumerate(lines) if line.split()[:1] == ["total"])
    return lines[start : end + 1]


# Snapshots


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_terminal(subjects: dict[str, Profile | Comparison], name: str, width: int) -> None:
    text = render_text(subjects[name], width)
    assert max(map(cell_len, text.splitlines())) <= width
    check(f"{name}-{width}.txt", text)


@pytest.mark.parametrize("name", NAMES)
def test_piped(subjects: dict[str, Profile | Comparison], name: str) -> None:
    check(f"{name}-piped.txt", render_text(subjects[name]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", EXTENSIONS)
def test_files(subjects: dict[str, Profile | Comparison], name: str, form: str) -> None:
    check(f"{name}.{EXTENSIONS[form]}", render(subjects[name], form))


def test_ascii(depthwise: Profile) -> None:
    text = render_text(depthwise, 80, ascii_only=True)
    assert text.isascii()
    check("depthwise-80-ascii.txt", text)


def test_what_ascii_spells_longer_is_not_cut() -> None:
    def net(layer: nn.Module) -> Profile:
        return profile(nn.Sequential(OrderedDict({"größe": layer})), (1, 2))

    both = compare(net(nn.Linear(2, 2)), net(nn.ReLU()))
    text = render_text(both, view=View(tree=True), ascii_only=True)
    assert text.isascii()
    assert "Linear -> ReLU" in text
    assert r"gr\xf6\xdfe" in text
    assert "..." not in text


def test_four_models_and_little_room(regular: Profile, depthwise: Profile) -> None:
    check("four-models-60.txt", render_text(compare(regular, depthwise, regular, depthwise), 60))


# On a terminal, by rich


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [60, 120])
def test_rich_shows_the_same_in_colour(subjects: dict[str, Profile | Comparison], name: str, width: int) -> None:
    def printed(**options: object) -> str:
        out = io.StringIO()
        Console(file=out, width=width, _environ={}, **options).print(render_rich(subjects[name]))
        return out.getvalue()

    plain = "\n".join(line.rstrip() for line in printed().splitlines())
    assert plain.strip("\n") == render_text(subjects[name], width)
    assert "\x1b[" not in plain
    assert "\x1b[1m" in printed(force_terminal=True, color_system="truecolor")


def test_printing_uses_the_renderer_hook(depthwise: Profile) -> None:
    assert str(depthwise) == render_text(depthwise)
    out = io.StringIO()
    Console(file=out, width=100).print(depthwise, compare(depthwise, depthwise))
    assert "every operation counted" in out.getvalue()
    assert "total operations" in str(compare(depthwise, depthwise))


def test_str_is_as_wide_as_the_terminal(depthwise: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert str(depthwise) == render_text(depthwise, None)  # a pipe has no width
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        text = str(depthwise)
    assert text == render_text(depthwise, 60)


# What has a row, and what a row says


def test_containers_that_cost_nothing_have_no_row(depthwise: Profile) -> None:
    first = [row.split()[0] for row in rows_of(render_text(depthwise))]
    assert "conv1" not in first
    assert "(model)" not in first
    assert {"conv1.depthwise", "flatten", "fc2"} < set(first)


def test_own_costs_of_containers_and_of_the_model_have_rows() -> None:
    made = by_hand(
        layer("", "Net", ops=OpCount(additions=8)),
        layer("block", "Block", ops=OpCount(additions=4)),
        layer("block.fc", ops=OpCount(multiplications=32)),
        layer("other", "Other"),
        layer("other.fc"),
    )
    assert [row.split()[0] for row in rows_of(render_text(made))][1:-1] == ["(model)", "block", "block.fc", "other.fc"]


def test_a_model_that_is_one_layer_has_a_row() -> None:
    assert "(model)" in render_text(by_hand(layer("", "Flatten")))


def test_repeated_calls_and_further_outputs() -> None:
    sites = (Site((), ((1, 8), (2, 1)), 2), Site((), ((1, 9), (2, 1)), 1))
    text = render_text(by_hand(LayerRecord("head", "Head", sites=sites, ops=OpCount(additions=3))))
    assert "head ×3" in text
    assert "1x8 +1 +1 size" in text


def test_never_called() -> None:
    made = by_hand(*(layer(f"aux.{index}", calls=0, params=5) for index in range(6)), layer("idle", "ReLU", calls=0))
    text = render_text(made)
    assert text.count("not called") == 6
    assert "never called: aux.0, aux.1, aux.2, aux.3 and 2 more" in text
    assert "idle" not in text  # no parameters, no call: nothing to say


def test_what_a_parent_owns_is_not_called_idle() -> None:
    term = Entry("layer", "MultiheadAttention", Term("dots", count=1, length=1), 1, OpCount(macs=1))
    made = by_hand(
        layer("attention", "MultiheadAttention", ops=OpCount(macs=1), entries=(term,)),
        layer("attention.out_proj", calls=0, params=20),
    )
    text = render_text(made)
    assert "out_proj" in text
    assert "called" not in text


def test_uncounted_is_said() -> None:
    def missing(path: str, *names: str) -> LayerRecord:
        return layer(path, "Block", uncounted=tuple(Uncounted(name, "operator", path, 2) for name in names))

    made = by_hand(*(missing(f"layer{index}", "aten.add", "aten.mul") for index in range(6)), missing("", "aten.fft"))
    text = render_text(made)
    assert "not counted, so the figures are a lower bound" in text
    assert "aten.add (operator), 12 calls in layer0, layer1, layer2, layer3 and 2 more" in text
    assert "aten.fft (operator), 2 calls in (model)" in text
    assert "every operation counted" not in text
    assert "total counted" in text
    many = by_hand(*(missing(f"l{index}", f"aten.op{index}") for index in range(9)))
    assert "and 4 more of these, 8 calls" in render_text(many)


def test_both_models_of_a_comparison_say_what_is_missing() -> None:
    whole = by_hand(layer("fc", ops=OpCount(1, 1)))
    part = by_hand(layer("fc", ops=OpCount(1, 1), uncounted=(Uncounted("f", "function", "fc", 1),)), name="Part")
    text = render_text(compare(whole, part))
    assert "Net: every operation counted" in text
    assert "Part: not counted, so the figures are a lower bound" in text


def test_empty_profile() -> None:
    for form in FORMATS:
        assert render(by_hand(), form)
    for width in WIDTHS:
        assert "total" in render_text(by_hand(), width)


def test_remarks_are_in_the_heading(depthwise: Profile) -> None:
    assert "12 ms · training mode" in render_text(depthwise, remarks=[["training mode"]])
    text = render_text(compare(depthwise, depthwise), remarks=[[], ["only conv"]])
    assert text.splitlines()[1].endswith("only conv")
    assert not text.splitlines()[0].endswith("only conv")


def test_execution_and_reason() -> None:
    made = replace(by_hand(), execution_record=Execution("shapes", "an answer depends on values", 2.5), inputs=())
    assert "Net · no input · shapes only (an answer depends on values), 2.5 s" in render_text(made)
    many = replace(made, inputs=((), (3,), (3,), (4,), (5,), (6,), (7,)))
    assert "inputs scalar, 3 ×2, 4, 5, 2 more" in render_text(many)


# Numbers and room


def test_numbers_are_exact_from_100_columns_on(regular: Profile) -> None:
    assert "240,000" in render_text(regular, 100)
    assert "240.0 k" in render_text(regular, 99)
    assert "MACs" in render_text(regular, 99)
    assert "416,520 multiplications" in render_text(regular, 99)  # what was rounded is said in full below
    assert "416,520 multiplications" not in render_text(regular, 100)


def test_columns_go_in_the_stated_order() -> None:
    made = by_hand(layer("a.rather.long.path.of.a.layer", ops=OpCount(10**6, 10**6, macs=10**6), params=10**5))
    gone: list[str] = []
    for width in range(140, 30, -1):
        kept = [column.key for column in lay_out(layers_sheet(made), width).sheet.columns]
        dropped = [column.key for column in COLUMNS if column.key not in kept]
        gone += [key for key in dropped if key not in gone]
        assert set(dropped) == set(DROPS[: len(dropped)])
    assert tuple(gone) == DROPS


def test_huge_counts_stay_exact_in_full_and_fit_when_narrow() -> None:
    made = by_hand(layer("fc", ops=OpCount(10**30 + 1, 10**36, macs=10**30 + 1), params=10**20))
    assert f"{10**30 + 1:,}" in render_text(made)
    assert f"{10**30 + 1}" in render(made, "csv")
    narrow = rows_of(render_text(made, 60))
    assert max(map(cell_len, narrow)) <= 60
    assert "1.000 Q" in narrow[1]
    assert "1.000e36" in narrow[1]


def test_long_paths_fold_at_dots_and_lose_nothing() -> None:
    path = "model.decoder.layers.11.encoder_attention.out_projection"
    text = render_text(by_hand(layer(path, ops=OpCount(10**6, 10**6))), 60)
    assert max(map(cell_len, text.splitlines())) <= 60
    assert "…" not in text
    lines = [line.split()[0] for line in rows_of(text)[1:-1]]
    assert "".join(lines) == path
    assert all(line.endswith(".") for line in lines[:-1])


def test_a_name_too_long_for_the_terminal_folds_too() -> None:
    text = render_text(by_hand(layer("x" * 100, ops=OpCount(10**6, 10**6))), 60)
    assert max(map(cell_len, text.splitlines())) <= 60
    assert text.count("x") == 100 + 1  # and one in the input's size
    assert "1.000 M" in text


def test_bars_are_as_long_as_the_largest_share() -> None:
    made = by_hand(layer("a", ops=OpCount(600)), layer("b", ops=OpCount(300)), layer("c", ops=OpCount(1)), layer("d"))
    bars = ["".join(char for char in row if "▏" >= char >= "█") for row in rows_of(render_text(made))[1:-1]]
    assert bars == ["█" * 10, "█" * 5, "▏", ""]


# Hostile names


HOSTILE = (
    "[bold]x[/bold]",
    "\x1b[31mred",
    "=1+1",
    "a|b",
    "*star*",
    "`tick`",
    "back\\slash",
    "new\nline",
    "<b>",
    "\u202etxt",
    "\ud800",
    "名前",
)


@pytest.fixture(scope="module")
def hostile() -> Profile:
    return by_hand(*(layer(name, f"T{name}", ops=OpCount(10, 10)) for name in HOSTILE), name="\x1b[2J[red]Net[/red]")


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "json"])
def test_no_name_reaches_the_output_as_a_control(hostile: Profile, form: str) -> None:
    for text in (render(hostile, form), render(compare(hostile, hostile), form)):
        assert all(char.isprintable() or char == "\n" for char in text)
        text.encode("utf-8")


def test_markup_is_shown_as_it_stands(hostile: Profile) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system="truecolor", _environ={})
    console.print(render_rich(hostile))
    text = out.getvalue()
    assert "[bold]x[/bold]" in text
    assert "\\x1b[31mred" in text
    assert "\x1b[31m" not in text
    assert "\x1b[2J" not in text


def test_spreadsheets_evaluate_nothing(hostile: Profile) -> None:
    for subject in (hostile, compare(hostile, hostile)):
        for row in csv.reader(io.StringIO(render(subject, "csv"))):
            assert not any(cell.startswith(("=", "+", "@")) for cell in row)
    cells = {row[0] for row in csv.reader(io.StringIO(render(hostile, "csv")))}
    assert "'=1+1" in cells


@pytest.mark.parametrize("form", ["markdown", "github"])
def test_markdown_tables_keep_their_columns(hostile: Profile, form: str) -> None:
    table = [line for line in render(hostile, form).splitlines() if line.startswith("|")]
    assert len(table) == len(HOSTILE) + 3
    assert {line.replace("\\|", "").count("|") for line in table} == {9}
    assert "\\<b\\>" in "\n".join(table)


def test_latex_rows_begin_with_no_option(hostile: Profile) -> None:
    text = render(hostile, "latex")
    assert "{[}bold]x" in text
    assert " {*}star*" in text
    assert "back\\textbackslash{}slash" in text


# Files


def test_csv_adds_up(regular: Profile) -> None:
    rows = list(csv.DictReader(io.StringIO(render(regular, "csv"))))
    for figure, value in {**regular.ops.to_dict(), "total": regular.total, "params": regular.params}.items():
        assert sum(int(row[figure]) for row in rows) == value


def test_json_comes_back(depthwise: Profile) -> None:
    assert Profile.from_json(render(depthwise, "json")) == depthwise


def test_unknown_form(depthwise: Profile) -> None:
    with pytest.raises(InputError, match="no form 'pdf'"):
        render(depthwise, "pdf")
