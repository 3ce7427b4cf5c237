"""Exported programs that only PyTorch's own loader reads: refused, or loaded where the user trusts the file."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from opcount import Profile
from opcount.cli import main

SIZE = (2, 8)
MACS = 2 * 8 * 4
TRUST = "--trust has PyTorch load it, which unpickles parts of it"


class Marking:
    """Unpickling one makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


def exported() -> Any:
    return torch.export.export(nn.Sequential(nn.Linear(8, 4)), (torch.zeros(SIZE),))


def rewritten(source: Path, out: Path, change: Any) -> str:
    """A copy of an archive in which each file's contents are changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return str(out)


def is_graph(name: str) -> bool:
    return name == "serialized_exported_program.json" or name.endswith("models/model.json")


def versioned(major: int) -> Any:
    """The graph with another version of the schema."""

    def change(name: str, data: bytes) -> bytes:
        if not is_graph(name):
            return data
        return json.dumps({**json.loads(data), "schema_version": {"major": major, "minor": 0}}).encode()

    return change


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "plain.pt2"
    torch.export.save(exported(), path)
    return path


@pytest.fixture
def unversioned(plain: Path, tmp_path: Path) -> str:
    """Version 0 is what PyTorch takes for a program of no version, and loads."""
    return rewritten(plain, tmp_path / "unversioned.pt2", versioned(0))


def test_another_version_is_refused(unversioned: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([unversioned]) == 2
    said = capsys.readouterr()
    assert "with version 0 of the schema, and this release reads 7 and 8" in said.err
    assert TRUST in said.err
    assert not said.out


def test_and_loaded_by_pytorch_where_it_is_trusted(unversioned: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([unversioned, "--trust", "--format", "json"]) == 0
    found = Profile.from_json(capsys.readouterr().out)
    assert (found.macs, found.complete, found.params) == (MACS, True, 36)


def test_of_several_programs_pytorch_loads_the_one_called_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package_pt2 = pytest.importorskip("torch.export.pt2_archive._package", reason="PyTorch has no packages").package_pt2
    path = str(tmp_path / "several.pt2")
    package_pt2(path, exported_programs={"model": exported(), "other": exported()})
    assert main([path]) == 2
    said = capsys.readouterr().err
    assert "holds several models" in said
    assert TRUST in said
    assert main([path, "--trust", "--format", "json"]) == 0
    assert Profile.from_json(capsys.readouterr().out).macs == MACS


def test_what_pytorch_cannot_load_either(plain: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = rewritten(plain, tmp_path / "later.pt2", versioned(99))
    assert main([path, "--trust"]) == 2
    said = capfd.readouterr().err
    assert "with version 99 of the schema" in said
    assert "PyTorch cannot load it either" in said
    assert said.count("\n") == 1
    assert "Traceback" not in said


def hostile(plain: Path, out: Path, marker: Path, major: int | None) -> str:
    """The archive with every file that PyTorch unpickles replaced by one that leaves a marker."""
    payload = pickle.dumps(({"0": Marking(marker)},), protocol=2)

    def change(name: str, data: bytes) -> bytes:
        if name.endswith(".pt"):  # example inputs; before PyTorch 2.8 weights and constants too
            return payload
        return data if major is None else versioned(major)(name, data)

    return rewritten(plain, out, change)


def test_the_payload_would_run(plain: Path, tmp_path: Path) -> None:
    """What the tests below rely on: unpickled, by Python or by PyTorch's own loader, it leaves its marker."""
    marker = tmp_path / "marker"
    path = hostile(plain, tmp_path / "hostile.pt2", marker, None)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if archive.read(name).startswith(b"\x80\x02")]
        assert names
        pickle.loads(archive.read(names[0]))
    assert marker.exists()


@pytest.mark.parametrize("major", [None, 0, 99], ids=["read", "version 0", "version 99"])
def test_nothing_is_unpickled_without_trust(
    plain: Path, tmp_path: Path, major: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    path = hostile(plain, tmp_path / "hostile.pt2", marker, major)
    assert main([path, "--format", "json"]) == (0 if major is None else 2)
    if major is None:
        assert Profile.from_json(capsys.readouterr().out).macs == MACS
    assert not marker.exists()


def test_a_graph_that_can_be_read_is_read_even_if_the_file_is_trusted(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    path = hostile(plain, tmp_path / "hostile.pt2", marker, None)
    assert main([path, "--trust", "--format", "json"]) == 0
    assert Profile.from_json(capsys.readouterr().out).macs == MACS
    assert not marker.exists()


def test_trust_is_what_runs_it(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker = tmp_path / "marker"
    path = hostile(plain, tmp_path / "hostile.pt2", marker, 0)
    assert main([path, "--trust"]) == 2  # the payload is no weights, so loading ends in an error
    assert "PyTorch cannot load it either" in capsys.readouterr().err
    assert marker.exists()
