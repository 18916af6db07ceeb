"""A user's expression table: found out, checked, and put as samples by genes.

Nothing is mended in silence. What is unclear but harmless is said in the report; what could change
a number is an error that names the cell.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mtm_core.data.files.file_names import sample_name
from mtm_core.data.files.raw_table import MAX_BYTES, RawTable
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.formats.given_files import gather, name_with_folder
from mtm_core.data.formats.program_files import GDC, STAR
from mtm_core.data.formats.sample_files import named
from mtm_core.data.formats.tables import Source, name_of, read_bytes, read_table
from mtm_core.data.genes.ids import damaged_names, describe_ids, id_type_of
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.layout.orientation import GenesInRows, SamplesInRows, find_layout
from mtm_core.data.layout.taking import SECOND_HEADER, take_genes_in_rows, take_samples_in_rows
from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.tables.ingest_report import IngestReport
from mtm_core.data.tables.unit_guess.judging import judge
from mtm_core.data.tables.unit_guess.verdict import UnitGuess
from mtm_core.data.units import Unit
from mtm_core.errors import ExpressionError, InputFileError


@dataclass(frozen=True)
class ExpressionTable:
    """A user's table.

    Attributes
    ----------
    values
        (samples, genes) float64, in the unit of the file; ids as in the file, trimmed. Gene ids may
        be duplicated; sample names are not.
    report
        How it was read.
    options
        The user's choices about the file.
    stated_unit
        Unit that the file itself states; ``None`` if it states none.
    """

    values: pd.DataFrame
    report: IngestReport
    options: ReadingOptions = AS_IT_LIES
    stated_unit: Unit | None = None

    @property
    def other_quantities(self) -> str:
        """A sentence on what else the file holds of the same samples, '' if nothing."""
        for choice in self.report.choices:
            others = [name for name in choice.offered if name != choice.taken]
            if choice.option == "quantity" and others:
                return (
                    f" The file also holds {name_some(others, 8)}: to read one of them,"
                    f" --quantity {others[-1]!r} (Quantity, on the Upload page)."
                )
        return ""


def read_expression(
    source: Source | Sequence[str | os.PathLike[str]],
    name: str | None = None,
    *,
    known_genes: GeneIndex | None = None,
    typical: ArrayLike | None = None,
    options: ReadingOptions = AS_IT_LIES,
    tx2gene: str | os.PathLike[str] | None = None,
    max_bytes: int = MAX_BYTES,
    isolated: bool = False,
    turn: Turn | None = None,
) -> ExpressionTable:
    """Read a table of expression, whatever way it lies.

    Parameters
    ----------
    source
        Path, or open file, of csv, tsv, txt or gct (also gzipped), xlsx, parquet or h5ad;
        recognised apart by content. Or files of one sample each, as STAR, RSEM, Salmon and others
        write them: several, a folder or a zip.
    name
        Name of the file for messages; by default its own.
    known_genes
        The model's genes: the surest sign of which axis holds genes.
    typical
        Mean linear expression of each of them in the reference: tells logarithms apart.
    options
        The user's choices, if the file can be read in more than one way.
    tx2gene
        Table of transcripts and their genes, for files of transcripts.
    max_bytes
        Cap on the decompressed size.
    isolated
        Read in a process of its own (:mod:`mtm_core.data.isolation.isolated`), as a server must: a
        file may hang, crash or bloat what reads it.
    turn
        Owner of the file, and what may end that process.

    Raises
    ------
    InputFileError
        If the file cannot be read as a table.
    ExpressionError
        If neither axis holds genes, a sample is duplicated, or a cell is blank, no number,
        infinite, or negative where it cannot be.

    Examples
    --------
    >>> from mtm_core import SAMPLES, ReadingOptions, read_expression
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv")
    >>> table.values.shape  # samples x genes
    (40, 59)
    >>> without = ReadingOptions(leave_out=("SIM-040",))
    >>> read_expression(SAMPLES / "blood_counts.csv", options=without).values.shape
    (39, 59)
    """
    data, name, sample = _bytes_of(source, name, tx2gene, max_bytes)
    try:
        raw = (
            read_isolated(data, max_bytes, options, turn=turn)
            if isolated
            else read_table(data, max_bytes, options)
        )
        _check_heeded(raw, options)
        left = _left_to_say(raw, options, sample)
        raw = named(raw, sample) if raw.sample_of_file else raw
        layout = _layout(raw, known_genes)
        if isinstance(layout, GenesInRows):
            orientation = "genes in rows"
            sample = sample_name(name)
            taken = take_genes_in_rows(raw, layout.label, known_genes, left, sample)
        else:
            orientation = "samples in rows"
            taken = take_samples_in_rows(raw, layout.label, known_genes, left)
        values = taken.values
        _check_samples(values.index, taken.notes)
        guess = judge(values, known_genes, typical, raw.stated_unit)
    except (InputFileError, ExpressionError) as error:
        raise type(error)(f"{name}: {error}") from error
    genes = values.columns
    duplicates = tuple(genes[genes.duplicated()].unique())
    damaged = damaged_names(genes)
    report = IngestReport(
        file=name,
        sha256=hashlib.sha256(data).hexdigest(),
        format=raw.format,
        delimiter=raw.delimiter,
        orientation=orientation,
        n_samples=len(values),
        n_genes=len(genes),
        id_type=id_type_of(genes),
        unit=guess.unit,
        unit_reason=guess.reason,
        possible_units=guess.possible,
        duplicates=duplicates,
        damaged_names=damaged,
        set_aside=tuple(taken.aside),
        reasons=tuple(taken.aside.values()),
        doubted=tuple(taken.doubted),
        notes=(
            *raw.notes,
            *taken.notes,
            *_describe(guess, genes, duplicates, damaged),
        ),
        choices=(*raw.choices, *taken.choices),
        files=raw.files,
    )
    return ExpressionTable(values, report, options, raw.stated_unit)


def _layout(raw: RawTable, known: GeneIndex | None) -> GenesInRows | SamplesInRows:
    """Find the layout; what names of samples look like says nothing if files are named so."""
    if raw.files:
        raw = replace(
            raw, header=(raw.header[0], *(f"file {i}" for i in range(len(raw.header) - 1)))
        )
    return find_layout(raw, known)


def _check_heeded(raw: RawTable, options: ReadingOptions) -> None:
    """Refuse a sheet or a strand that is asked for of a file that has none."""
    offered = {choice.option for choice in raw.choices}
    if options.sheet and raw.format.split(".")[0] != "xlsx":
        raise InputFileError(
            f"--sheet {options.sheet!r} is for workbooks (xlsx), and this is {raw.format}. Leave it"
            " out."
        )
    if options.strand != "auto" and "strand" not in offered and raw.format != GDC.name:
        raise InputFileError(
            f"--strand {options.strand} is for counts of STAR by strand (ReadsPerGene), and this is"
            f" {raw.format}. Leave it out."
        )


def _left_to_say(raw: RawTable, options: ReadingOptions, sample: str) -> ReadingOptions:
    """Return what the user has said that the reader of the format has not yet heeded."""
    if any(choice.option == "quantity" for choice in raw.choices) or raw.format == STAR.name:
        options = replace(options, quantity="")
    if raw.files or raw.sample_of_file:  # each is a sample, whatever its values look like
        names = raw.header[1:] if raw.files else [sample_name(sample)]
        samples = [name for name in names if name not in options.leave_out]
        options = replace(options, take_back=(*options.take_back, *samples))
    return options


def _bytes_of(
    source: Source | Sequence[str | os.PathLike[str]],
    name: str | None,
    tx2gene: str | os.PathLike[str] | None,
    max_bytes: int,
) -> tuple[bytes, str, str]:
    """Return the bytes to read, a name for messages, and what may name a sample."""
    if isinstance(source, str | os.PathLike):
        source = [Path(source)]
    try:
        if isinstance(source, Sequence):
            paths = [Path(path) for path in source]
            name = name or (paths[0].name if len(paths) == 1 else None)
            data, found = gather(paths, None if tx2gene is None else Path(tx2gene), max_bytes)
            return data, name or found, name_with_folder(paths[0])
        name = name or name_of(source, "table")
        return read_bytes(source, max_bytes), name, name
    except InputFileError as error:
        raise InputFileError(f"{name}: {error}" if name else str(error)) from error


def _check_samples(samples: pd.Index, notes: Sequence[Note]) -> None:
    """Refuse samples without a name, or two of one name; a second header may be why."""
    hint = "".join(
        f" {note.found} {SECOND_HEADER}" for note in notes if note.next_step == SECOND_HEADER
    )
    if (samples == "").any():
        raise ExpressionError(
            f"sample {int(np.argmax(samples == '')) + 1} has no name. Name every sample." + hint
        )
    if samples.has_duplicates:
        twice = samples[samples.duplicated()]
        raise ExpressionError(
            f"{counted(twice.nunique(), 'sample name is', 'sample names are')} duplicated:"
            f" {name_some(twice.unique())}."
            " Give every sample its own name." + hint
        )


def _describe(
    guess: UnitGuess, genes: pd.Index, duplicates: Sequence[str], damaged: Sequence[str]
) -> list[Note]:
    notes = [guess.note(), *describe_ids(genes)]
    if duplicates:
        notes.append(
            Note(
                "warning",
                f"{counted(len(duplicates), 'gene id is', 'gene ids are')} duplicated:"
                f" {name_some(duplicates)}.",
                "Rows of one gene of the model are summed on the linear scale.",
            )
        )
    if damaged:
        notes.append(
            Note(
                "warning",
                f"{counted(len(damaged), 'gene id is a date', 'gene ids are dates')}:"
                f" {name_some(damaged)}."
                " A spreadsheet has turned gene names such as MARCH1 or SEPT2 into dates.",
                "They match no gene.",
                "Use the file from before the spreadsheet, or Ensembl ids.",
            )
        )
    return notes
