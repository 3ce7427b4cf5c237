"""``opcount sweep``: specs, patterns and stores, what it prints, and with which exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opcount.cli import main
from opcount.errors import InputError, OpCountError
from opcount.sweeping import running, spec
from opcount.sweeping.crew import Lent
from opcount.sweeping.named import expand
from opcount.sweeping.work import count_point
from tests.test_sweep import Here

ROOT = Path(__file__).parents[1]
SPEC = """
build = "tests.spaces:dense"
inputs = "{batch_of_one},8"
[arguments]
depth = 2
[grid]
width = [2, 3]
"""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))


def test_a_spec_from_start_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "space.toml").write_text(SPEC.replace("{batch_of_one}", "1"))
    assert main(["sweep", "space.toml", "--workers", "1", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert [line.split(",")[:3] for line in out.splitlines()[1:]] == [["2", "2", "20"], ["2", "3", "33"]]
    assert err.startswith("opcount: 2 points counted in ")
    assert err.endswith("space.parquet\n")
    assert main(["sweep", "space.toml", "--where", "macs < 30", "--pareto", "macs,params", "--html", "page.html"]) == 0
    out, err = capsys.readouterr()
    assert (out, "2 answered from the store" in err) == ("", True)
    assert "points" in (tmp_path / "page.html").read_text("utf-8")
    (tmp_path / "accuracy.csv").write_text("width,accuracy\n2,0.9\n3,0.8\n")
    looked = ["sweep", "space.parquet", "--join", "accuracy.csv", "--pareto", "macs,accuracy", "--maximize", "accuracy"]
    assert main([*looked, "--plot", "front.svg", "-o", "front.md", "--sort=-macs"]) == 0
    assert (tmp_path / "front.svg").exists()
    assert "| 2 " in (tmp_path / "front.md").read_text()


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started for it: other tests see that they are."""
    monkeypatch.setattr(running, "crew", lambda build, *_, **__: Lent(Here(), count_point, build, lambda: 1))


@pytest.mark.usefixtures("_in_this_process")
def test_targets_and_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "lenet.models:[DR]e*r", "lenet.models:Depthwise", "--store", "zoo.sqlite", "--workers", "1"]
    assert main([*words, "--format", "csv"]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [(row[0], row[6]) for row in rows] == [
        ("lenet.models:Regular", "416520"),
        ("lenet.models:Depthwise", "62144"),
    ]


def test_patterns_of_sources() -> None:
    pytest.importorskip("torchvision")
    names = [point["target"] for point in expand(["torchvision:resnet1*"])]
    assert names == ["torchvision:resnet101", "torchvision:resnet152", "torchvision:resnet18"]
    with pytest.raises(OpCountError, match="resnet"):
        expand(["torchvision:resnte*"])
    with pytest.raises(OpCountError, match=r"no model of lenet\.models fits"):
        expand(["lenet.models:Nothing*"])


@pytest.mark.usefixtures("_in_this_process")
def test_strict_fails_for_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "tests.spaces:Chooses", "--store", "one.sqlite", "--workers", "1", "--input", "1,8", "--strict"]
    assert main([*words, "--arg", "width=3"]) == 0
    assert main([*words, "--arg", "width='no number'"]) == 1
    assert "--strict makes a failure" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a spec"),
        (["nothing.toml"], "cannot read"),
        (["space.toml", "other.toml"], "by itself"),
        (["space.toml", "--input", "1,8"], "--input is for targets"),
        (["space.toml", "--wher", "x"], "did you mean --where"),
        (["space.toml", "--where", "f(x)"], "condition"),
        (["space.toml", "--format", "markdwon"], "did you mean markdown"),
        (["space.toml", "--pareto", "macs"], "two columns"),
        (["space.toml", "--maximize", "macs"], "give --pareto"),
        (["space.toml", "--plot", "front.doc"], "form of picture"),
        (["space.toml", "-o", "nowhere/rows.csv"], "does not exist"),
        (["space.toml", "--time-limit", "soon"], "number of seconds"),
        (["space.toml", "--workers", "0"], "whole number of 1"),
        (["space.toml", "--memory-limit", "much"], "amount of memory"),
        (["space.toml", "--store", "rows.csv"], "ends in none of"),
        (["space.toml", "--store", "rows.sqlite", "--dask", "nonsense://there"], "Dask scheduler"),
        (["nothing.sqlite"], "there is no store"),
        (["nothing.models:*"], "no module"),
        (["nothing"], "no target"),
    ],
)
def test_bad_input_is_exit_code_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("space.toml").write_text(SPEC.replace("{batch_of_one}", "1"))
    assert main(["sweep", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert [path.name for path in Path().iterdir()] == ["space.toml"]


GOOD: dict[str, Any] = {"build": "tests.spaces:dense", "grid": {"width": [2]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"build": None}, "build is a text"),
        ({"build": []}, "it has no build"),
        ({"gird": {}}, "did you mean grid"),
        ({"points": [{"width": 1}]}, "give the points one way"),
        ({"grid": 3}, "a table or list"),
        ({"limits": {"tmie": 3}}, "did you mean time"),
        ({"limits": {"time": "soon"}}, "a number"),
        ({"limits": {"memory": "much"}}, "amount of memory"),
        ({"limits": {"memory": "9" * 400}}, "amount of memory"),
        ({"limits": {"memory": -(16**5000)}}, "amount of memory"),
        ({"limits": {"memory": True}}, "amount of memory"),
        ({"limits": 3}, r"write \[limits\]"),
        ({"convention": {"bias": 1}}, "true or false"),
        ({"executor": {"workers": "2"}}, "a whole number"),
        ({"store": 3}, "a text"),
        ({"inputs": "1,x"}, "no whole number"),
    ],
)
def test_what_a_spec_cannot_say(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        spec.read({**GOOD, **change})


def test_what_a_spec_can_say() -> None:
    listed = spec.read(
        {"build": "tests.spaces:dense", "points": [{"width": 2}, {"width": 5}], "arguments": {"depth": 3}}
    )
    assert list(listed.space()) == [{"depth": 3, "width": 2}, {"depth": 3, "width": 5}]
    several = spec.read({"build": ["lenet.models:Regular", "lenet.models:Depthwise"]})
    assert (several.total, [point["target"][13:] for point in several.space()]) == (2, ["Regular", "Depthwise"])
    limits = {"limits": {"time": 2.5, "memory": "1 GiB"}, "executor": {"workers": 3}, "convention": {"bias": False}}
    full = spec.read({**GOOD, **limits, "inputs": ["{width},8", "2:int64"], "store": "a.sqlite"})
    assert (full.time_limit, full.memory_limit, full.workers, full.store) == (2.5, 2**30, 3, "a.sqlite")
    assert not full.convention.bias
    first, second = full.inputs(width=7)
    assert (first, second.size, second.dtype) == ((7, 8), (2,), "int64")
    with pytest.raises(InputError, match="which the point has not"):
        full.inputs(depth=7)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are POSIX's")
def test_interrupted_it_exits_with_130_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(
        SPEC.replace("{batch_of_one}", "1").replace("[2, 3]", str(list(range(1, 3000))))
    )
    command = [sys.executable, "-m", "opcount", "sweep", "space.toml", "--store", "rows.sqlite", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    database = tmp_path / "rows.sqlite-wal"
    while running.poll() is None and not (database.exists() and database.stat().st_size > 50_000):
        pass
    running.send_signal(signal.SIGINT)
    _, err = running.communicate()
    assert running.returncode == 130, err
    assert "goes on" in err
    assert "Traceback" not in err
    done = subprocess.run([*command, "--top", "1"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "answered from the store" in done.stderr
