"""Options looked at before any work: a typing error is to cost a second, not half an hour."""

from __future__ import annotations

from collections.abc import Sequence

from mtm_core.errors import SelectionError
from mtm_core.workflows.input_files import check_files, check_folders, check_jobs

__all__ = ["check_files", "check_folders", "check_jobs", "check_names"]


def check_names(option: str, kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names of an option that are none of those there are, or no name at all.

    Raises
    ------
    SelectionError
        If there is one, with the nearest name there is.
    """
    if not names:
        raise SelectionError(f"--{option} is empty. Choose from: {', '.join(known)}.")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SelectionError.unknown(kind, unknown, known)
