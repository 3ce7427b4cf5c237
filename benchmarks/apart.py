"""Calls in processes of their own, for code that leaves functions of PyTorch replaced, or something on the model."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def apart(call: Callable[[], Any]) -> Any:
    """What a call returns in a process forked from this one, where nothing it prints is seen; None if it fails."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(call, writer))
    process.start()
    writer.close()
    try:
        answer = reader.recv()
    except EOFError:
        answer = None
    process.join()
    return answer


def _child(call: Callable[[], Any], writer: Connection) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        writer.send(call())
    except Exception:
        writer.send(None)
    finally:
        writer.close()
    os._exit(0)
