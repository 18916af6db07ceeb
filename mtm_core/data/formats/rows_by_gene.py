"""Rows of files of one sample each, brought together by gene: aligned, and transcripts summed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.formats.program_files import ProgramFile, gene_in_name
from mtm_core.data.formats.transcripts import TranscriptTable
from mtm_core.data.notes import Note, name_some
from mtm_core.errors import InputFileError

_LEAST_SHARED = 0.9
"""Share of the genes of all files that each file must have."""
Values = NDArray[np.float64]


def rows_by_gene(
    files: Sequence[ProgramFile], values: Sequence[Values], table: TranscriptTable | None
) -> tuple[list[str], Values, list[Note]]:
    """Return genes, values (genes, samples), and what was done to bring them together.

    Parameters
    ----------
    files
        Files of one program.
    values
        The quantity that is read from each.
    table
        Transcripts and their genes, if the user gave them.

    Raises
    ------
    InputFileError
        If the files have too few genes in common, a gene is duplicated that cannot be summed,
        transcripts lack a table of their genes, or genes have one.
    """
    notes: list[Note] = []
    if all(file.ids == files[0].ids for file in files):
        ids, joined = list(files[0].ids), np.column_stack(values)
    else:
        ids, joined, notes = _aligned(files, values)
    if files[0].has_transcripts or table is not None:
        ids, joined, note = _genes_of_transcripts(files[0], ids, joined, table)
        return ids, joined, [*notes, note]
    if files[0].program.linear and len(set(ids)) < len(ids):
        n_before = len(ids)
        ids, joined = _summed(ids, joined)
        notes.append(
            Note(
                "info",
                f"{n_before - len(ids)} rows are further rows of a gene.",
                "Rows of one gene were summed.",
            )
        )
    return ids, joined, notes


def _genes_of_transcripts(
    file: ProgramFile, ids: list[str], joined: Values, table: TranscriptTable | None
) -> tuple[list[str], Values, Note]:
    """Sum transcripts to genes, by ``table`` or by the genes that their names include."""
    if table is None:
        if all(map(gene_in_name, ids)):
            ids, joined = _summed([gene_in_name(name) for name in ids], joined)
            found = "The names of the transcripts include their genes."
            return ids, joined, Note("info", found, f"They were summed to {len(ids):,} genes.")
        shown = f"{file.path}: " if file.path else ""
        raise InputFileError(
            f"{shown}the rows are transcripts ({name_some(ids, 2)}), which must be summed to genes."
            " Also give a table of two columns, transcripts and their genes (--tx2gene; on the "
            "Upload page, beside the files of samples), or the GTF of the annotation."
        )
    n_genes = sum(bool(gene_in_name(name)) for name in ids)
    if not file.has_transcripts and n_genes > len(ids) / 2:
        raise InputFileError(
            f"the files are by gene already ({name_some(ids, 2)}). Leave out {table.name}, the"
            " table of transcripts."
        )
    genes, absent = table.genes_of(ids)
    n_all, lost = len(ids), np.array([not gene for gene in genes])
    share = joined[lost].sum() / max(joined.sum(), 1e-300)
    ids, joined = _summed([gene for gene in genes if gene], joined[~lost])
    note = Note(
        "warning" if share > 0.05 else "info",
        f"{table.name} has {n_all - len(absent):,} of the {n_all:,} transcripts."
        + (f" It lacks {name_some(absent)}." if absent else ""),
        f"Transcripts were summed to {len(ids):,} genes."
        + (f" Those it lacks, {share:.1%} of all, were left out." if absent else ""),
    )
    return ids, joined, note


def _aligned(
    files: Sequence[ProgramFile], values: Sequence[Values]
) -> tuple[list[str], Values, list[Note]]:
    """Bring files of which some rows differ, or their order, to the rows that they share."""
    columns = []
    for file, each in zip(files, values, strict=True):
        column = pd.Series(each, pd.Index(file.ids, dtype=object))
        if column.index.has_duplicates:
            if not file.program.linear:
                twice = column.index[column.index.duplicated()][0]
                raise InputFileError(f"{file.path}: gene {twice!r} is duplicated. Keep one row.")
            column = column.groupby(level=0, sort=False).sum()
        columns.append(column)
    shared = columns[0].index
    union = set(shared)
    for column in columns[1:]:
        shared = shared[shared.isin(column.index)]
        union |= set(column.index)
    if len(shared) < _LEAST_SHARED * len(union):
        sizes = {file.path: len(column) for file, column in zip(files, columns, strict=True)}
        fewest, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
        raise InputFileError(
            f"the files have {len(shared):,} of {len(union):,} genes in common:"
            f" {fewest!r} has {sizes[fewest]:,}, {most!r} {sizes[most]:,}. They were made with "
            f"different annotations, or genes without reads were removed. Make them with the "
            f"same annotation and all genes."
        )
    notes = []
    if len(shared) < len(union):
        lacking = sorted(union.difference(shared))
        notes.append(
            Note(
                "warning",
                f"{len(lacking):,} of {len(union):,} genes are not in every file:"
                f" {name_some(lacking)}.",
                "They were left out, because a gene that a file lacks is not read as 0.",
            )
        )
    joined = np.column_stack([column.loc[shared].to_numpy() for column in columns])
    return [str(gene) for gene in shared], joined, notes


def _summed(genes: Sequence[str], values: Values) -> tuple[list[str], Values]:
    """Sum rows of one gene, in the order in which genes come."""
    codes, unique = pd.factorize(pd.Index(genes, dtype=object))
    total = np.zeros((len(unique), values.shape[1]))
    np.add.at(total, codes, values)
    return [str(gene) for gene in unique], total
