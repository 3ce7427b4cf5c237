"""The command and its files, fed with rubbish: a documented exit code, never a traceback, never half a file."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from lenet.models import Depthwise
from opcount import OpCountError, Profile, profile
from opcount.parsing import parse_argument, parse_size, parse_vary
from tests.torture.commanding import EXIT_CODES, said
from tests.torture.figures import did
from tests.torture.mutation import places

OPTIONS = [
    *("--input", "--arg", "--only", "--no-bias", "--no-padding", "--format", "--tree", "--depth", "--fold"),
    *("--no-fold", "--sort", "--top", "--why", "--separate", "--vary", "--audit", "--strict", "--", "-", "-x"),
]
VALUES = [
    *("lenet.models:Depthwise", "lenet.models:Regular", "lenet.models", "lenet.models:", ":Regular", "::", "no:no"),
    *("torch.nn:Linear", "os:getcwd", "sys:exit", "builtins:print", "lenet.models:Depthwise.forward", "a.b.c:d"),
    *("1,1,28,28", "1,1,28,28:int64", "-1,3", "0", "1e9", "9" * 30, ",", "1,,2", "x", "in_features=3", "=", "a=b=c"),
    *("conv", "*", "[", "features.*", "csv", "json", "rich", "plain", "latex", "N=0", "H=2+3", "N=9", "", " ", "\0"),
    *("\x1b[31m", "ünï", "../..", "/dev/null", "missing.json", "a/b.json", "%s", "{}", "--help\n"),
]
WORDS = st.lists(
    st.one_of(st.sampled_from(OPTIONS), st.sampled_from(VALUES), st.text(max_size=12)), min_size=0, max_size=7
)


@given(words=WORDS)
@example(words=["lenet.models:Depthwise", "--input", "1,1,28,28", "--why", "\0"])
@example(words=["sys:exit"])
@example(words=["builtins:print"])
def test_any_words_end_in_a_documented_exit_code(words: list[str]) -> None:
    did("inputs fuzzed")
    code, out, err = said(words)
    assert code in EXIT_CODES
    assert "Traceback" not in out + err
    assert "a bug in opcount" not in err
    assert "\x1b" not in out + err
    if code == 2:
        assert "\nopcount: " in f"\n{err}"  # what the model's own code printed comes before it
        assert out == ""


@given(word=st.text(max_size=30))
@pytest.mark.parametrize("parse", [parse_size, parse_argument, parse_vary])
def test_any_word_is_read_or_refused(parse: Any, word: str) -> None:
    did("inputs fuzzed")
    with contextlib.suppress(OpCountError):
        parse(word)


SAVED = json.loads(profile(Depthwise()).to_json())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


PLACES = places(SAVED)


@given(data=st.data())
def test_a_saved_profile_changed_anywhere_is_read_or_refused(data: Any) -> None:
    """Some value in it replaced, or some part left out."""
    did("inputs fuzzed")
    damaged = json.loads(json.dumps(SAVED))
    *way, last = data.draw(st.sampled_from(PLACES[1:]))
    holder = damaged
    for step in way:
        holder = holder[step]
    if data.draw(st.booleans()):
        holder[last] = data.draw(JSON)
    else:
        del holder[last]
    try:
        read = Profile.from_json(json.dumps(damaged))
    except OpCountError:
        return
    assert read.total >= 0
    str(read)


@given(text=st.text(max_size=60) | JSON.map(lambda value: json.dumps(value)) | st.binary(max_size=40))
@settings(max_examples=60)
def test_any_text_is_a_profile_or_is_refused(text: Any) -> None:
    did("inputs fuzzed")
    with contextlib.suppress(OpCountError):
        Profile.from_json(text)


@given(cut=st.integers(0, len(json.dumps(SAVED)) - 1))
def test_a_profile_cut_off_is_refused(cut: int) -> None:
    did("inputs fuzzed")
    with pytest.raises(OpCountError):
        Profile.from_json(json.dumps(SAVED)[:cut])


@given(content=st.binary(max_size=200))
@settings(max_examples=25)
def test_a_file_of_any_bytes_as_a_target(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("targets") / "saved.json"
    path.write_bytes(content)
    did("inputs fuzzed")
    code, out, err = said([str(path)])
    assert (code, out) == (2, "")
    assert "Traceback" not in err


class TestOutputs:
    """Where a report is written to: all of it, or nothing, and nothing else is touched."""

    def write(self, path: Path | str) -> tuple[int, str]:
        code, _, err = said(["lenet.models:Depthwise", "--format", "json", "-o", str(path)])
        assert "Traceback" not in err
        return code, err

    def test_a_full_disk_keeps_what_was_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "report.json"
        path.write_text("before", encoding="utf-8")

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        code, err = self.write(path)
        assert code == 2
        assert "No space left" in err
        assert path.read_text(encoding="utf-8") == "before"
        assert os.listdir(tmp_path) == ["report.json"]

    def test_a_full_device(self) -> None:
        if os.path.exists("/dev/full"):
            assert self.write("/dev/full")[0] == 2

    @pytest.mark.parametrize("name", ["", ".", "..", "folder", "no/such/folder/report.json", "a\0b.json", "x" * 300])
    def test_names_that_cannot_be_written(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        assert self.write(name)[0] == 2
        assert os.listdir(tmp_path) == ["folder"]
        assert os.listdir(tmp_path / "folder") == []

    def test_a_link_is_written_through_not_replaced(self, tmp_path: Path) -> None:
        real, link = tmp_path / "real.json", tmp_path / "link.json"
        real.write_text("before", encoding="utf-8")
        link.symlink_to(real)
        assert self.write(link)[0] == 0
        assert link.is_symlink()
        assert json.loads(real.read_text(encoding="utf-8"))["model"]

    def test_a_link_to_nowhere_and_a_link_to_itself(self, tmp_path: Path) -> None:
        nowhere, itself = tmp_path / "nowhere.json", tmp_path / "itself.json"
        nowhere.symlink_to(tmp_path / "missing" / "report.json")
        itself.symlink_to(itself)
        assert self.write(nowhere)[0] == 2
        assert self.write(itself)[0] == 2
        assert sorted(os.listdir(tmp_path)) == ["itself.json", "nowhere.json"]
