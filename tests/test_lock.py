"""opcount lock and opcount check, in a project of their own and in this one."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opcount.cli import main
from opcount.errors import InputError
from opcount.project import find_project

ROOT = Path(__file__).parents[1]
MODULE = "nets_of_the_lock_tests"

CODE = """
import torch
from torch import nn

WIDTH = 8

class Net(nn.Sequential):
    example_input_size = (2, 16)

    def __init__(self, classes=4):
        super().__init__(nn.Linear(16, WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes))

class Qr(nn.Module):
    example_input_size = (4, 4)

    def forward(self, x):
        return torch.linalg.qr(x)[0]
"""

PYPROJECT = f"""
[tool.opcount.models.net]
target = "{MODULE}:Net"
max-macs = "1k"

[tool.opcount.models."a, b"]
target = "{MODULE}:Net"
input = ["3,16"]
args = {{ classes = 2 }}
bias = false
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / f"{MODULE}.py").write_text(CODE)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop(MODULE, None)


def widen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[MODULE], "WIDTH", 12)


def test_a_lock_has_the_figures_and_is_the_same_every_time(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock"]) == 0
    first = (project / "opcount.lock").read_bytes()
    data = json.loads(first)
    assert data["schema"] == "opcount-lock/1"
    assert list(data["models"]) == ["a, b", "net"]
    net = data["models"]["net"]
    assert net["inputs"] == [[2, 16]]
    # 2 rows: 16 x 8 and 8 x 4 products, as many additions with the biases, 16 comparisons
    assert net["figures"] == {"params": 172, "total": 640, "multiplications": 320, "additions": 320, "divisions": 0,
                              "comparisons": 16, "transcendentals": 0, "macs": 320}  # fmt: skip
    assert [layer["path"] for layer in net["layers"]] == ["0", "1", "2"]
    (project / "opcount.lock").unlink()
    assert main(["lock"]) == 0
    assert (project / "opcount.lock").read_bytes() == first
    assert main(["lock"]) == 0
    assert "is up to date" in capsys.readouterr().out
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "as locked: net and a, b\n"


def test_a_change_fails_and_is_shown(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["lock"])
    widen(monkeypatch)
    capsys.readouterr()
    assert main(["check", "net"]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"± 0 +Linear +256 +384 +\+50.00 %", out)
    assert "::error" not in out
    assert "opcount: net: 320 → 480 MACs (+50.00 %)" in err
    assert "if that is meant, opcount lock net writes it" in err
    assert main(["lock", "net"]) == 0
    assert main(["check", "net"]) == 0
    assert main(["check"]) == 1  # the other one is still as it was


@pytest.mark.parametrize("how", ["option", "environment"])
def test_github_shows_the_change_beside_the_lock(
    how: str, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["lock"])
    widen(monkeypatch)
    if how == "environment":
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parent))
    capsys.readouterr()
    assert main(["check", *(["--format", "github"] if how == "option" else [])]) == 1
    errors = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::error ")]
    folder = f"{project.name}/" if how == "environment" else ""
    lock = (project / "opcount.lock").read_text().splitlines()
    places = [f"file={folder}opcount.lock,line={lock.index(line) + 1}," for line in ('  "net": {', '  "a, b": {')]
    assert errors[0].startswith(f"::error {places[0]}title=opcount%3A net::320 → 480 MACs (+50.00 %25), ")
    assert errors[1].startswith(f"::error {places[1]}title=opcount%3A a%2C b::")
    assert len(errors) == 2


def test_settings_are_locked_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lock"])
    capsys.readouterr()
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace('"3,16"', '"5,16"'))
    assert main(["check", "a, b"]) == 1
    err = capsys.readouterr().err
    assert 'input was ["3,16"] and is ["5,16"]' in err
    assert "inputs [[3, 16]] → [[5, 16]]" in err


def test_models_that_came_and_went(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lock"])
    capsys.readouterr()
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace("models.net]", "models.other]"))
    assert main(["check"]) == 1
    err = capsys.readouterr().err
    assert "other: is not locked yet: opcount lock other does it" in err
    assert "net: is locked, but pyproject.toml does not name it any more" in err
    assert main(["lock"]) == 0
    assert main(["check"]) == 0


def test_a_lock_over_budget_is_not_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace('"1k"', "319"))
    assert main(["lock"]) == 1
    assert "net has 320 MACs, 1 more than max-macs allows (319)" in capsys.readouterr().err
    assert not (project / "opcount.lock").exists()


def test_a_check_sees_budgets(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lock"])
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace('"1k"', "319"))
    capsys.readouterr()
    assert main(["check"]) == 1
    err = capsys.readouterr().err
    assert "opcount: net: has 320 MACs, 1 more than max-macs allows (319); heaviest: 0 256, 2 64" in err
    assert "opcount lock" not in err


