"""Sweeps on a Dask cluster, whose workers are killed: no point is lost, none counted twice."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opcount import sweep
from opcount.errors import ExecutorError
from opcount.sweeping import crew as crews
from opcount.sweeping.crew import Lent
from opcount.sweeping.store import Store
from tests import spaces

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
SIZE = (1, 8)


def test_a_real_cluster_counts_and_keeps(tmp_path: Path) -> None:
    """A scheduler and a worker of this process; each point is counted in a process of the worker's."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        store = str(tmp_path / "rows.sqlite")
        space = [{"how": how} for how in ("fine", "raise", "leave")]
        rows = list(sweep(spaces.troubled, space, SIZE, executor=client, store=store))
        assert [row["error"] for row in rows] == [None, "ValueError: no luck", "SystemExit: 3"]
        again = sweep(spaces.troubled, space, SIZE, executor=client.get_executor(pure=False), store=store)
        assert (again.tally.answered, list(again)) == (3, rows)


class Enough(Exception):
    """Nobody wants a million."""


def test_of_a_million_points_few_are_on_their_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many points there are, the client holds four for each thread, and the one it is about to send."""
    pulled = kept = most = 0

    def points() -> Any:
        nonlocal pulled, most
        for width in range(1_000_000):
            pulled += 1
            most = max(most, pulled - kept)
            if pulled > 40:
                raise Enough
            yield {"width": width + 1}

    def put(self: Store, rows: Any) -> None:
        nonlocal kept
        kept += len(rows)

    monkeypatch.setattr(Store, "put", put)
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client, pytest.raises(Enough):
        sweep(spaces.dense, points, SIZE, executor=client, store=str(tmp_path / "rows.sqlite"))
    assert most <= crews.AHEAD + 1
    assert kept >= 40 - crews.AHEAD


def test_a_cluster_without_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(crews.time, "monotonic", lambda: clock[0])
    lent = Lent(ThreadPoolExecutor(1), len, None, lambda: 0)
    assert lent.window() == crews.AHEAD
    clock[0] = 2 * crews.PATIENCE
    with pytest.raises(ExecutorError, match="had no worker"):
        lent.window()

    def gone() -> int:
        raise OSError("connection lost")

    with pytest.raises(ExecutorError, match="does not answer: connection lost"):
        Lent(ThreadPoolExecutor(1), len, None, gone).window()


@pytest.mark.slow
def test_workers_that_are_killed_lose_no_point(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:

        def points() -> Any:
            """Kills a worker twice, as the space is gone through."""
            for width in range(1, 601):
                if width in (150, 350):
                    nanny = next(iter(cluster.workers.values()))
                    if nanny.pid:
                        os.kill(nanny.pid, signal.SIGKILL)
                yield {"width": width, "log": str(log)}

        rows = sweep(spaces.counted_dense, points, SIZE, executor=client, store=str(tmp_path / "rows.sqlite"))
        assert [row["width"] for row in rows] == list(range(1, 601))
        assert [row["macs"] for row in rows] == [8 * width for width in range(1, 601)]
        assert (rows.tally.counted, rows.tally.failed) == (600, 0)
