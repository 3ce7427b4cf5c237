"""What passes between a process and those it has started, over pipes that nobody else has: pickled, behind its length.

The one place of the library where something is unpickled. It is never a file, nor anything from outside: the bytes were
pickled by the process at the other end of the pipe, of the same user and the same installation.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

NotSendable = pickle.PicklingError


def packed(value: Any) -> bytes:
    """A value as bytes; whatever pickling a stranger's object raises, it raises."""
    return pickle.dumps(value, protocol=4)


def unpacked(data: bytes) -> Any:
    """The value that the process at the other end packed."""
    return pickle.loads(data)  # noqa: S301 - from our own process, over our own pipe # nosec B301


def send(stream: BinaryIO, value: Any) -> None:
    """Write one value behind its length."""
    data = packed(value)
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """The next value as it was packed; None if there will be none."""
    head = stream.read(8)
    size = int.from_bytes(head, "big")
    data = stream.read(size) if len(head) == 8 else b""
    return data if len(head) == 8 and len(data) == size else None
