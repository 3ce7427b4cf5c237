"""One tool on many cases: the tool is imported once, and each case runs in a child of its own.

``python -m benchmarks.gauntlet.worker TOOL TIMEOUT CASE...`` writes one JSON object a line, in the order of the cases.
A case that crashes, hangs or corrupts its process takes nothing with it but itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import warnings
from typing import Any

from benchmarks.gauntlet.case import Case
from benchmarks.gauntlet.tools import TOOLS, Tool


def run_case(tool: Tool, case: Case) -> dict[str, Any]:
    """Ask the tool and judge its answer."""
    try:
        built = case.build()
        with case.context():
            reading = tool.ask(built)
        wrong = reading.judge(case.truth)
    except BaseException as error:  # whatever a tool raises is its answer
        return {"status": "crash", "said": f"{type(error).__name__}: {first_line(error)}"}
    return {"status": "wrong" if wrong else "right", "said": wrong, "macs": reading.macs}


def first_line(error: BaseException) -> str:
    """The start of an error's message."""
    return next(iter(str(error).strip().splitlines()), "")[:160]


def in_child(tool: Tool, case: Case, timeout: float) -> dict[str, Any]:
    """Run the case in a forked child, within the time."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.write(writer, json.dumps(run_case(tool, case)).encode())
        os._exit(0)
    os.close(writer)
    try:
        answer = receive(reader, time.monotonic() + timeout)
    finally:
        os.close(reader)
    if answer is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if answer is None:
        return {"status": "timeout", "said": f"no answer in {timeout:g} s"}
    if not answer:
        return {"status": "crash", "said": f"the process died with status {os.waitstatus_to_exitcode(status)}"}
    result: dict[str, Any] = json.loads(answer)
    return result


def receive(reader: int, deadline: float) -> bytes | None:
    """All that comes through the pipe until it closes, or None when time is up."""
    answer = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            return None
        part = os.read(reader, 65536)
        if not part:
            return answer
        answer += part


def main() -> None:
    """Serve the cases named on the command line."""
    name, timeout, *names = sys.argv[1:]
    import torch

    from benchmarks.gauntlet.cases import CASES

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tool = next(tool for tool in TOOLS if tool.name == name)
    tool.load()
    cases = {case.name: case for case in CASES}
    for each in names:
        print(json.dumps(in_child(tool, cases[each], float(timeout))), flush=True)


if __name__ == "__main__":
    main()
