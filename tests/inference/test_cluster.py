"""Work on Dask: in order, little of it at a time, and what is said when it cannot go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from mtm_core.errors import ClusterError, ExpressionError, SelectionError
from mtm_core.inference.cluster import dask_client, in_order

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")


def double(value: int) -> int:
    if value == 13:
        raise ExpressionError("thirteen")
    if value == 14:
        raise TimeoutError("fourteen")
    return 2 * value


def die(value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


def test_results_come_in_order_and_few_jobs_are_under_way() -> None:
    asked: list[int] = []

    def jobs(n: int) -> Iterator[tuple[int]]:
        for value in range(n):
            asked.append(value)
            yield (value,)

    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0"
    ) as client:
        results = in_order(client, double, jobs(13))
        assert [next(results), next(results)] == [0, 2]
        assert len(asked) <= 9  # three a thread ahead, and what was asked for
        assert list(results) == list(range(4, 26, 2))
        with pytest.raises(ExpressionError, match="thirteen"):
            list(in_order(client, double, jobs(15)))
        with pytest.raises(TimeoutError, match="fourteen"):  # a job's own
            list(in_order(client, double, [(14,)]))


def test_work_that_kills_every_worker_is_one_error() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        dask_client(workers=1) as client,
        pytest.raises(ClusterError, match=r"worker after worker .* smaller --chunk"),
    ):
        list(in_order(client, die, [(1,)]))


def test_work_ends_where_no_worker_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtm_core.inference.cluster._SECONDS_TO_ANSWER", 0.05)
    with (
        distributed.Client(
            processes=False, n_workers=0, dashboard_address="127.0.0.1:0"
        ) as without_workers,
        pytest.raises(ClusterError, match=r"all workers ended.*the same command again"),
    ):
        list(in_order(without_workers, double, [(1,)]))


def test_scheduler_and_workers_are_one_or_the_other() -> None:
    with (
        pytest.raises(SelectionError, match="--workers or --scheduler"),
        dask_client("tcp://127.0.0.1:1", 2),
    ):
        pass


def test_a_missing_scheduler_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtm_core.inference.cluster._SECONDS_TO_ANSWER", 1)
    with (
        pytest.raises(SelectionError, match=r"answers at 'tcp://127\.0\.0\.1:1'.*dask scheduler"),
        dask_client("tcp://127.0.0.1:1"),
    ):
        pass
