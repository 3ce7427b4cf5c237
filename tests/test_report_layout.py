"""Whatever a model is called and costs: no line is wider than the terminal, and nothing is cut."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st
from rich.cells import cell_len

from opcount.comparison import compare
from opcount.ops import Execution, OpCount
from opcount.report import render_text
from opcount.report.digits import EXACT_BELOW, bar, change, duration, share, si
from opcount.report.escape import visible
from opcount.report.layout import fold, fold_path
from opcount.result import LayerRecord, Profile, Site

names = st.text(st.characters(codec="utf-8", exclude_characters=".…"), min_size=1, max_size=30)
paths = st.lists(names, min_size=1, max_size=5).map(".".join)
counts = st.one_of(st.integers(0, 10**5), st.integers(0, 10**18))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    layers = []
    for path in draw(st.lists(paths, max_size=6, unique=True)):
        ops = OpCount(*(draw(counts) for _ in range(6)))
        shape = tuple(draw(st.lists(st.integers(0, 4096), max_size=5)))
        sites = (Site((), (shape,), draw(st.integers(1, 3))),) if draw(st.booleans()) else ()
        layers.append(LayerRecord(path, draw(names), sites=sites, params=draw(counts), ops=ops))
    return Profile("Net", ((1, 4),), tuple(layers), execution_record=Execution("real", seconds=1))


@given(profiles(), st.integers(60, 220))
def test_nothing_is_wider_than_the_terminal(made: Profile, width: int) -> None:
    for subject in (made, compare(made, made)):
        text = render_text(subject, width)
        notes = "never called"  # whose paths are words that do not fold
        assert all(cell_len(line) <= width for line in text.split(notes)[0].splitlines())
        assert "…" not in text


@given(profiles())
def test_a_pipe_gets_every_digit(made: Profile) -> None:
    text = render_text(made)
    for record in made.layers:
        if record.ops or record.params or record.calls:
            assert f"{record.ops.multiplications:,}" in text
            assert f"{record.params:,}" in text


@given(paths, st.integers(8, 60), st.booleans())
def test_a_folded_path_is_the_path(path: str, width: int, at_dots: bool) -> None:
    path = visible(path)
    folded = fold_path(path, width, at_dots)
    first, *others = folded.split("\n")
    assert first + "".join(line[2:] for line in others) == path
    assert at_dots or all(cell_len(line) <= width for line in folded.split("\n"))


@given(st.lists(st.text("abc %", min_size=1, max_size=12).map(str.strip).filter(bool), max_size=6), st.integers(15, 40))
def test_folding_loses_no_word(parts: list[str], width: int) -> None:
    words = " ".join(fold(tuple(parts), " · ", width)).replace("·", " ").split()
    assert words == " ".join(parts).split()


@given(st.integers(0, 10**40))
def test_si_is_within_its_last_digit(count: int) -> None:
    text = si(count)
    if count < EXACT_BELOW:
        assert text == f"{count:,}"
        return
    digits, unit = re.fullmatch(r"(\d+\.\d+)(?: ([kMGTPEZYRQ])|e\d+)", text).groups()
    assert len(digits.replace(".", "")) == 4
    if unit:
        step = 1000 ** (" kMGTPEZYRQ".index(unit))
        decimals = len(digits.partition(".")[2])
        assert abs(int(digits.replace(".", "")) * step - count * 10**decimals) * 2 <= step


def test_shares() -> None:
    assert share(999_999, 1_000_000) == ">99.9 %"
    assert share(1, 8) == "12.5 %"


def test_changes_that_round_to_nothing_have_no_sign() -> None:
    assert change(-0.001) == "0.00 %"


def test_durations_do_not_round_up_to_four_digits() -> None:
    assert [duration(seconds) for seconds in (0.00996, 0.9996, 9.96)] == ["10 ms", "1.0 s", "10 s"]


@given(counts, counts, st.integers(1, 30), st.booleans())
def test_a_bar_stays_in_its_column(part: int, rest: int, width: int, ascii_only: bool) -> None:
    drawn = bar(part, part + rest, width, ascii_only)
    assert len(drawn) <= width
    assert bool(drawn) == bool(part)
