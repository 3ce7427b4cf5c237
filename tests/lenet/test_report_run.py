"""A run's folder that is damaged, foreign or hostile: named, refused with exit code 2, and left as it was."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lenet import files
from lenet.errors import StudyError
from lenet.report import whole, write
from lenet.report.__main__ import main
from lenet.report.run import read
from tests.lenet.made_runs import ABOUT, folder, line, lines

SMALL = {**ABOUT, "epochs": 2, "seeds": [0]}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return folder(tmp_path / "run", SMALL, lines(SMALL))


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {each.name: each.read_bytes() for each in path.iterdir()}


def about(**changes: Any) -> Callable[[Path], None]:
    """Changes run.json; a value of ``...`` takes the key out."""

    def change(path: Path) -> None:
        made = {name: value for name, value in {**SMALL, **changes}.items() if value is not ...}
        (path / "run.json").write_text(json.dumps(made), encoding="utf-8")

    return change


def metrics(**changes: Any) -> Callable[[Path], None]:
    """Changes the second line of the metrics."""

    def change(path: Path) -> None:
        made = [json.loads(each) for each in (path / "metrics.jsonl").read_text().splitlines()]
        made[1] = {name: value for name, value in {**made[1], **changes}.items() if value is not ...}
        (path / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in made), encoding="utf-8")

    return change


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    """Writes a file anew."""
    return lambda path: void((path / name).write_bytes(content.encode() if isinstance(content, str) else content))


def void(_: object) -> None:
    """Nothing."""


DAMAGED: list[tuple[Callable[[Path], None], str]] = [
    (lambda path: (path / "run.json").unlink(), "run.json is missing"),
    (text("run.json", "{"), "run.json is damaged"),
    (text("run.json", "[]"), "it is no JSON object"),
    (text("run.json", b"\xff\xfe\x00"), "run.json is damaged"),
    (text("run.json", "[" * 100_000), "run.json is damaged"),
    (text("run.json", '{"schema": NaN}'), "NaN is not a number to report"),
    (about(schema="lenet-run/2"), "its schema is 'lenet-run/2', not lenet-run/1"),
    (about(schema=...), "its schema is None"),
    (about(dataset=...), "run.json has no 'dataset'"),
    (about(dataset="<script>alert(1)</script>"), "says 'dataset' is"),
    (about(dataset="a\nb"), "says 'dataset' is"),
    (about(recipe="**x**|"), "says 'recipe' is"),
    (about(activation="sigmoid"), "no activation 'sigmoid'"),
    (about(command="a\nb"), "says 'command' is"),
    (about(epochs=0), "'epochs' is 0: it has to be a whole number of 1 or more"),
    (about(epochs=True), "'epochs' is True"),
    (about(seeds=[]), "says 'seeds' is []"),
    (about(seeds=[0, 0]), "says 'seeds' is [0, 0]"),
    (about(models=["regular", "wide"]), "says 'models' is"),
    (about(width=0), "'width' is 0: it has to be a number above 0"),
    (about(widths=[]), "says 'widths' is []"),
    (about(dataset_sizes={"train": 5}), "dataset_sizes has no 'test'"),
    (lambda path: (path / "metrics.jsonl").unlink(), "has no finished epoch; let it train for one epoch at least"),
    (text("metrics.jsonl", ""), "nothing to report yet"),
    (text("metrics.jsonl", "nonsense\n"), "metrics.jsonl, line 1 is damaged"),
    (text("metrics.jsonl", b"\xff\n"), "metrics.jsonl, line 1 is damaged"),
    (metrics(test_loss=float("nan")), "line 2 is damaged: NaN is not a number to report"),
    (metrics(train_loss=float("inf")), "line 2 is damaged: Infinity is not a number to report"),
    (metrics(test_accuracy=98.9), "line 2 says 'test_accuracy' is 98.9: it has to be between 0 and 1"),
    (metrics(test_loss=-1), "'test_loss' is -1: it has to be a number of 0 or more"),
    (metrics(seconds="long"), "'seconds' is 'long'"),
    (metrics(seconds=...), "line 2 has no 'seconds'"),
    (metrics(model="wide"), "line 2 says 'model' is 'wide'"),
    (metrics(model=["regular"]), "line 2 says 'model' is"),
    (metrics(seed=5), "one of this run's seeds, 0"),
    (metrics(epoch=3), "'epoch' is 3: it has to be at most 2, as run.json has it"),
    (metrics(epoch=1), "line 2 tells of epoch 1 of regular, seed 0, again"),
    (metrics(width=3.0), "'width' is 3.0: it has to be one of this run's widths, 1"),
    (metrics(model="depthwise", epoch=2), "tells of epoch 2 of depthwise, seed 0, again"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGED, ids=[message for _, message in DAMAGED])
def test_what_cannot_be_reported_is_refused(
    small: Path, damage: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(small)
    before = contents(small)
    assert main([str(small)]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("lenet.report: ")
    assert said.out == ""
    assert contents(small) == before


def test_an_epoch_left_out_is_named(tmp_path: Path) -> None:
    made = folder(tmp_path, SMALL, [line("regular", 0, 2, 0.9)])
    with pytest.raises(StudyError, match="lacks epoch 1 of regular, seed 0, but has a later one"):
        read(made)


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "give the folder of a run, such as runs/NAME" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 2


def test_a_line_that_is_still_being_written_is_not_there_yet(small: Path) -> None:
    path = small / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    run = read(small)
    assert [(each.model, each.epoch) for each in run.done] == [("regular", 1), ("regular", 2), ("depthwise", 1)]
    assert not run.finished


def test_the_order_of_lines_is_of_no_matter(small: Path, tmp_path: Path) -> None:
    turned = folder(tmp_path / "turned", SMALL, lines(SMALL)[::-1])
    assert read(turned) == read(small)
    assert read(small).finished


def test_a_full_disk_leaves_what_was_there(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small / "report.md").write_bytes(b"the last one")
    before, written = contents(small), []

    def full(handle: int) -> None:
        written.append(handle)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StudyError, match=r"report.html cannot be written: No space left on device"):
        files.write_together(small, {"report.md": b"new", "report.html": b"new"})
    assert contents(small) == before


def test_a_folder_in_the_place_of_a_file(small: Path) -> None:
    (small / "report.html").mkdir()
    before = sorted(small.iterdir())
    with pytest.raises(StudyError, match=r"report.html cannot be written: a folder is in its place"):
        files.write_together(small, {"report.md": b"new", "report.html": b"new"})
    assert sorted(small.iterdir()) == before


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_folder_without_permission(small: Path) -> None:
    small.chmod(0o500)
    try:
        with pytest.raises(StudyError, match="Permission denied"):
            files.write_together(small, {"report.md": b"new"})
    finally:
        small.chmod(0o700)


@pytest.mark.parametrize("package", ["matplotlib", "jinja2", "sympy"])
def test_a_missing_package_is_named(small: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from opcount import OpCountError, separable

    monkeypatch.setitem(sys.modules, package, None)
    separable.derive.cache_clear()
    before = contents(small)
    with pytest.raises(OpCountError, match=rf"needs {package}, which is not installed: pip install 'opcount\["):
        write(small)
    assert contents(small) == before


def test_help_needs_nothing_heavy() -> None:
    code = """
import runpy, sys
sys.argv = ["lenet.report", "--help"]
try:
    runpy.run_module("lenet.report", run_name="__main__")
except SystemExit:
    print(sorted({"torch", "matplotlib", "jinja2", "sympy"} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "FOLDER" in said.stdout
    assert said.stdout.endswith("[]\n")


def test_ctrl_c_that_comes_out_as_another_error(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that is pressed while an extension module is imported; or that is lost there."""

    def broken(folder: Path) -> dict[str, bytes]:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise AttributeError("partially initialized module") from None
        return {}

    def lost(folder: Path) -> dict[str, bytes]:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return {}

    for way in (broken, lost):
        monkeypatch.setattr(whole, "files", way)
        assert main([str(small)]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
