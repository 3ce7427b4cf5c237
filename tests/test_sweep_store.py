"""The store of a sweep: Parquet or SQLite, whole or refused, and read back as it was written."""

from __future__ import annotations

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opcount import sweep
from opcount.errors import MissingExtraError, StoreError
from opcount.sweeping import Results
from opcount.sweeping.plain import from_plain, to_plain, to_text
from opcount.sweeping.record import RESULT
from opcount.sweeping.store import Kept, Store, read, record_text
from tests import spaces
from tests.test_sweep import Here

SIZE = (1, 8)


def swept(store: Path, *widths: int) -> list[dict[str, Any]]:
    return list(sweep(spaces.dense, {"width": widths or (2, 3)}, SIZE, executor=Here(), store=str(store)))


@pytest.fixture(params=["rows.parquet", "rows.sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param.endswith("parquet"):
        pytest.importorskip("pyarrow")
    return tmp_path / request.param


def test_a_finished_sweep_is_one_file(store: Path) -> None:
    swept(store)
    assert [path.name for path in store.parent.iterdir()] == [store.name]
    assert swept(store, 4, 2) == [row for width in (4, 2) for row in Results.read(str(store)) if row["width"] == width]
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_rows_that_were_not_asked_for_now_are_kept(store: Path) -> None:
    swept(store, 2, 3, 4)
    swept(store, 5)
    here = Here()
    rows = sweep(spaces.dense, {"width": (3, 4, 5)}, SIZE, executor=here, store=str(store))
    assert (here.submitted, [row["width"] for row in rows]) == (0, [3, 4, 5])


def test_parquet_has_a_column_for_everything(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    store = tmp_path / "rows.parquet"
    space = [{"how": "raise"}, {"how": "fine"}]
    sweep(spaces.troubled, space, SIZE, executor=Here(), store=str(store))
    table = parquet.read_table(store)
    assert table.column_names[:2] == ["how", "multiplications"]
    assert table.column("macs").to_pylist() == [None, 32]
    assert str(table.schema.field("macs").type) == "int64"
    assert table.column("error").to_pylist() == ["ValueError: no luck", None]


VALUES = [
    *(1, 1.0, True, None, "1", "", "größe\n", -0.5, 1e300, float("inf"), 2**70, -(2**63)),
    *((1, 2), [1, 2], {"a": (1, [2.5])}, ()),
]


@pytest.mark.parametrize("suffix", ["parquet", "sqlite"])
def test_every_value_comes_back_as_it_was(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    store = str(tmp_path / f"rows.{suffix}")
    space = [{"width": 2, "extra": value} for value in VALUES]
    build = lambda width, extra: spaces.dense(width)  # noqa: E731
    found = [row["extra"] for row in sweep(build, space, SIZE, executor=Here(), store=store)]
    assert [(type(value), value) for value in found] == [(type(value), value) for value in VALUES]
    here = Here()
    sweep(build, space, SIZE, executor=here, store=store)
    assert here.submitted == 0


def test_values_that_differ_have_texts_that_differ() -> None:
    texts = [to_text(to_plain(value)) for value in VALUES]
    assert len(set(texts)) == len(VALUES)
    assert [from_plain(to_plain(value)) for value in VALUES] == VALUES


def test_counts_beyond_64_bits_stay_whole(store: Path) -> None:
    result = {**dict.fromkeys(RESULT), "macs": 2**80, "complete": True, "uncounted": []}
    record = {"point": {"width": 1}, "build": "b", "inputs": "", "convention": "", "version": "0", **result}
    kept = Store(str(store))
    kept.put([Kept(b"q", b"k", 0, False, record_text(record))])
    kept.close(finished=True)
    assert [row["macs"] for row in Results.read(str(store))] == [2**80]


def test_a_store_of_something_else_is_refused_and_left_alone(store: Path) -> None:
    if store.suffix == ".sqlite":
        with sqlite3.connect(store) as database:
            database.execute("CREATE TABLE mine (x)")
    else:
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({"x": [1, 2]}), store)
    before = store.read_bytes()
    with pytest.raises(StoreError, match="something else"):
        swept(store)
    assert store.read_bytes() == before
    assert [path.name for path in store.parent.iterdir()] == [store.name]


@pytest.mark.parametrize("text", [b"", b"no store", b"PAR1" * 50, b"SQLite format 3\0" * 100])
def test_what_is_no_store_at_all_is_refused(text: bytes, store: Path) -> None:
    store.write_bytes(text)
    if text or store.suffix == ".parquet":
        with pytest.raises(StoreError, match="rows"):
            swept(store)
        assert store.read_bytes() == text


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "rows.sqlite"
    swept(store)
    with sqlite3.connect(store) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="another version"):
        swept(store)


def test_a_damaged_store_is_refused_or_whole(store: Path) -> None:
    """Whatever byte is changed: rows come back as they were, or none does."""
    before = swept(store, *range(2, 40))
    whole = store.read_bytes()
    chosen = random.Random(0)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        store.write_bytes(data)
        try:
            kept = Store(str(store))
        except StoreError:
            refused += 1
            continue
        kept.close(finished=False)
        try:
            assert sorted(map(str, Results.read(str(store)))) == sorted(map(str, before)) or not list(read(str(store)))
        except StoreError:
            refused += 1
        finally:
            for path in store.parent.iterdir():
                path.unlink()
    assert refused


def test_a_store_belongs_to_one_sweep_at_a_time(store: Path) -> None:
    kept = Store(str(store))
    try:
        with pytest.raises(StoreError, match="another sweep"):
            Store(str(store))
    finally:
        kept.close(finished=True)
    swept(store)


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    store = tmp_path / "rows.parquet"
    swept(store, 2)
    before = store.read_bytes()

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet.ParquetWriter, "write_table", full)
    with pytest.raises(StoreError, match="No space left"):
        swept(store, 3)
    assert store.read_bytes() == before
    monkeypatch.undo()
    here = Here()
    sweep(spaces.dense, {"width": (2, 3)}, SIZE, executor=here, store=str(store))
    assert here.submitted == 0


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"opcount\[sweep\]"):
        swept(tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_finished_can_be_read(store: Path) -> None:
    def points() -> Any:
        yield {"width": 2}
        yield {"width": 3}
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        sweep(spaces.dense, points, SIZE, executor=pool, store=str(store))
    assert [row["width"] for row in Results.read(str(store))] in ([], [2], [2, 3])
    assert len(swept(store, 2, 3)) == 2
    with pytest.raises(StoreError, match="there is no store"):
        Results.read(str(store.with_name("other.sqlite")))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder in which nothing can be made")
def test_a_folder_in_which_nothing_can_be_made() -> None:
    with pytest.raises(StoreError, match="cannot be made"):
        Store("/proc/rows.sqlite")
