"""The command: what it prints, where, and with which exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import opcount
from opcount import cli
from opcount.report.progress import Progress
from opcount.result import Profile

REPOSITORY = Path(__file__).parent.parent
MODULE = """
import time, torch
from torch import nn

class Odd(nn.Module):
    def forward(self, x):
        return torch.frobnicate(x) if hasattr(torch, "frobnicate") else x.sum()

class Slow(nn.Module):
    example_input_size = (1, 4)
    def forward(self, x):
        print("running", flush=True)
        time.sleep(60)
        return x

class Two(nn.Module):
    def forward(self, tokens, scale):
        return tokens * scale

class Unknown(nn.Module):
    example_input_size = (1, 4)
    def forward(self, x):
        return x

ready = nn.Dropout()
ready.example_input_size = (1, 4)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "things", raising=False)
    (tmp_path / "things.py").write_text(MODULE)
    return tmp_path


class Ran:
    """What a run of the command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def runs(*words: str) -> Ran:
        code = cli.main(words)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return runs


def process(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-m", "opcount", *words],
        capture_output=True, text=True, encoding="utf-8", env=environment, timeout=120, cwd=REPOSITORY, **options,
    )  # fmt: skip


# What it prints


def test_one_model(run: Run) -> None:
    ran = run("lenet.models:Depthwise")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out.startswith("  lenet.models:Depthwise · input 1x1x28x28 · shapes only, ")
    assert "conv1.depthwise  Conv2d     1x1x28x28       26           19,600     19,600  19,600" in ran.out
    assert "every operation counted · bias counted · zero padding dense" in ran.out
    assert "\x1b" not in ran.out


def test_the_study(run: Run) -> None:
    ran = run("lenet.models:Regular", "lenet.models:Depthwise", "--only", "conv", "--no-bias")
    assert ran.code == 0
    for line in (
        "conv1  117,600     24,304  -79.33 %",
        "conv2  240,000     24,600  -89.75 %",
        "conv3   48,000      2,320  -95.17 %",
        "total  405,600     51,224  -87.37 %  399,176     43,400  -89.13 %  804,776     94,624  -88.24 %",
        "bias ignored",
        "only conv",
    ):
        assert line in ran.out


def test_options_between_targets(run: Run) -> None:
    ran = run("lenet.models:Regular", "--no-padding", "lenet.models:Depthwise", "--input", "2x1x28x28")
    assert ran.code == 0
    assert "zero padding skipped" in ran.out
    assert ran.out.count("input 2x1x28x28") == 2


@pytest.mark.parametrize("words", [("lenet.models:Regular",), ("lenet.models:Regular", "lenet.models:Depthwise")])
def test_formats(run: Run, words: tuple[str, ...]) -> None:
    from opcount.report import FORMATS

    texts = {form: run(*words, "--format", form) for form in FORMATS}
    assert all(ran.code == 0 and ran.err == "" for ran in texts.values())
    assert "conv1" in texts["plain"].out
    assert "|:---" in texts["markdown"].out
    assert "|---" in texts["github"].out
    assert "\\toprule" in texts["latex"].out
    assert next(csv.reader(io.StringIO(texts["csv"].out)))[0] == "layer"
    assert json.loads(texts["json"].out)["schema"].startswith("opcount-")


def test_json_is_the_profile(run: Run) -> None:
    read = Profile.from_json(run("lenet.models:Regular", "--format", "json").out)
    assert read.model == "lenet.models:Regular"
    assert read.macs == 416_520


def test_arguments_and_input(run: Run) -> None:
    ran = run(
        "torch.nn:Linear", "--arg", "in_features=8", "--arg", "out_features=4", "--input", "2,8", "--format", "csv"
    )
    assert ran.out.splitlines()[1].startswith("(model),Linear,2x4,1,36,64,")


def test_inputs_have_types_and_are_positional(run: Run, here: Path) -> None:
    ran = run("things:Two", "--input", "2,8:int64", "--input", "1:float64")
    assert ran.code == 0
    assert "inputs 2x8, 1 ·" in ran.out


def test_training_mode_of_a_ready_model_is_said(run: Run, here: Path) -> None:
    assert "training mode" in run("things:ready").out
    assert "training mode" not in run("lenet.models:Regular").out


# Exit codes


def test_strict(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("lenet.models:Regular", "--strict").code == 0
    monkeypatch.setattr(Profile, "complete", property(lambda _: False))
    ran = run("lenet.models:Regular", "--strict")
    assert ran.code == 1
    assert "total counted" in ran.out
    assert ran.err == "opcount: something was not counted, which --strict makes a failure\n"
    assert run("lenet.models:Regular").code == 0


BAD = [
    ((), "name a model as package.module:Name"),
    (("lenet.model:Regular",), "there is no module 'lenet.model'; did you mean lenet.models?"),
    (("lenet.models:Regualr",), "there is no 'Regualr' in lenet.models; did you mean Regular?"),
    (("lenet.models:CLASSES",), "is an int, not a model"),
    (
        ("lenet.models",),
        "did you mean lenet.models:DepthwiseSeparable, lenet.models:Regular or lenet.models:Depthwise?",
    ),
    (
        ("lenet.models:DepthwiseSeparable",),
        "needs in_channels, out_channels and kernel_size: give --arg in_channels=...",
    ),
    (("torch.nn:Flatten",), "no input is known for torch.nn:Flatten: give its size"),
    (("lenet.models:Regular", "--input", "1,1,20,20"), "conv3 (Conv2d) failed on 1x16x3x3"),
    (("lenet.models:Regular", "--input", "1,3,28,28"), "conv1 (Conv2d) failed on 1x3x28x28"),
    (("lenet.models:Regular", "--input", "1,x,3"), "cannot read the size '1,x,3' ('x' is no whole number"),
    (("lenet.models:Regular", "--input", "1,,3"), "(a number is missing)"),
    (("lenet.models:Regular", "--input", "-1,3"), "('-1' is no whole number of 0 or more)"),
    (("lenet.models:Regular", "--input", "1.5"), "('1.5' is no whole number of 0 or more)"),
    (("lenet.models:Regular", "--input", "1,3:"), "cannot read the size '1,3:'"),
    (("lenet.models:Regular", "--input", "1,3:flaot32"), "PyTorch has no element type 'flaot32'"),
    (("lenet.models:Regular", "--input", "9" * 5000), "cannot read the size"),
    (("lenet.models:Regular", "--input"), "expected one argument"),
    (("lenet.models:Regular", "--format", "markdwon"), "there is no format 'markdwon'; did you mean markdown?"),
    (("lenet.models:Regular", "--fromat", "csv"), "there is no option --fromat; did you mean --format?"),
    (("lenet.models:Regular", "--zzz"), "there is no option --zzz; opcount --help shows all"),
    (("lenet.models:Regular", "--arg", "width"), "cannot read the argument 'width': write name=value"),
    (("lenet.models:Regular", "--arg", "1x=3"), "cannot read the argument '1x=3'"),
    (("lenet.models:Regular", "--arg", "depth=3"), "takes no argument 'depth'"),
    (("lenet.models:Regular", "--only", "convolution"), "has the type or path 'convolution'; its types are"),
    (
        ("torch.nn:Embedding", "--arg", "num_embeddings=5", "--arg", "embedding_dim=3", "--input", "1,3"),
        "--input 1,128:int64",
    ),
    (("torch.nn:CosineSimilarity", "--input", "1,3"), "give one --input for each"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_bad_input(run: Run, words: tuple[str, ...], said: str) -> None:
    ran = run(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("opcount: error: ")
    assert said in ran.err
    assert 1 <= ran.err.count("\n") <= 2
    assert "Traceback" not in ran.err


def test_debug_shows_the_traceback(run: Run) -> None:
    ran = run("lenet.models:Regular", "--input", "1,1,20,20", "--debug")
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert "RuntimeError" in ran.err
    assert ran.err.splitlines()[-1].startswith("opcount: error: conv3")


def test_a_bug_of_ours_has_no_traceback_either(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: object, **options: object) -> None:
        raise LookupError("what\n  now")

    monkeypatch.setattr("opcount.report.render", fail)
    ran = run("lenet.models:Regular")
    assert ran.code == 2
    assert ran.err.startswith("opcount: error: LookupError: what now; this is a bug in opcount: --debug shows where")
    assert "Traceback" in run("lenet.models:Regular", "--debug").err


def test_an_error_message_controls_no_terminal(run: Run) -> None:
    ran = run("lenet.models:\x1b[31mRegular")
    assert ran.code == 2
    assert "\x1b" not in ran.err


def test_an_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("opcount.targets.load", interrupt)
    ran = run("lenet.models:Regular")
    assert ran.code == 130
    assert ran.err == "opcount: interrupted\n"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("--version", "--help"):
        with pytest.raises(SystemExit) as left:
            cli.main([word])
        assert left.value.code == 0
    out, _ = capsys.readouterr()
    assert f"opcount {opcount.__version__}" in out
    assert "opcount torchvision.models:resnet50" in out
    assert max(map(len, out.splitlines())) <= 100


# Where it prints


class Stream(io.StringIO):
    """An output with an encoding of its own."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:
        return self._encoding


