"""Which rows a table has: folded, as a tree, cut at a depth, sorted, counted out; whatever is shown, rows sum up."""

from __future__ import annotations

import doctest
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.console import Console

from opcount.comparison import compare
from opcount.errors import InputError
from opcount.ops import FIGURES, OpCount
from opcount.report import render, render_rich, render_text
from opcount.report.digits import apportioned
from opcount.report.lines import Line, flat_lines, tree_lines
from opcount.report.view import SORTABLE, View
from opcount.result import Profile
from opcount.tree import grow, runs
from tests.made import layer, net, transformer
from tests.snapshots import check

NAMES = ("a", "b0", "b1", "b2", "7")
trees = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES), max_size=4).map(".".join), st.integers(0, 3), st.integers(0, 2)),
    max_size=25,
    unique_by=lambda drawn: drawn[0],
)


def made(drawn: list[tuple[str, int, int]]) -> Profile:
    return net(*(layer(path, "T", calls=1, params=cost, ops=OpCount(cost, calls)) for path, cost, calls in drawn))


def first_cells(text: str) -> list[str]:
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.split()[:1] == ["layer"]) + 1
    end = next(index for index, line in enumerate(lines) if line.split()[:1] == ["total"])
    return [line[2:].split("  ")[0] if line[2] != " " else line[2:].rstrip() for line in lines[start:end]]


def sums(lines: list[Line]) -> tuple[OpCount, int]:
    return sum((line.ops[0] for line in lines), OpCount()), sum(line.params[0] for line in lines)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    ("name", "view"),
    [("folded", None), ("tree", View(tree=True)), ("depth", View(depth=2)), ("top", View(top=4, sort="mults"))],
)
def test_transformer(name: str, view: View | None, width: int) -> None:
    text = render_text(transformer(), width, view=view)
    assert max(map(cell_len, text.splitlines())) <= width
    check(f"transformer-{name}-{width}.txt", text)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_what_changed(width: int) -> None:
    text = render_text(compare(*changed()), width, view=View(tree=True))
    assert max(map(cell_len, text.splitlines())) <= width
    check(f"changes-{width}.txt", text)


@pytest.mark.parametrize(
    ("form", "suffix"), [("plain", "plain.txt"), ("markdown", "md"), ("latex", "tex"), ("html", "html"), ("csv", "csv")]
)
def test_what_changed_in_files(form: str, suffix: str) -> None:
    check(f"changes.{suffix}", render(compare(*changed()), form, view=View(tree=True)))


def changed() -> tuple[Profile, Profile]:
    return transformer(8, name="Before"), transformer(6, wide=frozenset({3}), head="classifier", name="After")


def test_equal_neighbours_fold_and_others_do_not() -> None:
    names = [line.path for line in flat_lines(grow(transformer(wide=frozenset({4}))), View(fold=True))]
    assert names[1:11] == [
        f"blocks.{block}{part}" for block in ("0–3", "4") for part in ("", ".norm", ".up", ".act", ".down")
    ]
    assert "blocks.5–11.up" in names


def test_folding_by_itself_where_it_helps() -> None:
    short, long = transformer(3), transformer(12)
    assert "blocks.0.up" in render_text(short)
    assert "blocks.0–11.up ×12" in render_text(long)
    assert "identical layers share a row: 60 in 5 rows, as in blocks.0–11" in render_text(long)
    assert "blocks.0–11.norm ×24" in render_text(long)  # called twice in each
    assert "blocks.11.up" in render_text(long, view=View(fold=False))
    assert "blocks.0–2.up ×3" in render_text(short, view=View(fold=True))
    assert "blocks.11.up" in render(long, "markdown")  # a file is a list of layers
    assert "blocks.0–11.up ×12" in render(long, "markdown", view=View(fold=True))


def test_names_that_do_not_count_up_do_not_fold() -> None:
    same = [layer(name, ops=OpCount(1)) for name in ("query", "key", "h0", "h2", "h3", "h03", "0", "1")]
    assert [name for name, _ in runs(grow(net(*same)).children)] == ["query", "key", "h0", "h2–3", "h03", "0–1"]


