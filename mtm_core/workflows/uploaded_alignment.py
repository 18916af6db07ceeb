"""A saved alignment that a client sent, read within the server's budget of memory."""

from __future__ import annotations

from collections.abc import Sequence

from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.saved_alignment import SavedAlignment, alignments_of
from mtm_core.memory_budget import in_words, shared_budget

MOST_UPLOAD_BYTES = 32 * 2**20
"""Largest saved alignment: 19,291 genes in 60 batches by mean and SD."""
_MEMORY_OF_A_BYTE = 12
"""What reading takes: numbers of ten digits become objects of 32 bytes, then of four."""


def read_upload(data: bytes, name: str) -> tuple[SavedAlignment, ...]:
    """Read an uploaded alignment, within the server's budget of memory.

    Raises
    ------
    InputFileError
        If it is none, or too large.
    OverBudgetError
        If the server has not so much memory.
    """
    if len(data) > MOST_UPLOAD_BYTES:
        raise InputFileError(
            f"{name} has {in_words(len(data))}; this server reads saved alignments of up to"
            f" {in_words(MOST_UPLOAD_BYTES)}. The command line reads larger ones"
            " (--alignment-from)."
        )
    with shared_budget().hold(_MEMORY_OF_A_BYTE * len(data), f"Reading {name}"):
        return alignments_of(data, name)


def saved_of(saved: Sequence[SavedAlignment], source: str, file: str) -> SavedAlignment:
    """Return the saved alignment for samples of ``source``.

    Raises
    ------
    SelectionError
        If ``file`` is of other tissues alone.
    """
    for one in saved:
        if one.source == source:
            return one
    there = ", ".join(one.source for one in saved)
    raise SelectionError(
        f"{file} is an alignment of samples of {there}, not of {source}. Remove it, or "
        f"choose another tissue of the samples."
    )
