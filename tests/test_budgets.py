"""Budgets: on the command line, in a test, in Python."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

import opcount
from opcount.budgets import Budgets, read
from opcount.cli import main
from opcount.errors import InputError
from opcount.parsing import parse_count
from opcount.testing import assert_ops

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
LENET = "lenet.models:Regular"  # 416,520 MACs, 837,768 operations, 61,706 parameters; conv2 has 240,000 MACs


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("300M", 300_000_000),
        ("300_000_000", 300_000_000),
        ("3e8", 300_000_000),
        ("0.3G", 300_000_000),
        ("1k", 1000),
        ("2T", 2 * 10**12),
        ("1.5e3k", 1_500_000),
        ("1.000", 1),
        ("0", 0),
        (" 7 M ", 7_000_000),
        ("416.520k", 416_520),
    ],
)
def test_counts_are_read_exactly(text: str, count: int) -> None:
    assert parse_count(text) == count


@given(st.integers(0, 10**30), st.sampled_from(["", "k", "M", "G", "T"]))
def test_what_is_written_in_digits_is_read_in_digits(count: int, suffix: str) -> None:
    assert parse_count(f"{count:_}{suffix}") == count * 1000 ** ["", "k", "M", "G", "T"].index(suffix)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "300Mi",
        "300MiB",
        "300MB",
        "1,000",
        "-1",
        "1.5",
        "0.0001k",
        "1e-3",
        "nan",
        "inf",
        "1 000",
        "1__0",
        "3m",
        "0x10",
        "１",
        "1e999",
    ],
)
def test_what_is_no_count_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(InputError, match=r"write a whole number, as in .*suffixes: k, M, G, T"):
        parse_count(text)


def test_a_binary_suffix_is_told_of() -> None:
    with pytest.raises(InputError, match="binary suffixes are none of them"):
        parse_count("300Mi")


@pytest.mark.parametrize(
    "words",
    [["--max-macs", "416520"], ["--max-total", "0.837768M"], ["--max-params", "61.706k"], ["--max-layer-macs", "240k"]],
)
def test_a_budget_that_is_met_to_the_last_unit_is_kept(words: list[str]) -> None:
    assert main([LENET, *words]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--max-macs", "416519"],
            "has 416,520 MACs, 1 more than --max-macs allows (416,519)\nheaviest: conv2 240,000",
        ),
        (["--max-total", "837767"], "has 837,768 operations, 1 more than --max-total allows (837,767)"),
        (
            ["--max-params", "61705"],
            "has 61,706 parameters, 1 more than --max-params allows (61,705)\nheaviest: conv3 48",
        ),
        (["--max-layer-macs", "100k"], "has 240,000 MACs in one layer, 140,000 more than --max-layer-macs allows"),
    ],
)
def test_a_budget_that_is_not_kept_fails(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([LENET, *words]) == 1
    out, err = capsys.readouterr()
    assert "conv1" in out  # the report is shown all the same
    assert said in err


def test_each_of_several_models_has_to_keep_each_budget(capsys: pytest.CaptureFixture[str]) -> None:
    words = [LENET, "lenet.models:Depthwise", "--max-macs", "100k", "--max-params", "10k"]
    assert main(words) == 1
    found = re.findall(r"over budget: (\S+) has \S+ (\w+)", capsys.readouterr().err)
    assert found == [(LENET, "MACs"), (LENET, "parameters"), ("lenet.models:Depthwise", "parameters")]


class Uncounted(nn.Module):
    """A decomposition of linear algebra, which has no rule."""

    example_input_size = (4, 4)

    def forward(self, x):
        return torch.linalg.qr(x)[0]


def test_what_is_not_counted_keeps_no_budget() -> None:
    counted = opcount.profile(Uncounted())
    assert not counted.complete
    (excess,) = Budgets(max_macs=10**9).check(counted)
    assert re.fullmatch(
        r"Uncounted has at least 0 MACs; whether max_macs \(1,000,000,000\) is kept is not known, "
        r"for \S*qr\S* could not be counted",
        str(excess),
    )
    assert not Budgets(max_params=0).check(counted)  # parameters are known all the same
    with pytest.raises(AssertionError, match="is not known"):
        assert_ops(Uncounted(), max_total="1G")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-macs", "300Mi"], "cannot read '300Mi' as a count"),
        (["--max-mac", "300M"], "there is no option --max-mac; did you mean --max-macs?"),
        (["--max-macs", "1M", "--why", "conv1"], "--max-macs is a budget for a count"),
    ],
)
def test_what_is_no_budget_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([LENET, *words]) == 2
    assert said in capsys.readouterr().err


def test_budgets_of_a_table() -> None:
    assert read({"max-macs": "2k", "max-params": 7}, "here") == Budgets(max_macs=2000, max_params=7)
    with pytest.raises(InputError, match=r"here: there is no budget 'max-mac'; did you mean max-macs"):
        read({"max-mac": 1}, "here")
    with pytest.raises(InputError, match="here: max_macs is a whole number of 0 or more"):
        read({"max-macs": -1}, "here")
    with pytest.raises(InputError, match="not True"):
        Budgets(max_macs=True)


def test_assert_ops_returns_the_profile() -> None:
    counted = assert_ops(nn.Linear(10, 5), (2, 10), max_macs=100, max_layer_macs="100", max_params=55, max_total="200")
    assert counted.macs == 100


def test_the_plugin_gives_the_fixture_and_a_failure_to_read(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from torch import nn

        def test_kept(assert_ops):
            assert assert_ops(nn.Linear(10, 5), (2, 10), max_macs=100).macs == 100

        def test_not_kept(assert_ops):
            assert_ops(nn.Sequential(nn.Linear(10, 5), nn.Linear(5, 2)), (2, 10), max_macs="0.1k")
        """
    )
    result = pytester.runpytest("-p", "pytest_opcount", "--import-mode=importlib", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["E *AssertionError: Sequential has 120 MACs, 20 more than max_macs allows (100); heaviest: 0 100, 1 20"]
    )
    result.stdout.no_fnmatch_line("*opcount/testing.py*")  # the traceback ends in the test


def test_pytest_starts_without_torch_or_opcount() -> None:
    """The plugin is loaded in every run of pytest, also where nobody counts, and before coverage looks."""
    script = "import sys, pytest_opcount; print([name for name in ('torch', 'opcount') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
