"""Choose the strand of STAR's counts by their sums, over all files of a study.

A library without strands counts about as many reads on either; one with strands nearly all on one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtm_core.data.files.reading_options import Strand
from mtm_core.data.formats.program_files import STRANDS, ProgramFile
from mtm_core.data.notes import Note, name_some
from mtm_core.errors import InputFileError

_STRANDED = 0.8
"""Share of the reads on one strand from which a library is called stranded."""
_UNSTRANDED = 0.65
"""Up to this share on either strand a library is called unstranded; between, nothing is sure."""


def strand_of(file: ProgramFile) -> str:
    """Return the strand that a file's sums show, ``""`` where they show none."""
    share = forward_share(file)
    if np.isnan(share) or 1 - _UNSTRANDED <= share <= _UNSTRANDED:
        return "unstranded"
    if max(share, 1 - share) >= _STRANDED:
        return "forward" if share > 0.5 else "reverse"
    return ""


def forward_share(file: ProgramFile) -> float:
    """Get the share of reads on the forward strand among those on either; NaN if there is none."""
    forward, reverse = (float(file.quantities[name].sum()) for name in STRANDS[1:])
    return forward / (forward + reverse) if forward + reverse else float("nan")


def choose_strand(files: Sequence[ProgramFile], wanted: Strand) -> tuple[str, Note]:
    """Return the column to read of STAR's files, and why.

    Raises
    ------
    InputFileError
        If a file lacks a column of numbers, files show different strands, or none shows one, and
        the user has not said which.
    """
    for file in files:
        lacking = [strand for strand in STRANDS if strand not in file.quantities]
        if lacking:
            where = f"{file.path}: " if file.path else ""
            raise InputFileError(
                f"{where}expected STAR's three columns of counts ({', '.join(STRANDS)}); the"
                f" {lacking[0]} one has cells that are not numbers. Get the file again."
            )
    shares = [forward_share(file) for file in files]
    known = [share for share in shares if not np.isnan(share)]
    shown = (
        f"Of the reads on a single strand, {_range(known)} are on the forward one."
        if known
        else "No read is on a single strand."
    )
    if wanted != "auto":
        return wanted, Note("info", shown, f"The column {wanted!r} was read, as you chose.")
    found = [strand_of(file) for file in files]
    by_strand = {
        strand: [file.path for file, of in zip(files, found, strict=True) if of == strand]
        for strand in (*STRANDS, "")
    }
    clear = [strand for strand in STRANDS if by_strand[strand]]
    if len(clear) > 1:
        raise InputFileError(
            f"the files do not show one strand: {_listed(by_strand, clear)}. Samples of "
            f"different library types cannot be read together: give them separately, or choose "
            f"the strand (--strand"
            f" {', '.join(STRANDS)})."
        )
    if not clear:
        raise InputFileError(
            f"{shown} That is neither an unstranded library ({1 - _UNSTRANDED:.0%} to"
            f" {_UNSTRANDED:.0%}) nor a stranded one (above {_STRANDED:.0%}, or below"
            f" {1 - _STRANDED:.0%}). Choose the strand of the library: --strand"
            f" {', '.join(STRANDS)}."
        )
    unclear = by_strand[""]
    return clear[0], Note(
        "warning" if unclear else "info",
        shown + (f" It is less clear for {name_some(unclear)}." if unclear else ""),
        f"The library is assumed to be {clear[0]}, and the column {clear[0]!r} was read.",
        "If that is wrong, choose the strand (--strand).",
    )


def _listed(by_strand: Mapping[str, Sequence[str]], strands: Sequence[str]) -> str:
    return "; ".join(
        f"{strand} {len(by_strand[strand])} ({name_some(by_strand[strand], 3)})"
        for strand in strands
    )


def _range(shares: Sequence[float]) -> str:
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return low if low == high else f"{low} to {high}"
