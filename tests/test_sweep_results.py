"""What is asked of a sweep's rows: conditions, order, the Pareto front, joins, tables, pictures and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opcount import sweep
from opcount.errors import InputError
from opcount.sweeping import Results
from opcount.sweeping.expressions import Condition
from opcount.sweeping.pareto import front
from tests import spaces
from tests.test_sweep import Here

NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, float("nan"), float("inf"), None, True, "word"]))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    store = str(tmp_path_factory.mktemp("results") / "rows.sqlite")
    space = [{"how": how, "size": size} for how in ("fine", "raise") for size in (3, 1, 2)]
    return sweep(
        lambda how, size: spaces.troubled(how) and spaces.dense(size), space, (1, 8), executor=Here(), store=store
    )


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] and one != other


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30), st.sets(st.sampled_from(["x", "y"])))
def test_the_front_is_what_nobody_beats(pairs: list[tuple[Any, Any]], most: set[str]) -> None:
    """Against comparing every row with every other."""
    rows = [{"x": x, "y": y, "at": at} for at, (x, y) in enumerate(pairs)]
    signs = [-1 if name in most else 1 for name in "xy"]
    places = {
        row["at"]: (signs[0] * row["x"], signs[1] * row["y"])
        for row in rows
        if is_number(row["x"]) and is_number(row["y"])
    }
    unbeaten = {at for at, place in places.items() if not any(beats(other, place) for other in places.values())}
    found = front(rows, "x", "y", most=most)
    assert {row["at"] for row in found} == unbeaten
    assert len(found) == len(unbeaten)
    assert [row["x"] for row in found] == sorted(row["x"] for row in found)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a < 3", True),
        ("a < 3e0 and not b", False),
        ("1 <= a <= 2 or missing", True),
        ("word == 'it' and a in [1, 2]", True),
        ("word not in ('it', 'that')", False),
        ("none < 1", False),
        ("not (none >= 1)", True),
        ("none is None and a != None", True),
        ("a * 2 + 1 - 3 / 2 == 3.5", True),
        ("-a % 3 == 1 and a // 2 == 1", True),
        ("a / 0 > 1", False),
        ("none + 1 > 0", False),
        ("pair == [1, 2]", True),
        ("True", True),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    row = {"a": 2, "b": True, "word": "it", "none": None, "pair": (1, 2), "missing": False}
    assert Condition(text)(row) is holds


@pytest.mark.parametrize(
    "text",
    [
        *("", "a <", "a; b", "a = 1", "f(a)", "a.b", "a[0]", "a ** 9", "lambda: 1", "[x for x in a]", "a if b else c"),
        *("__import__('os')", "(a := 1)", "f'{a}'", "a @ b", "~a", "{1: 2}", "b'x'", "1j", "...", "a\0b", "(" * 500),
        "a < 1 " * 500,
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="condition"):
        Condition(text)


@pytest.mark.parametrize(("text", "said"), [("mcas < 1", "did you mean macs"), ("how < 1", "cannot be told")])
def test_conditions_that_do_not_fit_the_rows(text: str, said: str, results: Results) -> None:
    with pytest.raises(InputError, match=said):
        list(results.where(text))


def test_filters_and_order(results: Results) -> None:
    assert [row["size"] for row in results.where("macs < 20")] == [1, 2]
    assert [row["size"] for row in results.where(lambda row: row["error"])] == [3, 1, 2]
    assert [row["macs"] for row in results.sort("macs")] == [8, 16, 24, None, None, None]
    assert [row["macs"] for row in results.sort("macs", descending=True)] == [24, 16, 8, None, None, None]
    assert [row["size"] for row in results.where("error == None").pareto("macs", "size", maximize="size")] == [1, 2, 3]
    assert len(results.where("macs > 1000")) == 0
    for wrong in (results.sort("mcas"), results.pareto("mcas", "params")):
        with pytest.raises(InputError, match="did you mean macs"):
            list(wrong)
    with pytest.raises(InputError, match="neither"):
        results.pareto("macs", "params", maximize="size")


def test_an_accuracy_of_ones_own(results: Results) -> None:
    accuracies = [{"size": 1, "accuracy": 0.9}, {"size": 2, "accuracy": 0.8}, {"size": 3, "accuracy": 0.95}]
    joined = results.join(accuracies, on=["size"])
    assert [row["size"] for row in joined.pareto("macs", "accuracy", maximize="accuracy")] == [1, 3]
    assert [row["accuracy"] for row in results.join(accuracies[:1])] == [None, 0.9, None] * 2
    for table, said in (
        ([], "shares no name"),
        ([{"accuracy": 1}], "shares no name"),
        (accuracies * 2, "two entries"),
        ([{"size": 1, "macs": 3}], "already"),
    ):
        with pytest.raises(InputError, match=said):
            results.join(table)


def test_tables(results: Results) -> None:
    assert results.render("csv").splitlines()[1].startswith("fine,3,24,24,0,0,0,24,48,27,12,True,,shapes,1x8,")
    data = json.loads(results.render("json"))
    assert (data["schema"], len(data["rows"]), data["rows"][5]["error"]) == (
        "opcount-sweep/1",
        6,
        "ValueError: no luck",
    )
    text = results.render("rich", top=2)
    assert "and 4 more rows" in text
    assert "fine  3" in text
    assert "ValueError: no luck" in results.render("github")
    with pytest.raises(InputError, match="did you mean markdown"):
        results.render("markdwon")


def test_dataframe(results: Results) -> None:
    pandas = pytest.importorskip("pandas")
    frame = results.to_dataframe()
    assert frame["macs"].tolist()[:3] == [24, 8, 16]
    assert frame["macs"].isna().tolist() == [False] * 3 + [True] * 3
    assert (str(frame["macs"].dtype), str(frame["size"].dtype)) == ("Int64", "int64")
    assert pandas.api.types.is_float_dtype(frame["seconds"])


def test_plot(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = results.plot(str(tmp_path / "front.svg"), x="macs", y="size", maximize="size")
    (axes,) = figure.axes
    assert axes.get_ylabel() == "size (more is better)"
    assert sorted(axes.collections[0].get_offsets().tolist()) == [[8, 1], [16, 2], [24, 3]]
    assert "<svg" in (tmp_path / "front.svg").read_text()
    with pytest.raises(InputError, match="nothing to draw"):
        results.where("macs > 1000").plot()
    with pytest.raises(InputError, match="form of picture"):
        results.plot(str(tmp_path / "front.doc"))


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="the page is looked at with playwright")
    pytest.importorskip("mpld3", reason="what draws the page is not installed")
    from tests.browsing import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("no Chromium to look with")
    hostile = "</script><img src=x onerror=window.hacked=1>"
    space = [{"width": width, "name": hostile} for width in (1, 4, 2)] + [{"width": -1, "name": "bad"}]
    build = lambda width, name: spaces.dense(width)  # noqa: E731
    rows = sweep(build, space, (1, 8), executor=Here(), store=str(tmp_path / "rows.sqlite"))
    (tmp_path / "page.html").write_text(rows.to_page(x="macs", y="width", maximize="width", title=hostile), "utf-8")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.inner_text("#told") == "3 of 3 points are on the front."
        page.uncheck("#y-most")
        assert page.inner_text("#told") == "1 of 3 points is on the front."
        page.check("#best")
        assert page.locator("tbody tr").count() == 1
        page.uncheck("#best")
        page.click("thead button:has-text('macs')")
        assert page.locator("tbody tr td:first-child").all_inner_texts()[0] == "4"
        page.fill("#search", "bad")
        assert page.inner_text("#count") == "1 point"
        page.locator("circle").first.click()
        assert "macs" in page.inner_text("#told")
        assert page.evaluate("window.hacked") is None
        assert complaints == []
        browser.close()