def test_a_row_of_a_tree_includes_those_under_it() -> None:
    lines = tree_lines(grow(transformer(2)), View(tree=True))
    assert [("  " * line.level + line.label, line.own) for line in lines][:6] == [
        ("embed", False), ("blocks", False), ("  0–1", False),
        ("    0–1", True), ("    norm", False), ("    up", False),
    ]  # fmt: skip
    assert lines[1].ops[0] == lines[2].ops[0] == sum((line.ops[0] for line in lines if line.level == 2), OpCount())


@given(trees, st.sampled_from([None, True, False]), st.integers(0, 4) | st.none(), st.integers(1, 4) | st.none())
def test_rows_sum_to_the_total(drawn: object, fold: bool | None, depth: int | None, top: int | None) -> None:
    profile = made(drawn)
    flat = flat_lines(grow(profile), View(depth=depth, fold=fold, top=top), wide=True)
    assert sums(flat) == (profile.ops, profile.params)
    assert sum(line.shares for line in flat) == (1000 if profile.total else 0)
    assert top is None or len(flat) <= top + 1
    tree = tree_lines(grow(profile), View(tree=True, depth=depth, fold=fold))
    assert sums([line for line in tree if line.level == 0]) == (profile.ops, profile.params)
    for place, line in enumerate(tree):  # what is under a row adds up to it
        below = []
        for other in tree[place + 1 :]:
            if other.level <= line.level:
                break
            below += [other] * (other.level == line.level + 1)
        assert not below or (sums(below), sum(each.shares for each in below)) == (sums([line]), line.shares)


@given(st.lists(st.integers(0, 10**20), max_size=40), st.integers(0, 1000))
def test_apportioning_is_fair_and_exact(parts: list[int], seats: int) -> None:
    given_out = apportioned(parts, seats)
    assert sum(given_out) == (seats if any(parts) else 0)
    whole = sum(parts)
    assert all(abs(seats * part - got * whole) < whole for part, got in zip(parts, given_out, strict=True) if whole)


def test_shown_shares_sum_to_one_hundred() -> None:
    text = render_text(net(*(layer(f"l{index}x", ops=OpCount(1)) for index in range(7))))
    shares = [float(found) for found in re.findall(r"(\d+\.\d) %", text)]
    assert len(shares) == 7
    assert round(sum(shares), 6) == 100


@pytest.mark.parametrize("column", SORTABLE)
def test_sorting(column: str) -> None:
    lines = flat_lines(grow(transformer(3)), View(sort=column))
    assert len(lines) == 17
    if column in FIGURES:
        values = [getattr(line.ops[0], column) for line in lines]
        assert values == sorted(values, reverse=True)
        assert column[:5] in render_text(transformer(3), view=View(sort=column)).lower()
    text = render_text(transformer(3), 120, view=View(sort=column))
    assert "total" in text


def test_sorting_by_layer_counts_as_people_do() -> None:
    paths = [line.path for line in flat_lines(grow(transformer(12)), View(sort="layer", fold=False))]
    assert paths.index("blocks.9.up") < paths.index("blocks.10.up")


def test_top_leaves_nothing_out() -> None:
    text = render_text(transformer(12), view=View(top=2, fold=False))
    assert "60 more rows" in text
    assert "share a row" not in text


def test_depth() -> None:
    assert first_cells(render_text(transformer(), view=View(depth=1))) == ["embed", "blocks", "head"]
    assert first_cells(render_text(transformer(), view=View(depth=0))) == ["(model)"]
    assert first_cells(render_text(transformer(), view=View(tree=True, depth=0))) == ["(model)"]


