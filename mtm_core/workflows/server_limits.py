"""Limits of a server, whether dashboard or endpoint."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits

from mtm_core.data.notes import counted
from mtm_core.data.tables.ingest_report import IngestReport
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.blocks import predicting_bytes

MAX_SAMPLES_VARIABLE = "MTM_MAX_SAMPLES"
"""Environment variable: the most samples that a table may have; no limit where it is not set."""

MAX_DOWNLOAD_VARIABLE = "MTM_MAX_DOWNLOAD_MB"
"""Environment variable: the largest file that a page makes; it is in memory while it is offered."""
_MOST_DOWNLOAD_MB = 200

MAX_MODELS_VARIABLE = "MTM_MAX_MODELS"
"""Environment variable: how many models are in the server's memory at most."""
_MOST_MODELS = 3

MAX_JOBS_VARIABLE = "MTM_MAX_JOBS"
"""Environment variable: how many long computations of all sessions run at once."""

WORK_BYTES = 64 * 1024**2
"""Memory of any work, beside its data."""
_COPIES, _NUMBER_BYTES = 6, 8
_PAIR_COPIES, _TABLE_COPIES = 4, 3


def check_n_samples(report: IngestReport) -> None:
    """Refuse a table of more samples than this server takes.

    Raises
    ------
    ExpressionError
        If it has more.
    SelectionError
        If the limit itself is not a whole number above 0.
    """
    limit = _limit(MAX_SAMPLES_VARIABLE)
    if limit is not None and report.n_samples > limit:
        raise ExpressionError(
            f"{report.file}: {counted(report.n_samples, 'sample', 'samples')}; this server takes at"
            f" most {limit:,}. Upload part of the table, or run 'mtm predict' on your own machine, "
            f"which has no such limit."
        )


def max_jobs() -> int:
    """Return how many jobs of all sessions may run at once: half of the processors, at least two.

    Raises
    ------
    SelectionError
        If the limit that is set is not a whole number above 0.
    """
    return _limit(MAX_JOBS_VARIABLE) or max(2, (os.cpu_count() or 2) // 2)


def multiply_in_one_thread() -> None:
    """Compute each matrix product in the thread that asks for it, from now on in this process.

    By default each takes all processors. Products of two jobs then wait for one another, and take
    twice as long together, in time of processors too (``benchmarks/products_at_once.py``).
    """
    threadpool_limits(1, user_api="blas")


def max_models() -> int:
    """Return how many models may be in memory at once, the server's own among them.

    Raises
    ------
    SelectionError
        If the limit that is set is not a whole number above 0.
    """
    return _limit(MAX_MODELS_VARIABLE) or _MOST_MODELS


def max_download() -> int:
    """Return the size of the largest file that a page makes, in bytes.

    Raises
    ------
    SelectionError
        If the limit that is set is not a whole number above 0.
    """
    return (_limit(MAX_DOWNLOAD_VARIABLE) or _MOST_DOWNLOAD_MB) * 1_000_000


def preparing_bytes(n_samples: int, n_columns: int, n_genes: int) -> int:
    """Estimate what it takes to bring a table to the model's genes: a few copies of it."""
    return WORK_BYTES + _COPIES * _NUMBER_BYTES * n_samples * max(n_columns, n_genes)


def judging_bytes(n_people: int, measured: tuple[int, int], n_genes: int) -> int:
    """Estimate the memory to compare a predicted tissue with a measured table of that shape.

    The table is prepared before the prediction is made. With 1,000 people and 19,291 genes it took
    0.85 GB; the estimate is 1.2 GB.
    """
    pairs = _PAIR_COPIES * _NUMBER_BYTES * min(n_people, measured[0]) * n_genes
    comparing = WORK_BYTES + predicting_bytes(n_people, 1, n_genes) + pairs
    return max(preparing_bytes(*measured, n_genes), comparing)


def comparing_bytes(first: tuple[int, int], second: tuple[int, int], n_genes: int) -> int:
    """Estimate the memory to compare the samples of two tables of these shapes.

    With 1,000 people and 19,291 genes it took 0.7 GB; the estimate is 1.0 GB.
    """
    cells = sum(n_samples * max(n_columns, n_genes) for n_samples, n_columns in (first, second))
    return WORK_BYTES + _TABLE_COPIES * _NUMBER_BYTES * cells


def _limit(variable: str) -> int | None:
    """Read a limit from the environment; ``None`` if it is not set."""
    limit = os.environ.get(variable, "").strip()
    if not limit:
        return None
    if not limit.isdecimal() or int(limit) == 0:
        raise SelectionError(
            f"this server's limit, {variable}={limit!r}, is not a whole number above 0. Tell the "
            f"person who runs the server."
        )
    return int(limit)
