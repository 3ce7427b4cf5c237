"""Models that would end, drown or outlast the command: its exit code and what it says are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.commanding import folder, well_said
from tests.torture.figures import did

ROOT = Path(__file__).parents[2]

MODELS = '''
import os, signal, sys
import torch
from torch import nn

class Exits(nn.Module):
    def forward(self, x):
        sys.exit(0)

class Holds(nn.Module):
    """Something that exits, two levels down."""
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.rest = nn.Sequential(nn.ReLU(), Exits())
    def forward(self, x):
        return self.rest(self.first(x))

class ExitsBackward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
    def forward(self, x):
        y = self.layer(x)
        y.register_hook(lambda gradient: sys.exit(0))
        return y

class OfNoFamily(BaseException):
    """What no except clause for exceptions sees."""

class RaisesStrangely(nn.Module):
    def forward(self, x):
        raise OfNoFamily("strange")

class ExitsWhenCopied(nn.Module):
    def __deepcopy__(self, memo):
        sys.exit(0)
    def forward(self, x):
        return x

class Prints(nn.Module):
    """Says something when it is built, and as much as asked for when it is called."""
    def __init__(self, lines=1):
        super().__init__()
        self.layer, self.lines = nn.Linear(4, 4, bias=False), lines
        print("built")
    def forward(self, x):
        for _ in range(self.lines):
            sys.stdout.write("x" * 65535 + "\\n")
        sys.stdout.writelines(["and\\n", "more\\n"])
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(b"bytes\\n")
        sys.stdout.flush()
        return self.layer(x)

class TakesStdout(nn.Module):
    def forward(self, x):
        sys.stdout = None
        return x * 2

def nested(depth: int):
    model = nn.Linear(4, 4)
    for _ in range(depth):
        model = nn.Sequential(model)
    return model
'''


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with these models, importable."""
    with folder(hostile__py=MODELS) as place:
        monkeypatch.syspath_prepend(str(place))
        yield place
    sys.modules.pop("hostile", None)


def process(words: list[str], place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    did("commands run")
    path = os.pathsep.join([environment.pop("first", str(place)), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=place, env=env, capture_output=True, text=True, check=False, timeout=300
    )


QUESTIONS = [[], ["--backward"], ["--memory"], ["--audit"], ["--separate"], ["--vary", "N=0"], ["--why", "first"]]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_forward_that_exits_is_bad_input_that_names_the_layer(question: list[str], models: Path) -> None:
    code, _, err = well_said(["hostile:Holds", "--input", "1,4", *question])
    assert code == 2
    assert "rest.1 (Exits) failed on 1x4: SystemExit: 0" in err


def test_a_backward_pass_that_exits(models: Path) -> None:
    code, _, err = well_said(["hostile:ExitsBackward", "--input", "1,4", "--backward"])
    assert (code, "SystemExit: 0" in err) == (2, True)
    assert "the backward pass failed" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hostile:RaisesStrangely", "--input", "1,4"], "OfNoFamily: strange"),
        (["hostile:ExitsWhenCopied", "--input", "1,4", "--separate"], "SystemExit: 0"),
    ],
)
def test_what_is_no_exception_does_not_end_the_command(words: list[str], said: str, models: Path) -> None:
    code, _, err = well_said(words)
    assert code == 2
    assert f"the model's own code wanted to end the command: {said}" in err


def test_what_a_model_prints_is_beside_the_report_and_not_in_it(models: Path) -> None:
    ran = process(["opcount", "hostile:Prints", "--input", "1,4", "--format", "json"], models)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["model"] == "hostile:Prints"
    assert {"built", "x" * 65535, "and", "more", "bytes"} <= set(ran.stderr.splitlines())


def test_a_lock_of_what_prints(models: Path) -> None:
    (models / "pyproject.toml").write_text(
        '[tool.opcount.models.loud]\ntarget = "hostile:Prints"\ninput = "1,4"\n', encoding="utf-8"
    )
    assert well_said(["lock"])[:2] == (0, "opcount.lock written: loud (16 MACs)\n")
    assert well_said(["check"])[:2] == (0, "as locked: loud\n")


