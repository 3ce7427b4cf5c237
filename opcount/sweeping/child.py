"""A process that counts points: it reads tasks on its standard input and answers on its standard output.

It has one torch thread, ignores Ctrl-C, which is for whoever started it, and ends when that one is gone. What the
model's own code prints goes to standard error, of which the last line is told if the process dies.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO

from opcount.sweeping.wire import receive, send, unpacked

_FULL = ("MemoryError", "can't allocate memory", "DefaultCPUAllocator", "Cannot allocate memory")


def serve() -> None:
    """Answer until nobody asks any more."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frames: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, frames), daemon=True).start()
    limit, seconds, peak, pickled = unpacked(frames.get())
    send(replies, _prepared(limit, pickled, peak=peak))
    while True:
        for task in unpacked(frames.get()):
            _forget_what_was_printed()
            if seconds is not None and hasattr(signal, "alarm"):
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(int(seconds) + 30)  # should the one who watches the time be gone
            answer = _answer(task, limit)
            if hasattr(signal, "alarm"):
                signal.alarm(0)
            send(replies, answer)
            _search_for_garbage()


_BUILDER: list[Any] = []


def _prepared(limit: int | None, pickled: bytes, *, peak: bool) -> str:
    """Import what is needed; what went wrong, or nothing."""
    from opcount.sweeping.work import in_short

    try:
        import torch

        import opcount.counting  # noqa: F401  now, rather than within the first point's time
        from opcount.sweeping.builder import Builder
        from opcount.sweeping.templates import layers_from_templates
        from opcount.sweeping.unfilled import attributes_set_quickly

        torch.set_num_threads(1)
        if peak:
            from opcount.measuring import peak_activations

            peak_activations(torch.nn.Softmax(-1), (1, 1))  # imports PyTorch's fake tensors, which takes seconds
        attributes_set_quickly()
        layers_from_templates()
        _BUILDER.append(Builder(unpacked(pickled)))
    except BaseException as error:
        return in_short(error)
    if limit is not None:
        _limit_memory(limit)
    gc.collect()
    gc.freeze()  # or every search for garbage goes through all of PyTorch
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    return ""


_YOUNG, _SELDOM = 100_000, 100
"""Objects that may be made before garbage is looked for within a point, tens of points to a search of everything."""


def _search_for_garbage() -> None:
    """Between two points there is next to nothing to look through, unless a model went in circles: then it goes now."""
    _, younger, older = gc.get_count()
    gc.collect(2 if older > _SELDOM else 1 if younger > 10 else 0)


def _answer(task: bytes, limit: int | None) -> tuple[dict[str, Any], bool]:
    """The result of a task, and whether the process is still fit for another."""
    from opcount.sweeping.record import failed
    from opcount.sweeping.work import count_quickly, in_short

    try:
        result = count_quickly(_BUILDER[0], unpacked(task))
    except BaseException as error:  # such as KeyboardInterrupt, raised by the model's own code
        result = failed(in_short(error), 0.0)
    said = result["error"] or ""
    if not any(word in said for word in _FULL):
        return result, True
    if limit is not None:
        result["error"] = f"needs more memory than the limit of {limit / 2**20:,.0f} MiB: {said}"
    return result, False


def _limit_memory(limit: int) -> None:
    """Let the process have that many bytes beside what it has already."""
    import resource

    with open("/proc/self/status", encoding="ascii") as status:
        held = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held + limit
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most < 0 else min(wanted, most), most))


def _listen(requests: BinaryIO, frames: SimpleQueue[bytes]) -> None:
    while (frame := receive(requests)) is not None:
        frames.put(frame)
    os._exit(0)


def _forget_what_was_printed() -> None:
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os.lseek(2, 0, os.SEEK_SET)
        os.ftruncate(2, 0)