def test_what_is_not_counted_is_locked_by_name(project: Path) -> None:
    (project / "pyproject.toml").write_text(f'[tool.opcount]\nmodels = {{ qr = {{ target = "{MODULE}:Qr" }} }}\n')
    assert main(["lock"]) == 0
    (layer,) = json.loads((project / "opcount.lock").read_text())["models"]["qr"]["layers"]
    assert "qr" in layer["uncounted"][0][0]
    assert main(["check"]) == 0
    (project / "pyproject.toml").write_text(f'[tool.opcount.models.qr]\ntarget = "{MODULE}:Qr"\nmax-macs = "1T"\n')
    assert main(["lock"]) == 1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:200], "opcount.lock is damaged: "),
        (lambda text: text.replace("opcount-lock/1", "opcount-lock/9"), "has the schema 'opcount-lock/9'"),
        (lambda text: "[]", "is no lock of opcount's"),
        (lambda text: text.replace('"macs": 256', '"macs": 255'), "which are not the sums of its layers"),
        (lambda text: text.replace('"type"', '"kind"'), "opcount.lock is damaged: KeyError"),
        (lambda text: text.replace('"params": 136', '"params": "x"'), "opcount.lock is damaged: ValueError"),
    ],
)
def test_a_lock_that_cannot_be_read(damage, said: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lock"])
    lock = project / "opcount.lock"
    lock.write_text(damage(lock.read_text()))
    before = lock.read_bytes()
    capsys.readouterr()
    assert main(["check"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "opcount lock writes it anew" in err
    assert main(["lock", "net"]) == 2  # the other one's figures would be lost
    assert lock.read_bytes() == before
    assert main(["lock"]) == 0


def test_there_is_no_lock(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "opcount lock writes it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.other]\n", "has a table [tool.opcount]"),
        ("[tool.opcount]\n", "[tool.opcount] names no models"),
        ("[tool.opcount]\nmodel = 1\n", "[tool.opcount] has no 'model'; did you mean models?"),
        ("[tool.opcount]\nmodels = 3\n", "names no models"),
        ("[tool.opcount.models.x]\ntarget = 3\n", "needs a target"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\nmax-mac = 1\n', "has no 'max-mac'; did you mean max-macs"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\nmax-macs = "1Ki"\n', "[tool.opcount.models.x]: cannot read '1Ki'"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\nmax-macs = 1.5\n', "is a whole number of 0 or more"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\ninput = "a"\n', "[tool.opcount.models.x]: cannot read the size 'a'"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\ninput = 3\n', "input is a size"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\nbias = 1\n', "bias is true or false"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\nargs = 1\n', "args is a table"),
        ('[tool.opcount.models.x]\ntarget = "a:B"\nargs = {d = 1979-05-27}\n', "args holds numbers, texts"),
        ("[tool.opcount\n", "cannot read"),
        ('[tool.opcount.models.x]\ntarget = "no_such_module_here:B"\n', "there is no module 'no_such_module_here'"),
    ],
)
def test_a_project_that_cannot_be_understood(
    text: str, said: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(text)
    assert main(["lock"]) == 2
    assert said in capsys.readouterr().err
    assert not (project / "opcount.lock").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "nett"], "pyproject.toml names no model 'nett'; did you mean net?"),
        (["check", "--format", "xml"], "invalid choice: 'xml'"),
        (["lock", "--nonsense"], "--nonsense"),
    ],
)
def test_words_that_cannot_be(words: list[str], said: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_sizes_have_one_form(project: Path) -> None:
    text = '[tool.opcount.models.{}]\ntarget = "a:B"\ninput = {}\n'
    sizes = {"a": "[2, 16]", "b": '"2x16"', "c": '["2, 16"]', "d": '["8,4:int64", "1,2"]'}
    (project / "pyproject.toml").write_text("".join(text.format(*each) for each in sizes.items()))
    found = {name: model.sizes for name, model in find_project().models.items()}
    assert found == {"a": ("2,16",), "b": ("2,16",), "c": ("2,16",), "d": ("8,4:int64", "1,2")}


def test_a_project_is_found_from_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "down")
    assert main(["lock"]) == 0
    assert (project / "opcount.lock").is_file()
    assert main(["check"]) == 0


def test_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"has a table \[tool.opcount\]"):
        find_project()


def test_this_project_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert main(["check"]) == 0


def test_the_hook_runs_the_check() -> None:
    """What pre-commit is told: a command that is there, run once, whatever files changed."""
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with pre-commit")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"].split() == ["opcount", "check"]
    assert hook["language"] == "system"
    assert not hook["pass_filenames"]
    changed = ("net.py", "pyproject.toml", "opcount.lock", os.path.join("a", "opcount.lock"))
    assert all(re.search(hook["files"], name) for name in changed)
    assert not re.search(hook["files"], "README.md")
