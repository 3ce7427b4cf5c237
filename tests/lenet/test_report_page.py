"""The files of a report: figures that parse, the same bytes again, and the page in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lenet.report import write
from lenet.report.document import Card, Code, Paper, Paragraph, Section, Table
from lenet.report.facts import gather
from lenet.report.paper import paper
from lenet.report.rendering import markdown, page
from lenet.report.run import read
from tests.browsing import CONTRAST, browser as browser
from tests.lenet.made_runs import made_frontier, made_run

NAMES = ("architectures", "accuracy", "loss", "pareto")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a frontier run with its report: the most there is on a page."""
    folder = made_frontier(tmp_path_factory.mktemp("run"))
    names = [path.name for path in write(folder)]
    assert names == ["report.md", "report.html", *(f"mnist-{name}.{form}" for name in NAMES for form in ("png", "svg"))]
    return folder


def test_figures_are_images(written: Path) -> None:
    for name in NAMES:
        data = (written / f"mnist-{name}.png").read_bytes()
        assert data.startswith(SIGNATURE)
        assert min(int.from_bytes(data[at : at + 4], "big") for at in (16, 20)) > 400  # pixels, across and down
        root = ElementTree.fromstring((written / f"mnist-{name}.svg").read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        texts = "".join(root.itertext())
        assert "MNIST" in texts
        if name != "architectures":
            assert "regular" in texts
            assert "depthwise" in texts


def test_the_drawing_has_every_layer_with_its_multiplications(written: Path) -> None:
    """As in the hand-derived tables: each step of each convolution, and the linear layers."""
    root = ElementTree.fromstring((written / "mnist-architectures.svg").read_text(encoding="utf-8"))
    texts = [text.strip() for text in root.itertext() if text.strip()]
    for count in ("117,600", "240,000", "48,000", "19,600", "4,704", "15,000", "9,600", "400", "1,920"):
        assert count in texts
    assert texts.count("10,080") == 2
    assert "94,624 operations in the convolutions, 88.24 % fewer" in texts
    assert texts.count("6×28×28") == 2


def test_the_report_shows_its_figures(written: Path) -> None:
    text = (written / "report.md").read_text(encoding="utf-8")
    for shown in re.findall(r"\((mnist-[^)]+)\)", text):
        assert (written / shown).is_file()


def test_the_same_run_gives_the_same_bytes(written: Path) -> None:
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    write(written)
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(written: Path) -> None:
    """With other hashes, and a user's own matplotlib settings."""
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    (written / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsvg.fonttype: path\n")
    subprocess.run(
        [sys.executable, "-m", "lenet.report", str(written)],
        check=True,
        env={"PYTHONPATH": ".", "PYTHONHASHSEED": "5", "MATPLOTLIBRC": str(written), "PATH": "/usr/bin"},
    )
    (written / "matplotlibrc").unlink()
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


# In a browser


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What a page says on its console, what it raises, and what it asks for outside: nothing."""
    said: list[str] = []
    yield said
    assert said == []


def opened(browser: Any, path: Path, complaints: list[str], **options: Any) -> Any:
    made = browser.new_page(**{"viewport": {"width": 1100, "height": 900}, **options})
    made.on("console", lambda message: complaints.append(message.text))
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("request", lambda request: request.url == path.as_uri() or complaints.append(request.url))
    made.goto(path.as_uri())
    return made


def test_the_page(browser: Any, written: Path, complaints: list[str]) -> None:
    page = opened(browser, written / "report.html", complaints)
    assert page.title() == "LeNet-5 with regular and depthwise separable convolutions on MNIST"
    assert page.inner_text(".cards").count("MNIST") == 5
    assert "f(x, Cout, K) = x·(1/Cout + 1/K²)" in page.inner_text("#questions")
    assert page.locator("script, link, img, iframe").count() == 0
    assert page.locator("figure svg").count() == len(NAMES)
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((each) => each.id)).size") == (
        page.locator("[id]").count()
    )
    page.close()


def test_its_figures_are_told_to_who_cannot_see_them(browser: Any, written: Path, complaints: list[str]) -> None:
    page = opened(browser, written / "report.html", complaints)
    alts = [figure.get_attribute("aria-label") for figure in page.get_by_role("img").all()]
    assert len(alts) == len(NAMES)
    assert "conv2.pointwise to 16x10x10" in alts[0]
    assert "regular ends at 98.45 % on test images and depthwise ends at 97.40 % on test images" in alts[1]
    assert "On the front: depthwise of width 0.5," in alts[3]
    assert page.get_by_role("table").count() == page.locator("table").count() == 7
    assert page.get_by_role("rowheader", name="final test accuracy").count() == 1
    assert page.locator("h1").count() == 1
    assert page.get_attribute("html", "lang") == "en"
    page.close()


@pytest.mark.parametrize("width", [360, 820, 1600])
def test_nothing_is_wider_than_the_window(browser: Any, written: Path, complaints: list[str], width: int) -> None:
    page = opened(browser, written / "report.html", complaints, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser: Any, written: Path, complaints: list[str], scheme: str) -> None:
    """Contrast of at least 4.5 to 1 of every text, and figures in the page's own colours."""
    page = opened(browser, written / "report.html", complaints, color_scheme=scheme)
    worst = page.evaluate(CONTRAST)
    assert worst[0] >= 4.5, worst
    texts = page.evaluate("[...document.querySelectorAll('svg text')].map((each) => getComputedStyle(each).fill)")
    assert ("rgb(232, 234, 237)" if scheme == "dark" else "rgb(28, 32, 36)") in texts
    assert not {"rgb(0, 0, 0)", "rgb(255, 255, 255)"} & set(texts)
    page.close()


def test_it_prints(browser: Any, written: Path, complaints: list[str]) -> None:
    page = opened(browser, written / "report.html", complaints, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 254)"
    assert len(page.pdf()) > 10_000
    page.close()


HOSTILE = "<img src=x onerror=alert(1)> </script> ``` | \" ' & ${x} {{ x }}"


def test_no_text_is_markup(browser: Any, tmp_path: Path, complaints: list[str]) -> None:
    blocks = [Paragraph(HOSTILE), Code(HOSTILE), Table(HOSTILE, ("", HOSTILE), [(HOSTILE, HOSTILE)])]
    made = Paper(HOSTILE, HOSTILE, [Card(HOSTILE, HOSTILE, HOSTILE)], [HOSTILE], [Section("a", HOSTILE, blocks)])
    path = tmp_path / "report.html"
    path.write_text(page(made, {}), encoding="utf-8")
    shown = opened(browser, path, complaints)
    assert shown.locator("img").count() == 0
    assert HOSTILE in shown.inner_text("pre")
    shown.close()
    text = markdown(made)
    assert f"\n````\n{HOSTILE}\n````\n" in text
    assert " ``` \\| " in text


def test_a_command_of_any_words(tmp_path: Path) -> None:
    run = read(made_run(tmp_path, epochs=1, seeds=[0], command=f"python -m lenet.train --out '{HOSTILE}'"))
    text = page(paper(gather(run), None), defaultdict(str))
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<img" not in text
