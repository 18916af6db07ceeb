"""Options looked at before any work: a typing error is to cost a second, not half an hour."""

from __future__ import annotations

from collections.abc import Sequence

from mtm_core.errors import SelectionError
from mtm_core.workflows.input_files import check_metadata, check_there

__all__ = ["check_jobs", "check_metadata", "check_names", "check_there"]


def check_jobs(jobs: int) -> None:
    """Refuse a number of processes that is none.

    Raises
    ------
    SelectionError
        If it is 0 or below -1.
    """
    if jobs == 0 or jobs < -1:
        raise SelectionError(f"--jobs: expected 1 or more, or -1 for one a core, got {jobs}.")


def check_names(option: str, kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names of an option that are none of those there are, or no name at all.

    Raises
    ------
    SelectionError
        If there is one, with the nearest name there is.
    """
    if not names:
        raise SelectionError(f"--{option} names nothing. Choose out of: {', '.join(known)}.")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SelectionError.unknown(kind, unknown, known)