@pytest.mark.parametrize("form", ["rich", "markdown", "json"])
def test_an_output_that_knows_only_ascii(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["lenet.models:Depthwise", "--format", form]) == 0
    assert out.getvalue().isascii()
    assert form != "json" or json.loads(out.getvalue())


def test_an_output_that_is_full(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main(["lenet.models:Depthwise"]) == 2


def test_no_progress_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(delay=0) as progress:
        progress.say("waiting")
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(delay=0) as progress:
        progress.say("building [bold]x")
        deadline = time.monotonic() + 10
        while "building [bold]x" not in err.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
        progress.say("running")
    assert "building [bold]x" in err.getvalue()
    with Progress(delay=60) as progress:
        progress.say("something quick")
    assert "quick" not in err.getvalue()


# As a process


def test_process_prints_and_exits() -> None:
    done = process("lenet.models:Regular", "lenet.models:Depthwise", "--format", "github")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "| **total** " in done.stdout


def test_process_with_bad_input() -> None:
    done = process("nosuchmodule:Net")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("opcount: error: there is no module 'nosuchmodule'")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")
def test_a_reader_that_leaves_early_and_an_interrupt(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "opcount"]
    piped = subprocess.Popen(
        [*command, "lenet.models:Regular"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    slow = subprocess.Popen(
        [*command, "things:Slow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=here
    )
    piped.stdout.close()
    assert (piped.wait(120), piped.stderr.read()) == (0, b"")
    assert slow.stderr.readline() == b"running\n"  # stdout is the report's
    slow.send_signal(signal.SIGINT)
    assert slow.wait(120) == 130
    assert slow.stderr.read() == b"opcount: interrupted\n"
    piped.stderr.close(), slow.stdout.close(), slow.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="a pseudo-terminal is POSIX's")
def test_on_a_terminal_there_is_colour_and_80_columns_suffice() -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "80", "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    child = subprocess.Popen(
        [sys.executable, "-m", "opcount", "lenet.models:Depthwise"], stdout=follower, stderr=follower, env=environment,
        cwd=REPOSITORY,
    )  # fmt: skip
    os.close(follower)
    data = b""
    while select.select([leader], [], [], 120)[0]:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end was closed
            break
        if not chunk:
            break
        data += chunk
    os.close(leader)
    assert child.wait(120) == 0
    assert b"\x1b[36m" in data  # the bars
    assert b"conv2.depthwise" in data


def test_importing_opcount_imports_no_reporting() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import opcount;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new & {'rich', 'tabulate', 'sympy', 'torchvision'}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
