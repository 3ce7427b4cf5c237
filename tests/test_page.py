"""The page, in a real browser: what one sees, clicks, sorts, searches and prints; nothing is asked for outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lenet.models import Depthwise, Regular
from opcount import cli
from opcount.comparison import compare
from opcount.ops import OpCount
from opcount.profiler import profile
from opcount.result import Profile, Uncounted
from tests.browsing import CONTRAST, browser as browser
from tests.made import large, layer, net, transformer

pytest.importorskip("mpld3", reason="the page is drawn by d3 as mpld3 ships it, which is not installed")

HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "a&b\u2028\u2029'\"`${1}",
)

Opens = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opens]:
    """Opens a page, and sees at the end that it complained of nothing and asked for nothing."""
    complaints: list[str] = []
    asked: list[str] = []
    pages: list[Any] = []

    def opens(subject: Any, **options: Any) -> Any:
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(subject if isinstance(subject, str) else subject.to_page(), encoding="utf-8")
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        pages.append(page)
        return page

    yield opens
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("file:")] == []
    assert len(asked) == len(pages)


def rows(page: Any) -> list[str]:
    """The first cells of the table of layers."""
    return page.locator("#table tbody tr td:first-child").all_inner_texts()


def cells(page: Any, name: str) -> Any:
    return page.locator(f'#icicle button[aria-label^="{name}"]')


def test_it_shows_what_was_counted(opened: Opens) -> None:
    made = profile(Depthwise())
    page = opened(made)
    assert "Depthwise" in page.title()
    assert f"{made.macs:,}" in page.inner_text("#models")
    assert rows(page)[0] == "conv1.depthwise"
    assert len(rows(page)) == 15
    assert f"{made.total:,}" in page.inner_text("#table tfoot")
    assert "every operation counted" in page.inner_text("#notes")
    assert page.locator("#changes").is_hidden()
    assert page.locator("#model-choice").is_hidden()


def test_clicking_zooms_in_and_out(opened: Opens) -> None:
    page = opened(transformer())
    cells(page, "blocks.3,").click()
    assert page.inner_text("#trail").split() == ["Net", "›", "blocks", "›", "3"]
    assert page.inner_text("#told").startswith("blocks.3: 8,320 operations, 8.3 %")
    assert rows(page) == ["blocks.3", *(f"blocks.3.{name}" for name in ("norm", "up", "act", "down"))]
    assert page.inner_text("#table tfoot td:first-child") == "total of these"
    page.wait_for_timeout(400)
    assert cells(page, "blocks.3,").bounding_box()["width"] > 1150
    cells(page, "blocks.3,").click()  # again is out by one
    assert page.inner_text("#trail").split() == ["Net", "›", "blocks"]
    page.click("#out")
    assert page.locator("#out").is_disabled()
    page.click("#table tbody tr:nth-child(3) button")
    assert "blocks.0.norm" in page.inner_text("#told")
    page.click("#trail button:first-child")
    assert len(rows(page)) == 62


def test_widths_are_shares(opened: Opens) -> None:
    page = opened(transformer(2))
    page.wait_for_timeout(400)
    whole = page.locator("#icicle").bounding_box()["width"]
    for name, share in (("blocks.0,", 8320 / 16800), ("blocks.1.up,", 4000 / 16800), ("head,", 160 / 16800)):
        assert cells(page, name).bounding_box()["width"] / whole == pytest.approx(share, abs=0.005)
    page.select_option("#figure", "params")
    page.wait_for_timeout(400)
    assert cells(page, "embed,").bounding_box()["width"] / whole == pytest.approx(640 / 8944, abs=0.005)


def test_shown_shares_sum_to_one_hundred(opened: Opens) -> None:
    page = opened(net(*(layer(f"l{index}x", ops=OpCount(1)) for index in range(7))))
    shares = page.locator("#table tbody .percent").all_inner_texts()
    assert round(sum(float(share.split()[0]) for share in shares), 6) == 100


def test_keys_do_what_clicks_do(opened: Opens) -> None:
    page = opened(transformer())
    page.locator('#icicle button[tabindex="0"]').focus()
    assert page.locator('#icicle button[tabindex="0"]').count() == 1
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("blocks.2, Block")
    page.keyboard.press("Enter")
    assert page.inner_text("#told").startswith("blocks.2:")
    page.keyboard.press("Escape")
    assert page.inner_text("#told").startswith("blocks:")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.inner_text("#told").startswith("(model):")


def test_sorting(opened: Opens) -> None:
    page = opened(profile(Regular()))
    header = page.locator("#table th", has_text="multiplications")
    header.locator("button").click()
    assert rows(page)[:3] == ["conv2", "conv1", "conv3"]
    assert header.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")  # the header keeps the focus
    assert header.get_attribute("aria-sort") == "ascending"
    assert rows(page)[-1] == "conv2"
    page.locator("#table th", has_text="layer").locator("button").click()
    assert rows(page) == sorted(rows(page))
    page.click("#reset")
    assert rows(page)[0] == "conv1"


def test_searching_and_filtering(opened: Opens) -> None:
    page = opened(transformer())
    page.fill("#search", "UP")
    assert rows(page) == [f"blocks.{index}.up" for index in range(12)]
    assert page.inner_text("#count") == "12 of 62 rows"
    assert "48,000" in page.inner_text("#table tfoot")
    page.fill("#search", "")
    page.select_option("#type", "GELU")
    assert len(rows(page)) == 12
    page.select_option("#type", "")
    page.check("#costly")
    assert "embed" not in rows(page)
    page.fill("#search", "nowhere")
    assert rows(page) == []
    page.click("#reset")
    assert len(rows(page)) == 62


def test_counts_beyond_a_double_are_exact_and_sort_rightly(opened: Opens) -> None:
    made = net(
        *(layer(f"l{index}", ops=OpCount(2**60 + index)) for index in (2, 3, 1)), layer("l4", ops=OpCount(10**40))
    )
    page = opened(made)
    page.locator("#table th", has_text="multiplications").locator("button").click()
    assert rows(page) == ["l4", "l3", "l2", "l1"]
    text = page.inner_text("#table")
    for count in (2**60 + 1, 2**60 + 2, 10**40, made.multiplications):
        assert f"{count:,}" in text


def test_a_model_of_3000_modules_opens_within_a_second(opened: Opens) -> None:
    made = large()
    assert len(made) == 3011
    page = opened(made)
    timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    seconds = [page.evaluate(timing) / 1000]
    while min(seconds) > 1 and len(seconds) < 4:  # the machine may have been busy
        seconds.append(opened(made).evaluate(timing) / 1000)
    assert min(seconds) < 1
    page.wait_for_selector("#table tbody tr:nth-child(2520)", state="attached")  # the rest follows
    assert page.locator("#table tbody tr").count() == 2520
    page.fill("#search", "stage3.11.part2.4")
    assert rows(page) == ["stage3.11.part2.4"]


def test_models_side_by_side(opened: Opens) -> None:
    page = opened(compare(profile(Regular()), profile(Depthwise())))
    changes = page.inner_text("#changes-table")
    assert re.search(r"±\s*conv1\s+Conv2d → DepthwiseSeparable\s+235,200\s+48,608\s+-79.33 %", changes)
    assert re.search(r"\+\s*depthwise\s+Conv2d\s+–\s+39,200\s+new", changes)
    assert "pool1" not in changes
    page.uncheck("#changes-only")
    assert "pool1" in page.inner_text("#changes-table")
    page.select_option("#changes-figure", "params")
    assert "61,706" in page.inner_text("#changes-table tfoot")
    page.select_option("#model", label="Depthwise")
    assert rows(page)[0] == "conv1.depthwise"
    assert "-84.60" in page.inner_text("#models")


def test_names_are_neither_markup_nor_script(opened: Opens) -> None:
    made = net(*(layer(name, f"T{name}", ops=OpCount(10)) for name in HOSTILE), name=HOSTILE[0])
    for subject in (made, compare(made, net(layer("a"), name=HOSTILE[1]))):
        page = opened(subject)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img, iframe, object").count() == 0
        assert page.locator("script").count() == 3
        assert HOSTILE[1] in rows(page)
        cells(page, "<img").first.click()
        assert page.inner_text("#told").startswith("<img")
        assert page.evaluate("window.hacked") is None


def test_what_was_not_counted_is_said(opened: Opens) -> None:
    missing = (Uncounted("aten.fft", "operator", "a", 2),)
    broken = Profile("Net", (), (layer("a"), layer("b", ops=OpCount(1))))
    broken = Profile("Net", (), (type(broken.layers[0])("a", "Fft", uncounted=missing), broken.layers[1]))
    page = opened(broken)
    assert "a lower bound" in page.inner_text("#models")
    assert "aten.fft (operator), 2 calls" in page.inner_text("#notes")


def test_an_empty_profile(opened: Opens) -> None:
    page = opened(net())
    assert rows(page) == []
    assert page.inner_text("#count") == "0 of 0 rows"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(opened: Opens, scheme: str) -> None:
    """Contrast of at least 4.5 to 1, as WCAG asks, of every text with what is behind it."""
    page = opened(compare(transformer(), transformer(10)), color_scheme=scheme)
    worst = page.evaluate(CONTRAST)
    assert worst[0] >= 4.5, worst


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_is_wider_than_the_window(opened: Opens, width: int) -> None:
    page = opened(compare(transformer(), transformer(10)), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_screen_reader_has_names_for_everything(opened: Opens) -> None:
    page = opened(transformer())
    unnamed = """[...document.querySelectorAll('button, select, input')].filter((each) => each.offsetParent &&
        !(each.getAttribute('aria-label') || each.textContent.trim() || (each.labels && each.labels.length)))"""
    assert page.evaluate(f"{unnamed}.length") == 0
    assert page.locator('[role="status"][aria-live="polite"]').count() == 2
    assert page.locator("h1").count() == 1
    assert page.get_attribute("html", "lang") == "en"
    assert page.get_by_role("columnheader", name="multiplications").count() == 1
    assert "blocks.0.up, Linear: 4,000 operations, 4.0 %" in page.locator("#icicle").inner_html()


def test_printing_has_every_row_and_no_controls(opened: Opens) -> None:
    page = opened(large(stages=3))
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#table tbody tr").count() == 756
    page.emulate_media(media="print")
    assert page.locator("#search").is_hidden()
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"
    assert len(page.pdf()) > 10_000


# Without a browser


def test_one_file_that_asks_for_nothing() -> None:
    text = transformer(2).to_page()
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-", text)
    assert not re.search(
        r"<(link|img|iframe)\b|\bsrc=|@import|url\(", text.partition('<script type="application/json"')[0]
    )
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert data["models"][0]["params"] == "8944"
    assert all(isinstance(figure, str) for figure in data["models"][0]["layers"][3][5:12])


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.html"
    assert cli.main(["lenet.models:Regular", "lenet.models:Depthwise", "--html", str(path)]) == 0
    assert capsys.readouterr().out == ""
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
