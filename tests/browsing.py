"""A real browser for tests of pages, and what they measure in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = os.environ.get("OPCOUNT_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)

CONTRAST = """() => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const linear = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
    const behind = (node) => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const texts = 'h1,h2,p,td,th,dt,dd,small,label,.cell:not(.above),li,button:not(:disabled)';
    let least = [99, ''];
    for (const node of document.querySelectorAll(texts)) {
        if (!node.textContent.trim() || !node.offsetParent) continue;
        const both = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
        const ratio = (both[0] + .05) / (both[1] + .05);
        if (ratio < least[0]) least = [ratio, node.outerHTML.slice(0, 80)];
    }
    return least;
}"""
"""The least contrast of a text with what is behind it, and where that is."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip(
        "playwright.sync_api", reason="the browser is driven by playwright, which is not installed"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium is found: install it, or name it in OPCOUNT_CHROMIUM")
    with api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()
