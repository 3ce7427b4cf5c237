"""The command's questions: --why, --separate and --vary."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opcount import cli

ROOT = Path(__file__).parent.parent


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_why(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "lenet.models:Regular", "--why", "conv1")
    assert (code, err) == (0, "")
    assert "multiplications = N·C_out·O_h·O_w·C_in·K_h·K_w/g\n                    = 1·6·28·28·1·5·5/1\n" in out
    assert "additions       = 112,896 + 4,704\n                    = 117,600" in out


def test_why_of_the_model_itself(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "lenet.models:Regular", "--why", "", "--no-bias")
    assert code == 0
    assert "240,000 (conv2)" in out


def test_why_in_latex(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "lenet.models:Regular", "--why", "conv1", "--format", "latex")
    assert code == 0
    assert r"\begin{align*}" in out
    assert "117{,}600" in out


def test_an_output_that_knows_only_ascii() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "opcount", "lenet.models:Regular", "--why", "conv1"]
    ran = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT, timeout=120)
    assert ran.returncode == 0
    assert "additions       = N*C_out*O_h*O_w*(C_in*K_h*K_w/g - 1)" in ran.stdout.decode("ascii")


def test_separate(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "lenet.models:Regular", "--separate", "--no-bias")
    assert (code, err) == (0, "")
    for line in (
        "conv1            117,600     24,304   24,304   -79.33 %",
        "conv2            240,000     24,600   24,600   -89.75 %",
        "conv3             48,000      2,320    2,320   -95.17 %",
        "every layer and the total were counted as predicted",
    ):
        assert line in out
    assert "416,520" in out  # 405,600 and the 10,920 of both linear layers


@pytest.mark.parametrize("form", ["plain", "markdown", "github", "latex"])
def test_separate_in_other_forms(capsys: pytest.CaptureFixture[str], form: str) -> None:
    code, out, _ = run(capsys, "lenet.models:Regular", "--separate", "--format", form)
    assert code == 0
    assert "24,304" in out


def test_separate_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "lenet.models:Regular", "--separate", "--format", "csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert [row[:4] for row in rows[1:4]] == [
        ["conv1", "117600", "24304", "24304"],
        ["conv2", "240000", "24600", "24600"],
        ["conv3", "48000", "2320", "2320"],
    ]  # fmt: skip
    _, out, _ = run(capsys, "lenet.models:Regular", "--separate", "--format", "json")
    found = json.loads(out)
    assert found["agree"] is True
    assert found["rows"][0]["counted"]["macs"] == 24_304


def test_vary(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "torch.nn:Linear", "--arg", "in_features=8", "--arg", "out_features=4",
                         "--input", "2,5,8", "--vary", "N=0,S=1")  # fmt: skip
    assert (code, err) == (0, "")
    assert "macs            = 32·N·S" in out
    assert "exact for every N, S; verified at" in out


def test_vary_two_axes_of_one_size(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "torch.nn:AvgPool2d", "--arg", "kernel_size=2", "--input", "1,3,16,16", "--vary", "H=2+3"
    )
    assert code == 0
    assert "divisions       = 3·H²/4" in out
    assert "for H = 2·h" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--why", "conv9"), "has no layer 'conv9'; near it: conv"),
        (("--why", "conv1", "--separate"), "--why and --separate are two questions"),
        (("--why", "conv1", "--format", "json"), "--why is written as text or as latex"),
        (("--vary", "N"), "cannot read 'N' of --vary: write NAME=AXIS as in N=0,S=1"),
        (("--vary", "N=0,N=1"), "names N twice"),
        (("--vary", "N=7"), "input 0 has 4 axes (1x1x28x28), so none is number 7"),
        (("--vary", "N=3.0"), "there is no input 3 for N"),
        (("--separate", "lenet.models:Depthwise"), "--separate is about one model; 2 are named"),
    ],
)
def test_bad_questions(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    code, out, err = run(capsys, "lenet.models:Regular", *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") <= 2


def test_nothing_to_separate(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "lenet.models:Depthwise", "--separate")
    assert code == 2
    assert "has no convolution to make separable" in err


@pytest.mark.parametrize("option", ["--tree", "--strict", "--depth=1", "--top=2", "--sort=macs", "--html=a.html"])
def test_what_a_question_does_not_write_is_refused(capsys: pytest.CaptureFixture[str], option: str) -> None:
    code, out, err = run(capsys, "lenet.models:Regular", "--why", "conv1", option)
    assert (code, out) == (2, "")
    assert f"{option.partition('=')[0]} is about the table of layers, which --why does not write" in err


@pytest.mark.parametrize("question", [(), ("--why", "conv1"), ("--audit",)])
def test_a_full_disk_or_a_closed_stdout_is_told(question: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "opcount", "lenet.models:Regular", *question]
    closed = [
        sys.executable,
        "-c",
        "import sys; sys.stdout = None; from opcount.__main__ import run; run()",
        *command[3:],
    ]
    ran = subprocess.run(closed, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "stdout is closed" in ran.stderr
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=120)
        assert ran.returncode == 2
        assert ran.stderr == "opcount: error: the report cannot be written: No space left on device\n"
