"""The study's files, damaged: MNIST, a run's settings and metrics, checkpoints. Refused or read, never believed."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, strategies as st

import lenet.data
import lenet.report.__main__
import lenet.report.run
import lenet.train
from lenet.checkpoints import load_state, load_weights, save_state, state_path, weights_path
from lenet.errors import StudyError
from lenet.settings import Job, describe
from lenet.training import Trainer
from tests.lenet.made_data import epoch, made, settings
from tests.lenet.made_runs import ABOUT, line, made_run
from tests.torture.commanding import folder, state, well_said
from tests.torture.figures import did
from tests.torture.mutation import SIZES, VALUES, contents, structures

pytestmark = pytest.mark.filterwarnings("ignore")

JOB = Job(1.0, "regular", 0)


@contextmanager
def replaced(*replacements: tuple[Any, str, Any]) -> Iterator[None]:
    """Parts of the study replaced for a while: no test below trains for long or reaches for a mirror."""
    patches = [patch.object(*replacement) for replacement in replacements]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in reversed(patches):
            each.stop()


def idx(*sizes: int, kind: int = 8) -> bytes:
    """A file as MNIST has them: a magic number, the sizes, then bytes."""
    head = struct.pack(">HBB", 0, kind, len(sizes)) + struct.pack(f">{len(sizes)}I", *sizes)
    count = 1
    for size in sizes:
        count *= size
    return head + bytes(index % 10 for index in range(count))


WHOLE = {
    "train-images-idx3-ubyte": idx(6, 28, 28),
    "train-labels-idx1-ubyte": idx(6),
    "t10k-images-idx3-ubyte": idx(4, 28, 28),
    "t10k-labels-idx1-ubyte": idx(4),
}


class TestDataSets:
    """MNIST's files. Each is verified by its MD5 first; here that lets everything through, to see what lies behind."""

    def read(self, files: dict[str, bytes], believed: bool) -> Any:
        from torchvision.datasets import utils

        def gone(*_: Any, **__: Any) -> None:
            raise OSError("no mirror has it")

        with folder() as place:
            raw = place / "MNIST" / "raw"
            raw.mkdir(parents=True)
            for name, data in files.items():
                (raw / f"{name}.gz").write_bytes(data)
            trusting: list[tuple[Any, str, Any]] = [(utils, "download_url", gone)]
            if believed:
                trusting.append((utils, "check_integrity", lambda path, md5=None: Path(path).is_file()))
            with replaced(*trusting):
                return lenet.data.mnist(place, lambda text: None)

    def test_whole_files_are_read(self) -> None:
        assert self.read({name: gzip.compress(data) for name, data in WHOLE.items()}, True).sizes == (6, 4)

    @given(data=st.data())
    def test_damaged_files_that_pass_for_whole(self, data: Any) -> None:
        files = {name: gzip.compress(whole) for name, whole in WHOLE.items()}
        name = data.draw(st.sampled_from(sorted(WHOLE)))
        if data.draw(st.booleans()):
            files[name] = data.draw(contents(files[name]))
        else:
            damaged = bytearray(WHOLE[name])
            at = data.draw(st.integers(0, 15))
            size = data.draw(st.sampled_from(SIZES) | st.binary(min_size=1, max_size=4))
            damaged[at : at + len(size)] = size
            files[name] = gzip.compress(bytes(damaged))
        with contextlib.suppress(StudyError):
            assert min(self.read(files, True).sizes) > 0

    @given(data=st.data())
    def test_damaged_files_are_known_by_their_sums(self, data: Any) -> None:
        files = {name: data.draw(contents(gzip.compress(whole))) for name, whole in WHOLE.items()}
        with pytest.raises(StudyError, match="damaged"):
            self.read(files, False)

    def test_a_bomb_is_not_unpacked(self) -> None:
        """Its sum is not MNIST's."""
        files = {name: gzip.compress(bytes(2**26), 9) for name in WHOLE}
        with pytest.raises(StudyError, match="damaged"):
            self.read(files, False)


