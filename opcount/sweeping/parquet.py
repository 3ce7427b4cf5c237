"""A finished sweep as a Parquet file: a column for each name of a point and for each figure, written whole.

Rows pass through in batches, so that memory does not grow with their number. Whole numbers are 64 bits wide where
all of a column fit, else decimals of 38 digits, never floating-point numbers.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opcount.errors import MissingExtraError, StoreError
from opcount.report.files import replacing
from opcount.sweeping.record import COLUMNS, WHOLE, from_columns, to_columns

if TYPE_CHECKING:
    from opcount.sweeping.store import Kept

SCHEMA = b"opcount-sweep/1"
BATCH = 10_000
_OWN = ("question", "key", "position", "failed")


def needed() -> tuple[Any, Any]:
    """pyarrow and its Parquet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            "a Parquet store needs pyarrow, which is not installed: pip install 'opcount[sweep]', or end the store's "
            "name in .sqlite"
        ) from None
    return pyarrow, pyarrow.parquet


def write(path: str, rows: Callable[[], Iterable[Kept]]) -> None:
    """Write rows to a file, which takes the place of what was there when it is whole and on the disk.

    Args:
        path: the file.
        rows: called twice: once to see what the columns must hold, once to write them.

    Raises:
        StoreError: it cannot be written; what was there is as it was.
    """
    pyarrow, parquet = needed()
    schema = _schema(pyarrow, rows())
    options = {"compression": "zstd", "write_page_checksum": True}
    try:
        with replacing(Path(os.path.realpath(path))) as file, parquet.ParquetWriter(file, schema, **options) as writer:
            for batch in _batches(rows()):
                writer.write_table(_table(pyarrow, schema, batch))
    except OSError as error:
        raise StoreError(
            f"{path!r} cannot be written: {error.strerror or error}; the rows are kept in {path}.journal"
        ) from error


def read(path: str, *, asked: bool = False) -> Iterator[Kept]:
    """The rows of a file that :func:`write` wrote: all, or those the last sweep asked for.

    Raises:
        StoreError: it is damaged, or something else.
    """
    from opcount.sweeping.store import Kept, record_text

    pyarrow, parquet = needed()
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            if (file.schema_arrow.metadata or {}).get(b"opcount") != SCHEMA:
                raise StoreError(f"{path!r} is a Parquet file of something else; give the sweep a store of its own")
            columns = [name for name in file.schema_arrow.names if name in (*_OWN, *COLUMNS, "point", "crc")]
            for batch in file.iter_batches(BATCH, columns=columns):
                for row in batch.to_pylist():
                    if not asked or row["position"] is not None:
                        question, key, position, failed = (row[name] for name in _OWN)
                        kept = Kept(question, key, position, failed, record_text(from_columns(row)))
                        if row["crc"] != zlib.crc32(kept.record.encode()):
                            raise ValueError("a row is not as it was written")
                        yield kept
    except (pyarrow.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(
            f"{path!r} is damaged or no store of a sweep ({reason}); it was left as it is: move it away, "
            "or restore a copy"
        ) from error


def _schema(pyarrow: Any, rows: Iterable[Kept]) -> Any:
    """The columns and their types, from one look at all rows."""
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for name, value in to_columns(json.loads(row.record)).items():
            kinds.setdefault(name, set()).add(_kind(value))
    fixed = [name for name in COLUMNS if name in kinds] or list(COLUMNS)
    names = [*(name for name in kinds if name not in (*COLUMNS, "point")), *fixed]
    types = {"int": pyarrow.int64(), "large": pyarrow.decimal128(38, 0), "float": pyarrow.float64(),
             "bool": pyarrow.bool_(), "text": pyarrow.string()}  # fmt: skip
    fields = [pyarrow.field(name, types[_widest(kinds.get(name, set()), name)]) for name in names]
    own = [("question", pyarrow.binary()), ("key", pyarrow.binary()), ("position", pyarrow.int64()),
           ("failed", pyarrow.bool_()), ("crc", pyarrow.int64()), ("point", pyarrow.string())]  # fmt: skip
    return pyarrow.schema([*fields, *(pyarrow.field(*each) for each in own)], metadata={b"opcount": SCHEMA})


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "large" if abs(value) < 10**38 else "text"
    return "float" if isinstance(value, float) else "text"


def _widest(kinds: set[str], name: str) -> str:
    """The one type that holds every value of a column: text where they are of several sorts."""
    kinds = kinds - {"none"}
    if not kinds:
        return "int" if name in WHOLE else "text"
    if kinds <= {"int", "large"}:
        return "large" if "large" in kinds else "int"
    if kinds <= {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "text"


def _table(pyarrow: Any, schema: Any, batch: list[Kept]) -> Any:
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for row in batch:
        values = {**to_columns(json.loads(row.record)), **{name: getattr(row, name) for name in _OWN}}
        values["crc"] = zlib.crc32(row.record.encode())
        for name, cells in columns.items():
            cells.append(values.get(name))
    arrays = [pyarrow.array(_as(columns[field.name], str(field.type)), type=field.type) for field in schema]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _as(values: list[Any], kind: str) -> list[Any]:
    if kind == "string":
        return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    if kind == "double":
        return [None if value is None else float(value) for value in values]
    return values


def _batches(rows: Iterable[Kept]) -> Iterator[list[Kept]]:
    each = iter(rows)
    while batch := list(islice(each, BATCH)):
        yield batch