def test_a_very_deep_model() -> None:
    deep = net(*(layer(".".join(["m"] * level), ops=OpCount(1)) for level in range(1, 1200, 3)))
    assert len(flat_lines(grow(deep), View(fold=True))) == 400
    assert len(tree_lines(grow(deep), View(tree=True))) > 1000
    assert len(compare(deep, net(layer("m"), layer("n"))).layers) == 401


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sort": "mulst"}, "there is no column 'mulst'; did you mean mults"),
        ({"top": 0}, "--top 0 shows nothing"),
        ({"depth": -1}, "--depth -1 shows nothing"),
        ({"tree": True, "top": 3}, "leave out --top or --tree"),
    ],
)
def test_views_that_cannot_be(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        View(**options)


@pytest.mark.parametrize("form", ["json", "csv", "speedscope", "chrome-trace"])
def test_data_is_written_in_full(form: str) -> None:
    with pytest.raises(InputError, match=f"--depth shapes a table, and {form} is written in full"):
        render(transformer(1), form, view=View(depth=1))


# Layers of several models side by side


def test_layers_are_matched_by_path_then_by_position_and_type() -> None:
    layers = {each.path: each for each in compare(*changed()).layers}
    assert layers["blocks.3.down"].status == "changed"
    assert layers["blocks.7.up"].status == "removed"
    assert layers["blocks.0.up"].status == "same"
    assert layers["head → classifier"].paths == ("head", "classifier")
    assert compare(*changed()[::-1]).layers[-1].status == "added" or "classifier → head" in {
        each.path for each in compare(*changed()[::-1]).layers
    }


def test_a_layer_put_into_a_sequence_does_not_change_those_behind_it() -> None:
    before = net(*(layer(str(index), kind, ops=OpCount(1)) for index, kind in enumerate(("Conv2d", "ReLU", "Linear"))))
    kinds = ("Conv2d", "Norm", "ReLU", "Linear")
    after = net(*(layer(str(index), kind, ops=OpCount(1)) for index, kind in enumerate(kinds)))
    found = [(each.status, each.paths) for each in compare(before, after).layers]
    assert found == [("same", ("0", "0")), ("added", (None, "1")), ("same", ("1", "2")), ("same", ("2", "3"))]


def test_a_layer_of_another_type_in_the_same_place_is_a_change() -> None:
    one, two = (net(layer("0", ops=OpCount(1)), layer("1", kind, ops=OpCount(1))) for kind in ("ReLU", "GELU"))
    assert [each.types for each in compare(one, two).layers] == [("Linear", "Linear"), ("ReLU", "GELU")]
    assert [each.status for each in compare(one, two).layers] == ["same", "changed"]


@given(trees, trees, trees)
def test_layers_of_a_comparison_sum_to_its_total(one: object, two: object, three: object) -> None:
    comparison = compare(*map(made, (one, two, three)))
    for figure in (*FIGURES, "total", "params"):
        for index, whole in enumerate(comparison.total.values(figure)):
            assert sum(each.values(figure)[index] or 0 for each in comparison.layers) == whole
    for profile, index in zip(comparison.profiles, range(3), strict=True):  # every path once
        paths = [each.paths[index] for each in comparison.layers if each.paths[index] is not None]
        assert len(paths) == len(set(paths)) or len(profile) == 0


def test_what_is_the_same_is_one_row() -> None:
    text = render_text(compare(*changed()), view=View(tree=True))
    labels = [row[2:].split("  Block")[0].strip() for row in text.splitlines() if "  Block" in row]
    assert labels == ["0–2", "±   3", "4–5", "−   6–7"]
    assert "+ added · − removed · ± changed" in text


def test_the_page_on_reports_tells_the_truth() -> None:
    page = Path(__file__).parents[1] / "docs" / "reports.md"
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def test_parts_sorted_and_counted_out() -> None:
    comparison = compare(*changed())
    text = render_text(comparison, view=View(sort="total", top=1))
    assert first_cells(text)[0].startswith("blocks")
    assert "2 more rows" in text
    with pytest.raises(InputError, match="cannot be sorted by type"):
        render_text(comparison, view=View(sort="type"))


def test_colours_tell_added_from_removed() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system="standard", _environ={})
    console.print(render_rich(compare(transformer(2), net(layer("new", "New", ops=OpCount(1)))), view=View(tree=True)))
    assert "\x1b[32m+ new" in out.getvalue()
    assert "\x1b[31m− blocks" in out.getvalue()