class TestRuns:
    """A run's ``run.json`` and ``metrics.jsonl``: what a report is made from, and what is resumed."""

    @given(data=st.data())
    def test_a_report_of_a_run_changed_anywhere(self, data: Any) -> None:
        about = {**ABOUT, "epochs": 2, "seeds": [0, 1]}
        metrics = [line(model, seed, each, 0.9) for model in about["models"] for seed in (0, 1) for each in (1, 2)]
        if data.draw(st.booleans()):
            about = data.draw(structures(about))
        else:
            metrics = data.draw(structures(metrics))
        text = "".join(f"{json.dumps(each)}\n" for each in metrics)
        drawn: list[Path] = []
        with folder(run__json=json.dumps(about), metrics__jsonl=text) as place:
            before = state(place)
            with replaced((lenet.report, "write", lambda place: drawn.append(lenet.report.run.read(place)) or [])):
                well_said([str(place)], lenet.report.__main__.main)
            assert state(place) == before

    @given(data=st.data())
    def test_files_of_a_run_of_damaged_bytes(self, data: Any) -> None:
        with folder() as place:
            made_run(place, epochs=2, seeds=[0])
            name = data.draw(st.sampled_from(["run.json", "metrics.jsonl"]))
            (place / name).write_bytes(data.draw(contents((place / name).read_bytes())))
            before = state(place)
            with replaced((lenet.report, "write", lambda place: [lenet.report.run.read(place)][:0])):
                well_said([str(place)], lenet.report.__main__.main)
            assert state(place) == before

    @given(data=st.data())
    def test_settings_changed_anywhere_are_resumed_or_refused(self, data: Any) -> None:
        whole = describe(settings(), (96, 40), "python -m lenet.train", "2026-11-24T10:00:00Z")
        text = json.dumps(data.draw(structures(json.loads(json.dumps(whole)) | {"data_dir": "data"})))
        self.resume(text.encode())

    @given(data=contents(json.dumps(describe(settings(), (96, 40), "python", "2026-11-24")).encode()))
    def test_settings_of_damaged_bytes_are_resumed_or_refused(self, data: bytes) -> None:
        self.resume(data)

    @pytest.mark.parametrize("option", ["--seeds", "--epochs", "--batch-size"])
    def test_more_than_any_memory_holds_is_refused_at_once(self, option: str) -> None:
        with folder() as place:
            code, _, err = well_said([option, str(10**12), "--out", "run", "--dataset", "digits"], lenet.train.main)
            assert code == 2
            assert "at most 1,000,000" in err
            assert state(place) == {}

    def resume(self, text: bytes) -> None:
        with folder(run__json=text) as place:
            with replaced(
                (lenet.data, "digits", made),
                (lenet.data, "mnist", lambda folder, say=print: made(name="mnist")),
                (lenet.train, "_train", lambda *_: None),
                (lenet.report, "write", lambda place: []),
            ):
                code, _, _ = well_said(["--resume", "--out", str(place)], lenet.train.main)
            assert code in (0, 2)
            assert (place / "run.json").read_bytes() == text


@lru_cache
def trained() -> dict[str, Any]:
    """What training for one epoch of two leaves."""
    trainer = Trainer(JOB, settings(), made(), torch.device("cpu"), lenet.train.Group())
    list(trainer.epoch(1))
    return trainer.state()


@lru_cache
def checkpoint() -> bytes:
    with folder() as place:
        (place / "checkpoints").mkdir()
        save_state(place, JOB, settings(), trained(), [epoch(JOB, 1)])
        return state_path(place, JOB).read_bytes()


def repacked(member: str, change: Callable[[bytes], bytes]) -> bytes:
    """A checkpoint with one of its files changed, its sums right again."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(checkpoint())) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename.endswith(member) else data)
    return file.getvalue()


class TestCheckpoints:
    """Networks in training, and final weights."""

    def read(self, data: bytes) -> None:
        """Read it as resuming does, and go on with it if it is accepted."""
        with folder() as place:
            (place / "checkpoints").mkdir()
            state_path(place, JOB).write_bytes(data)
            weights_path(place, JOB).write_bytes(data)
            before = state(place)
            with contextlib.suppress(StudyError):
                read = load_state(place, JOB, settings())
                assert read is not None
                trainer = Trainer(JOB, settings(), made(), torch.device("cpu"), lenet.train.Group())
                trainer.load(read[0], len(read[1]))
                list(trainer.epoch(2))
            with pytest.raises(StudyError, match="refused"):
                load_weights(place, JOB)
            assert state(place) == before

    @given(data=st.data())
    def test_damaged_bytes(self, data: Any) -> None:
        self.read(data.draw(contents(checkpoint())))

    @given(data=st.data())
    def test_parts_of_damaged_bytes_with_sums_that_are_right(self, data: Any) -> None:
        """The pickle inside, which is read by PyTorch's own reader of plain values alone."""
        part = data.draw(st.sampled_from(["data.pkl", "data/0", "data/3", "version", "byteorder"]))
        self.read(repacked(part, lambda whole: data.draw(contents(whole))))

    @given(data=st.data())
    def test_contents_changed_anywhere(self, data: Any) -> None:
        """Another shape, type, value or name somewhere in what is otherwise whole."""
        did("inputs fuzzed")
        whole = torch.load(io.BytesIO(checkpoint()), weights_only=True)
        holder, key = data.draw(st.sampled_from(_ways(whole)))
        what = data.draw(st.sampled_from(["remove", "value", "tensor"]))
        if what == "remove":
            del holder[key]
        elif what == "value":
            holder[key] = data.draw(st.sampled_from([each for each in VALUES if each != "\ud800"]))
        else:
            holder[key] = data.draw(
                st.sampled_from(
                    [torch.zeros(0), torch.full((2, 2), float("nan")), torch.ones(3, dtype=torch.int64),
                     torch.ones(1).expand(10**12), torch.ones(2, dtype=torch.complex64), torch.empty(3, device="meta"),
                     torch.eye(3).to_sparse(), torch.tensor(float("inf"))]
                )
            )  # fmt: skip
        file = io.BytesIO()
        torch.save(whole, file)
        self.read(file.getvalue())

    def test_what_would_run_code_is_refused(self, tmp_path: Path) -> None:
        class Runs:
            def __reduce__(self) -> Any:
                return Path.touch, (tmp_path / "told",)

        file = io.BytesIO()
        torch.save({"schema": "lenet-checkpoint/1", "job": Runs()}, file)
        self.read(file.getvalue())
        assert not (tmp_path / "told").exists()


def _ways(value: Any) -> list[tuple[Any, Any]]:
    """Every place in nested tables and lists, as what holds it and its key."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        found.append((value, key))
        found += _ways(item)
    return found