def test_help_and_version_are_on_stdout() -> None:
    for words in (["--help"], ["lock", "--help"], ["sweep", "--help"], ["--version"]):
        code, out, err = well_said(words)
        assert (code, err) == (0, "")
        assert "opcount" in out


@pytest.mark.slow
def test_a_forward_that_prints_a_gigabyte(models: Path) -> None:
    """It goes where stderr goes, and is held nowhere."""
    words = ["opcount", "hostile:Prints", "--arg", "lines=16384", "--input", "1,4", "--format", "json"]
    program = (
        "import resource, subprocess, sys\n"
        "command = [sys.executable, '-m', *sys.argv[1:]]\n"
        "done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
        "sys.stdout.buffer.write(done.stdout)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(models), str(ROOT)])}
    ran = subprocess.run([sys.executable, "-c", program, *words], cwd=models, env=env, capture_output=True, check=True)
    first, _, report = ran.stdout.partition(b"\n")
    code, mebibytes = map(int, first.split())
    assert code == 0
    assert mebibytes < 900
    assert json.loads(report)["model"] == "hostile:Prints"


def test_a_forward_that_takes_stdout_away(models: Path) -> None:
    ran = process(["opcount", "hostile:TakesStdout", "--input", "1,4", "--format", "csv"], models)
    assert ran.returncode == 2
    assert ran.stderr == "opcount: error: the report cannot be written: stdout is closed; -o FILE writes to a file\n"


@pytest.mark.parametrize("question", [[], ["--backward"], ["--memory"], ["--separate"]], ids=" ".join)
def test_a_model_too_deep_for_pytorch_to_go_through_is_told_how_deep(question: list[str], models: Path) -> None:
    """Its eval() and its copying recurse, before any forward does."""
    code, _, err = well_said(["hostile:nested", "--arg", "depth=2000", "--input", "1,4", *question])
    assert code == 2
    assert "nested 2,000 deep" in err


TORCH = {
    "plainly": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport json, decimal\nraise SystemExit(7)\n",
    "as another error": "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    import json, decimal\n"
    "except BaseException:\n    raise RuntimeError('Error calling __set_name__')\n",
    "as nothing": "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    import json, decimal\n"
    "except BaseException:\n    pass\n",
}
"""A torch during whose import Ctrl-C is pressed, and how that comes out of it."""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("how", TORCH)
@pytest.mark.parametrize(
    "words",
    [
        ["opcount", "lenet.models:Regular"],
        ["opcount", "sweep", "lenet.models:Regular", "--arg", "in_channels=1"],
        ["opcount", "lock"],
        ["lenet.train", "--dataset", "digits", "--epochs", "1"],
    ],
    ids=" ".join,
)
def test_ctrl_c_while_torch_is_imported(words: list[str], how: str, tmp_path: Path) -> None:
    first, place = tmp_path / "first", tmp_path / "place"
    first.mkdir(), place.mkdir()
    (first / "torch.py").write_text(TORCH[how], encoding="utf-8")
    (place / "pyproject.toml").write_text(
        '[tool.opcount.models.a]\ntarget = "lenet.models:Regular"\n', encoding="utf-8"
    )
    ran = process(words, place, first=str(first))
    assert ran.returncode == 130, ran.stderr
    assert ran.stderr in ("", "opcount: interrupted\n")
    assert ran.stdout == ""
    assert os.listdir(place) == ["pyproject.toml"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_while_the_command_itself_is_imported(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text(TORCH["plainly"], encoding="utf-8")
    ran = process(["opcount", "lenet.models:Regular"], tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_process_that_is_to_ignore_ctrl_c_ignores_it(tmp_path: Path) -> None:
    """As one started in the background, or by a crew."""
    program = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from opcount.interrupts import Interrupts, leave_at_once\n"
        "leave_at_once()\n"
        "with Interrupts():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=False).returncode == 0
