"""Everything that is written, on a disk that is full or may not be written to, and under names that lead elsewhere.

Each writer is stopped at each of its calls to the system in turn. What was there before stays as it was, to the byte,
nothing is left beside it, and the command says why.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

import lenet.report.__main__
from lenet.checkpoints import save_state, save_weights
from lenet.errors import StudyError
from lenet.metrics import write_metrics
from lenet.report import whole
from lenet.runs import begin, locked
from lenet.settings import Job, describe
from opcount import OpCountError
from opcount.report.files import SUFFIXES, write
from tests.lenet.made_data import epoch, settings
from tests.torture.commanding import folder, state, well_said
from tests.torture.figures import did

pytestmark = pytest.mark.filterwarnings("ignore")

Writer = Callable[[], Any]

MODEL = "lenet.models:Depthwise"
JOB = Job(1.0, "regular", 0)
PROJECT = '[tool.opcount.models.relu]\ntarget = "torch.nn:ReLU"\ninput = "1,4"\n'


class Full(io.FileIO):
    """A file of which nothing more can be written."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def failing(call: str, code: int) -> Iterator[None]:
    """A call to the system that fails whenever it is made on a file that is being written."""
    error = OSError(code, os.strerror(code))

    def fails(*_: Any, **__: Any) -> Any:
        raise error

    if call != "write":
        with patch.object(os if call != "mkstemp" else tempfile, call, fails):
            yield
        return
    real = os.fdopen

    def full(handle: int, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return Full(handle, "w") if "w" in mode else real(handle, mode, *args, **kwargs)

    with patch.object(os, "fdopen", full):
        yield


FAULTS = [
    ("mkstemp", errno.EROFS),
    ("mkstemp", errno.EDQUOT),
    ("write", errno.ENOSPC),
    ("fsync", errno.ENOSPC),
    ("fsync", errno.EIO),
    ("replace", errno.EACCES),
    ("chmod", errno.EPERM),
]


def commands(place: Path) -> dict[str, list[str]]:
    """Every file that the command writes, but for a sweep's store."""
    forms = {suffix: [MODEL, "-o", str(place / f"report{suffix}")] for suffix in SUFFIXES}
    return forms | {
        "--html": [MODEL, "--html", str(place / "page.html")],
        "--only": [MODEL, "--only", "conv", "--format", "csv", "-o", str(place / "conv.dat")],
        "--why": [MODEL, "--why", "conv1", "-o", str(place / "why.txt")],
        "roofline": [MODEL, "--roofline", "a100-80gb", "-o", str(place / "roofs.svg")],
        "lock": ["lock"],
    }


def needed(what: str) -> None:
    """Skip what is written by a package that is not installed."""
    if what in (".html", ".htm", "--html"):
        pytest.importorskip("mpld3", reason="a page needs the extra page")
    if what == "roofline":
        pytest.importorskip("matplotlib", reason="a figure needs matplotlib")


@pytest.mark.parametrize(("call", "code"), FAULTS, ids=lambda each: str(each))
@pytest.mark.parametrize("what", commands(Path()))
@pytest.mark.parametrize("before", [True, False], ids=["over another", "anew"])
def test_reports_and_locks(what: str, call: str, code: int, before: bool) -> None:
    needed(what)
    with folder(pyproject__toml=PROJECT) as place:
        words = commands(place)[what]
        path = place / "opcount.lock" if what == "lock" else Path(words[-1])
        if before:
            path.write_bytes(b"what was there before\n")
        kept = state(place)
        with failing(call, code):
            ended, out, err = well_said(words)
        did("faults of disks injected")
        assert (ended, out) == (2, "")
        assert os.strerror(code) in err
        assert state(place) == kept


@pytest.mark.parametrize(("call", "code"), FAULTS, ids=lambda each: str(each))
@pytest.mark.parametrize("what", ["run.json", "metrics", "state", "weights"])
def test_what_the_study_writes(what: str, call: str, code: int) -> None:
    with folder() as place:
        (place / "checkpoints").mkdir()
        weights = {"weight": torch.ones(2)}
        writers: dict[str, Writer] = {
            "run.json": lambda: begin(place / "new", describe(settings(), (6, 4), "python", "2026-11-24")),
            "metrics": lambda: write_metrics(place, [epoch(JOB, 1)], [JOB]),
            "state": lambda: save_state(place, JOB, settings(), {"model": weights}, [epoch(JOB, 1)]),
            "weights": lambda: save_weights(place, JOB, weights),
        }
        if what != "run.json":  # over what an earlier epoch left
            writers[what]()
        else:
            (place / "new").mkdir()
        kept = state(place)
        did("faults of disks injected")
        with failing(call, code), pytest.raises(StudyError, match=os.strerror(code)):
            writers[what]()
        assert state(place) == kept


@pytest.mark.parametrize(("call", "code"), [("fsync", errno.ENOSPC), ("replace", errno.EROFS)])
def test_a_report_of_the_study(call: str, code: int) -> None:
    """With the report's own files in place of all its figures, which take long to draw."""
    made = {"report.md": b"new", "report.html": b"new", "plot.svg": b"new"}
    with folder(report__md="old", other__txt="other") as place:
        kept = state(place)
        with patch.object(whole, "files", lambda place: made), failing(call, code):
            ended, out, err = well_said([str(place)], lenet.report.__main__.main)
        assert (ended, out) == (2, "")
        assert os.strerror(code) in err
        assert state(place) == kept
    did("faults of disks injected")


def _sweep(store: str, widths: list[int]) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    from opcount import sweep

    return sweep(torch.nn.Linear, {"in_features": widths, "out_features": [3]}, (1, widths[0]),
                 executor=ThreadPoolExecutor(1), store=store)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "code"), [fault for fault in FAULTS if fault[0] != "write"], ids=lambda each: str(each)
)
def test_a_store_whose_end_cannot_be_written_keeps_its_journal(call: str, code: int) -> None:
    """The table itself is as it was; every row is in the journal, and the same sweep goes on from there."""
    pytest.importorskip("pyarrow", reason="Parquet stores need pyarrow")
    with folder() as place:
        _sweep("made.parquet", [2])
        kept = (place / "made.parquet").read_bytes()
        did("faults of disks injected")
        with failing(call, code), pytest.raises(OpCountError, match=r"kept in made\.parquet\.journal"):
            _sweep("made.parquet", [2, 4])
        assert (place / "made.parquet").read_bytes() == kept
        assert not [name for name in state(place) if name.endswith(".part")]
        assert [row["in_features"] for row in _sweep("made.parquet", [2, 4])] == [2, 4]
        assert set(state(place)) == {"made.parquet"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("what", [name for name in commands(Path()) if name not in ("lock", "roofline")])
def test_a_full_device(what: str) -> None:
    needed(what)
    with folder() as place:
        words = commands(place)[what]
        form = [] if "--html" in words or "--format" in words else ["--format", "csv"]
        code, _, err = well_said([*words[:-1], "/dev/full", *([] if "--why" in words else form)])
        assert code == 2
        assert "No space left" in err
        assert state(place) == {}
    did("faults of disks injected")


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """A folder that may not be written into; for the administrator, who may, the system is made to say so."""
    if os.geteuid():
        place.chmod(0o500)
        try:
            yield
        finally:
            place.chmod(0o700)
        return
    real = os.access

    def refused(path: Any, mode: int, **more: Any) -> bool:
        return not (mode & os.W_OK and Path(os.path.realpath(path)) == place.resolve()) and real(path, mode, **more)

    with patch.object(os, "access", refused), failing("mkstemp", errno.EACCES):
        yield


@pytest.mark.parametrize("what", commands(Path()))
def test_a_folder_that_may_not_be_written_into(what: str) -> None:
    needed(what)
    with folder(pyproject__toml=PROJECT) as place:
        kept = state(place)
        with read_only(place):
            code, _, err = well_said(commands(place)[what])
        assert code == 2
        assert "ermission" in err
        assert state(place) == kept


def test_a_run_in_a_folder_that_may_not_be_written_into() -> None:
    with folder() as place:
        (place / "run").mkdir()
        with (
            patch.object(tempfile, "TemporaryFile", side_effect=PermissionError(errno.EACCES, "Permission denied")),
            pytest.raises(StudyError, match="Permission denied"),
            locked(place / "run"),
        ):
            pass
        assert state(place) == {}


NAMES = [
    "a\nb.csv",
    "a\x1b[31mb.csv",
    "\u202egnp.csv",
    "-o.csv",
    " .csv",
    "ünï.csv",
    "%s{}.csv",
    "a;b&c.csv",
    "'\".csv",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_every_kind_are_files_of_that_name(name: str) -> None:
    """And what is said of them moves no cursor: :func:`well_said` looks for that."""
    with folder() as place:
        code, _, err = well_said([MODEL, f"--output={name}"])
        assert code == 0
        assert len(err.strip().splitlines()) == 1
        assert list(state(place)) == [name]


@pytest.mark.parametrize("name", ["../up.csv", "down/../../up.csv", "./down/./up.csv"])
def test_paths_that_go_up_and_down_lead_where_the_system_says(name: str) -> None:
    with folder() as place:
        inner = place / "inner"
        (inner / "down").mkdir(parents=True)
        os.chdir(inner)
        assert well_said([MODEL, "-o", name])[0] == 0
        assert list(state(place)) == [str(Path(os.path.normpath(inner / name)).relative_to(place))]


class TestLinks:
    """A link is followed to what it names, which is replaced whole; the link stays."""

    def link(self, to: str) -> tuple[int, str]:
        Path("link.csv").symlink_to(to)
        code, _, err = well_said([MODEL, "-o", "link.csv"])
        assert Path("link.csv").is_symlink()
        assert os.readlink("link.csv") == to
        return code, err

    def test_to_a_file_elsewhere(self) -> None:
        with folder() as place, tempfile.TemporaryDirectory() as other:
            target = Path(other) / "real.csv"
            target.write_text("before")
            target.chmod(0o640)
            assert self.link(str(target))[0] == 0
            assert target.read_text().startswith("path") or "," in target.read_text()
            assert stat.S_IMODE(target.stat().st_mode) == 0o640
            assert list(state(place)) == ["link.csv"]
            assert os.listdir(other) == ["real.csv"]

    def test_to_what_is_not_there_yet(self) -> None:
        with folder() as place:
            assert self.link("new.csv")[0] == 0
            assert "," in (place / "new.csv").read_text()

    def test_to_a_folder_that_is_not_there(self) -> None:
        with folder() as place:
            assert self.link("missing/new.csv")[0] == 2
            assert list(state(place)) == ["link.csv"]

    def test_to_a_folder(self) -> None:
        with folder():
            assert self.link(".")[0] == 2

    @pytest.mark.skipif(not os.path.exists("/dev/null"), reason="this system has no /dev/null")
    def test_to_a_device(self) -> None:
        """It is written to as the device that it is, and stays one."""
        with folder() as place:
            assert self.link("/dev/null")[0] == 0
            assert list(state(place)) == ["link.csv"]
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)

    def test_of_a_lock(self) -> None:
        with folder(pyproject__toml=PROJECT, real__json="{}") as place:
            (place / "opcount.lock").symlink_to("real.json")
            assert well_said(["lock"])[0] == 0
            assert (place / "opcount.lock").is_symlink()
            assert json.loads((place / "real.json").read_text())["models"]


@pytest.mark.parametrize("name", ["", ".", "..", "/", "folder", "folder/", "folder/.", "a\0b.csv", "x" * 300 + ".csv"])
@pytest.mark.parametrize("option", ["-o", "--html"])
def test_names_that_are_no_file(name: str, option: str) -> None:
    with folder() as place:
        (place / "folder").mkdir()
        assert well_said([MODEL, "--format", "csv", option, name] if option == "-o" else [MODEL, option, name])[0] == 2
        assert state(place) == {}


def test_a_store_under_names_that_lead_elsewhere() -> None:
    with folder() as place:
        (place / "folder.sqlite").mkdir()
        (place / "loop.sqlite").symlink_to("loop.sqlite")
        (place / "null.sqlite").symlink_to("/dev/null")
        kept = state(place)
        for name in ("folder.sqlite", "loop.sqlite", "null.sqlite", "missing/a.sqlite", "a\0b.sqlite", ".."):
            with pytest.raises(OpCountError):
                _sweep(name, [2])
            assert state(place) == kept


def test_what_is_written_has_the_rights_that_the_user_gives_to_new_files() -> None:
    with folder() as place:
        before = os.umask(0o027)
        try:
            write("made.csv", "1")
        finally:
            os.umask(before)
        assert stat.S_IMODE((place / "made.csv").stat().st_mode) == 0o640
