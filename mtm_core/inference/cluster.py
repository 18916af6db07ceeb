"""Dask workers: on this machine, or those of a cluster that is already there."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from joblib import cpu_count

from mtm_core.errors import ClusterError, SelectionError

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")

_AHEAD = 3
"""Pieces of work that each thread of a worker has waiting: enough that none is idle."""
_RETRIES = 2
"""Retries of a piece that fails; one that is lost with its worker is always done again."""
_SECONDS_TO_ANSWER = 30
_LOOKS_WITHOUT_WORKERS = 4
"""Times in a row, that many seconds apart, that no worker is there before the work ends."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Thread settings of the libraries in a worker, so that workers do not compete for processors."""


@contextmanager
def dask_client(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """Connect to the workers of ``scheduler``, or start ``workers`` processes here.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://node1:8786``; its workers must see the same files under the same
        names, and have this program.
    workers
        Processes on this machine, one thread each; one a processor by default.

    Raises
    ------
    SelectionError
        If Dask is not installed, or there is no scheduler, or it has no workers.
    """
    check_workers(scheduler, workers)
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise SelectionError(
            "prediction in chunks needs Dask, which is not installed:"
            " pip install 'dask[distributed]'"
        ) from error
    # Lost workers are started again; what cannot be mended is raised here.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if scheduler is None:
            n_workers = workers or cpu_count()
            cluster = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=n_workers,
                threads_per_worker=1,
                env=dict.fromkeys(_THREADS, str(max(1, cpu_count() // n_workers))),
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
            address = stack.enter_context(cluster).scheduler_address
        else:
            address = scheduler
        try:
            client = Client(address, timeout=_SECONDS_TO_ANSWER)  # type: ignore[no-untyped-call]
            stack.enter_context(client)
            client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
        except (OSError, ValueError) as error:
            raise SelectionError(
                f"no Dask scheduler with workers answers at {address!r}: {error}. Start them with"
                " 'dask scheduler' and 'dask worker', and give the address that the scheduler"
                " prints."
            ) from error
        yield client


def check_workers(scheduler: str | None, workers: int | None) -> None:
    """Refuse processes here beside those of a cluster.

    Raises
    ------
    SelectionError
        If both are asked for.
    """
    if scheduler is not None and workers is not None:
        raise SelectionError("--scheduler has workers of its own; give --workers or --scheduler.")


def in_order(
    client: Client, function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]
) -> Iterator[Result]:
    """Yield ``function(*job)`` of each job, in order; few are under way at a time.

    A worker that is lost takes no result with it: what it was at is done again by another.

    Raises
    ------
    ClusterError
        If one job has lost worker after worker, or all workers are gone for two minutes.
    """
    from distributed import KilledWorker

    under_way: deque[Any] = deque()

    def oldest() -> Result:
        try:
            result: Result = _wait_for(under_way.popleft(), client)
        except KilledWorker as error:
            raise ClusterError(
                "worker after worker was lost over the same part of the table; what was done is"
                " stored. If they ran out of memory, use fewer --workers or a smaller --chunk."
            ) from error
        return result

    for job in jobs:
        under_way.append(client.submit(function, *job, pure=False, retries=_RETRIES))
        threads = client.nthreads()  # type: ignore[no-untyped-call]
        if len(under_way) > _AHEAD * max(sum(threads.values()), 1):
            yield oldest()
    while under_way:
        yield oldest()


def _wait_for(future: Any, client: Client) -> Any:  # noqa: ANN401
    """Return the result of ``future``; end where no worker is left that could compute it.

    Raises
    ------
    ClusterError
        If no worker is there, nor comes back.
    """
    n_without = 0
    while n_without < _LOOKS_WITHOUT_WORKERS:
        try:
            return future.result(timeout=_SECONDS_TO_ANSWER)
        except TimeoutError:
            if future.done():  # meanwhile; or the job itself raised it
                return future.result()
            is_without = not client.nthreads()  # type: ignore[no-untyped-call]
            n_without = n_without + 1 if is_without else 0
    raise ClusterError(
        "all workers ended, and none came back; what was done is stored. If they ran out of memory,"
        " use fewer --workers or a smaller --chunk. Give the same command again to go on."
    )
