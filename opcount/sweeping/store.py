"""Where a sweep keeps its rows: a SQLite database in WAL mode, to which a row is added in one transaction.

A row is on its way to the disk when the call that adds it returns: a process that is killed loses nothing that it had
finished. A ``.sqlite`` or ``.db`` store is that database. A ``.parquet`` store has it beside itself, as
``NAME.parquet.journal``, for as long as the sweep is not finished; then the Parquet file takes its place whole.

A *question* is who builds, the point, the inputs and the convention; its *key* adds what the builder is made of and
opcount's version. A question has one row at most: an answer under a new key takes the place of the old one.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from opcount.errors import InputError, StoreError
from opcount.sweeping.lock import Lock
from opcount.sweeping.record import COLUMNS, PEAK

PARQUET, SQLITE = (".parquet",), (".sqlite", ".sqlite3", ".db")
APPLICATION, VERSION = 0x6F706373, 1  # "opcs"
MARKS = 1000
"""How many points that were answered before are marked in one transaction."""

_TABLE = """
CREATE TABLE rows (
    question BLOB PRIMARY KEY, key BLOB NOT NULL, position INTEGER, failed INTEGER NOT NULL,
    record TEXT NOT NULL, crc INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_position ON rows(position);
"""


class Kept(NamedTuple):
    """A row as it is kept: the position in the sweep that last asked for it, and its record as JSON."""

    question: bytes
    key: bytes
    position: int | None
    failed: bool
    record: str


def journal_of(path: str) -> Path:
    """The database of a store.

    Raises:
        InputError: the name of the store does not tell what it is to be.

    >>> journal_of("out/nets.parquet").name, journal_of("nets.sqlite").name
    ('nets.parquet.journal', 'nets.sqlite')
    """
    suffix = Path(path).suffix.casefold()
    if suffix in PARQUET:
        return Path(f"{path}.journal")
    if suffix in SQLITE:
        return Path(path)
    raise InputError(f"the store {path!r} ends in none of .parquet, .sqlite and .db, which say what it is written as")


class Store:
    """A store that is written to. It belongs to one process at a time.

    Raises:
        StoreError: it is damaged, no store of a sweep, of another version, or in use.
        InputError: it cannot be there.
    """

    def __init__(self, path: str) -> None:
        self.path, self.journal = path, journal_of(path)
        _check_place(self.path)
        if self.journal != Path(path):
            from opcount.sweeping.parquet import needed

            needed()
        self._lock = Lock(self.journal)
        try:
            self._database = self._opened()
        except BaseException:
            self._lock.release()
            raise
        self._marks = 0

    def known(self, question: bytes, keys: Sequence[bytes], position: int, *, retry: bool = False) -> bool | None:
        """Whether a question is answered well, or by an error; None if it is not. What is known is marked as asked.

        Args:
            question: what is asked.
            keys: those of answers that will do.
            position: of the point in this sweep.
            retry: whether an error is no answer.
        """
        with _explained(self.path):
            found = self._database.execute(
                "SELECT key, position, failed FROM rows WHERE question = ?", (question,)
            ).fetchone()
            if found is None or found[0] not in keys or (retry and found[2]):
                return None
            if found[1] is None:
                self._mark(question, position)
        return not found[2]

    def put(self, rows: Sequence[Kept]) -> None:
        """Add rows in one transaction, or replace those of their questions."""
        with _explained(self.path):
            self._begin()
            self._database.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)", map(_with_sum, rows))
            self.commit()

    def commit(self) -> None:
        """Have what was done so far kept."""
        self._marks = 0
        if self._database.in_transaction:
            with _explained(self.path):
                self._database.execute("COMMIT")

    def close(self, *, finished: bool) -> None:
        """Leave the store. A Parquet store whose sweep is finished is written, and its journal goes."""
        try:
            self.commit()
            if self.journal != Path(self.path) and finished:
                from opcount.sweeping.parquet import write

                write(self.path, lambda: read_database(self._database))
                self._database.close()
                _remove(self.journal)
            elif finished:
                with _explained(self.path):
                    self._database.execute("PRAGMA journal_mode = DELETE")  # one file again, for whoever reads it
        finally:
            self._database.close()
            self._lock.release()

    def _mark(self, question: bytes, position: int) -> None:
        self._begin()
        self._database.execute("UPDATE rows SET position = ? WHERE question = ?", (position, question))
        self._marks += 1
        if self._marks >= MARKS:
            self.commit()

    def _begin(self) -> None:
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")

    def _opened(self) -> sqlite3.Connection:
        with _explained(self.path):
            database = sqlite3.connect(self.journal, isolation_level=None, check_same_thread=False)
        try:
            with _explained(self.path):
                new = database.execute("PRAGMA schema_version").fetchone()[0] == 0
                if not new:
                    check(database, self.path)
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")  # safe from a kill; a power cut may cost the last rows
                if new:
                    self._create(database)
                database.execute("UPDATE rows SET position = NULL WHERE position IS NOT NULL")
        except BaseException:
            database.close()
            raise
        return database

    def _create(self, database: sqlite3.Connection) -> None:
        """The table, with what an earlier sweep wrote as Parquet: all of it or, if that is cut short, nothing."""
        database.execute("BEGIN IMMEDIATE")
        for statement in _TABLE.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        if self.journal != Path(self.path) and Path(self.path).exists():
            from opcount.sweeping.parquet import read

            try:
                database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", map(_with_sum, read(self.path)))
            except BaseException:
                database.close()
                _remove(self.journal)
                raise
        database.execute("COMMIT")


def read(path: str) -> Iterator[Kept]:
    """The rows of a store that the last sweep asked for, in the order of its points.

    Raises:
        StoreError: it is not there, damaged, or no store of a sweep.
    """
    journal = journal_of(path)
    if not journal.exists():
        if journal == Path(path) or not Path(path).exists():
            raise StoreError(f"there is no store {path!r}")
        from opcount.sweeping.parquet import read as read_parquet

        yield from (row for row in read_parquet(path, asked=True))
        return
    with _explained(path):
        database = sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        with _explained(path):
            check(database, path, thorough=False)
            yield from read_database(database, asked=True)
    finally:
        database.close()


def read_database(database: sqlite3.Connection, *, asked: bool = False) -> Iterator[Kept]:
    """The rows of a database: all of them, or those that were asked for last; those in order first.

    Raises:
        StoreError: a row is not as it was written.
    """
    everything = (
        "SELECT question, key, position, failed, record, crc FROM rows WHERE position IS NOT NULL OR NOT ? "
        "ORDER BY position IS NULL, position"
    )
    for question, key, position, failed, record, crc in database.execute(everything, (asked,)):
        if not isinstance(record, str) or crc != zlib.crc32(record.encode()):
            raise StoreError("a row of the store is damaged: it is not as it was written")
        yield Kept(question, key, position, bool(failed), record)


def check(database: sqlite3.Connection, path: str, *, thorough: bool = True) -> None:
    """See that a database is a store of a sweep, and whole.

    Raises:
        StoreError: it is not.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise StoreError(f"{path!r} is a database of something else; give the sweep a store of its own")
    if version != VERSION:
        raise StoreError(f"{path!r} was written by another version of opcount; give the sweep a new store")
    if thorough:
        (word,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if word != "ok":
            raise StoreError(f"{path!r} is damaged ({word}); it was left as it is: move it away, or restore a copy")
        for _ in read_database(database):  # a row whose sum does not match is found now, not at the end
            pass


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """What SQLite complains of, as an error of ours."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise StoreError(f"{path!r} cannot be written: {text}; make room, and start the sweep again") from error
        if "open" in text or "readonly" in text:
            raise StoreError(f"{path!r} cannot be opened: {text}") from error
        raise StoreError(
            f"{path!r} is damaged or no store of a sweep ({text}); it was left as it is: move it away, "
            "or restore a copy"
        ) from error


def _with_sum(row: Kept) -> tuple[Any, ...]:
    return (*row, zlib.crc32(row.record.encode()))


def _check_place(path: str) -> None:
    from opcount.report.files import check_target

    check_target(path)
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"the store {path!r} is no ordinary file")


def _remove(journal: Path) -> None:
    for name in (journal, Path(f"{journal}-wal"), Path(f"{journal}-shm")):
        if name.exists():
            os.unlink(name)


def record_text(record: dict[str, Any]) -> str:
    """A record as the JSON it is kept as: one text for one record."""
    named = [name for name in COLUMNS if name != PEAK or record.get(PEAK) is not None]  # as before there was a peak
    ordered = {"point": record["point"], **{name: record.get(name) for name in named}}
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
