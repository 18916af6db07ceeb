"""A user's expression table: found out, checked, and put as samples by genes.

Nothing is mended in silence. What is unclear but harmless is said in the report; what could change
a number is an error that names the cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.data.gene_ids import damaged_names, describe_ids, id_type_of
from mtm_core.data.genes import GeneIndex
from mtm_core.data.ingest_report import IngestReport
from mtm_core.data.isolated import read_isolated
from mtm_core.data.orientation import (
    TALLIES,
    GenesInRows,
    find_layout,
    is_gene,
    is_run,
    look_like_ensembl,
)
from mtm_core.data.raw_table import MAX_BYTES, RawTable, to_numbers
from mtm_core.data.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.reading_turns import Turn
from mtm_core.data.report import Level, Note, name_some
from mtm_core.data.tables import Source, name_of, read_bytes, read_table
from mtm_core.data.unit_guess import UnitGuess, judge
from mtm_core.data.units import Unit
from mtm_core.errors import ExpressionError, InputFileError

ANNOTATIONS = frozenset(
    {"age", "sex", "gender", "bmi", "hardy", "group", "batch", "rin"}
    | {"chr", "chromosome", "start", "end", "strand", "length", "gene_length"}
    | {"entrez", "entrezid", "entrez_id", "geneid"}
)
"""Names, in lower case, of columns that may be numbers but are no expression."""
_GIVE_METADATA = "Give age, sex and groups as metadata."
_WORDS = "If that is the header, take out the lines above it; give groups as metadata."


@dataclass(frozen=True)
class ExpressionTable:
    """A user's table.

    Attributes
    ----------
    values
        (samples, genes) float64, in the unit of the file; ids as in the file, trimmed. Gene ids may
        stand twice; sample names do not.
    report
        How it was read.
    options
        What the user said about it.
    stated_unit
        What the file itself says of its unit; ``None`` where it says nothing.
    """

    values: pd.DataFrame
    report: IngestReport
    options: ReadingOptions = AS_IT_LIES
    stated_unit: Unit | None = None


def read_expression(
    source: Source,
    name: str | None = None,
    *,
    known_genes: GeneIndex | None = None,
    typical: ArrayLike | None = None,
    options: ReadingOptions = AS_IT_LIES,
    max_bytes: int = MAX_BYTES,
    isolated: bool = False,
    turn: Turn | None = None,
) -> ExpressionTable:
    """Read a table of expression, whatever way it lies.

    Parameters
    ----------
    source
        Path, or open file, of csv, tsv, txt or gct (also gzipped), xlsx, parquet or h5ad; told
        apart by content.
    name
        Of the file, for messages; by default its own.
    known_genes
        The model's genes: the surest sign of which axis holds genes.
    typical
        Mean linear expression of each of them in the reference: tells logarithms apart.
    options
        What the user says about it, where it can be read in more than one way.
    max_bytes
        Cap on the decompressed size.
    isolated
        Read in a process of its own (:mod:`mtm_core.data.isolated`), as a server must: a file may
        hang, crash or bloat what reads it.
    turn
        Whose file it is, and what may end that process.

    Raises
    ------
    InputFileError
        If the file cannot be read as a table.
    ExpressionError
        If neither axis holds genes, a sample stands twice, or a cell is blank, no number,
        infinite, or negative where it cannot be.
    """
    name = name or name_of(source, "table")
    try:
        data = read_bytes(source, max_bytes)
        raw = (
            read_isolated(data, max_bytes, options, turn=turn)
            if isolated
            else read_table(data, max_bytes, options)
        )
        layout = find_layout(raw, known_genes)
        if isinstance(layout, GenesInRows):
            orientation = "genes in rows"
            values, set_aside, notes = _take_genes_in_rows(raw, layout.label, known_genes)
        else:
            orientation = "samples in rows"
            values, set_aside, notes = _take_samples_in_rows(raw, layout.label, known_genes)
        _check_samples(values.index, notes)
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
        set_aside=set_aside,
        notes=(
            *raw.notes,
            *notes,
            *_describe_columns(raw, set_aside),
            *_describe(guess, genes, duplicates, damaged),
        ),
        choices=raw.choices,
    )
    return ExpressionTable(values, report, options, raw.stated_unit)


_Taken = tuple[pd.DataFrame, tuple[str, ...], tuple[Note, ...]]
"""Values (samples, genes), the columns set aside, and notes."""


def _take_genes_in_rows(raw: RawTable, label: int, known: GeneIndex | None) -> _Taken:
    genes = pd.Series(raw.labels(label))
    kept, aside = _sort_columns(
        raw,
        label,
        lambda column: (
            not raw.is_words(column)
            and raw.header[column].lower() not in ANNOTATIONS
            and not (column == 0 and is_run(raw.labels(0)))
        ),
    )
    named = genes != ""
    tallies = genes.str.fullmatch(TALLIES.pattern)
    metadata = genes.str.lower().isin(ANNOTATIONS) & ~genes.map(lambda gene: is_gene(gene, known))
    words = _rows_of_words(raw, kept, genes, known) & named & ~metadata
    notes = [
        Note("warning", f"{int(which.sum())} {what}{shown}.", "They were set aside.", next_step)
        for which, what, shown, next_step in (
            (~named, "rows without a gene id", "", ""),
            (tallies, "rows that tally reads", "", ""),
            (metadata, "rows of metadata", f": {name_some(genes[metadata])}", _GIVE_METADATA),
            (words, "rows hold no number", f": {name_some(genes[words])}", _WORDS),
        )
        if which.any()
    ]
    rows = np.flatnonzero(named & ~(tallies | metadata | words))
    samples, genes = [raw.header[column] for column in kept], genes.iloc[rows].tolist()
    values = _numbers(raw.cells[kept].iloc[rows], genes, samples)
    return _frame(values.T, samples, genes), aside, tuple(notes)


def _rows_of_words(
    raw: RawTable, kept: Sequence[int], genes: pd.Series, known: GeneIndex | None
) -> pd.Series:
    """Tell rows that hold words for every sample, such as groups, and are named by no gene."""
    found = pd.Series(False, index=genes.index)
    if not kept or any(raw.is_numeric(column) for column in kept):
        return found
    first = raw.cells[kept[0]]
    rows = np.flatnonzero(first.notna() & to_numbers(first).isna())
    for column in kept[1:]:
        if not len(rows):
            break
        rows = rows[to_numbers(raw.cells[column].iloc[rows]).isna()]
    found.iloc[[row for row in rows if not is_gene(genes[row], known)]] = True
    return found


def _take_samples_in_rows(raw: RawTable, label: int | None, known: GeneIndex | None) -> _Taken:
    notes = []
    if label is None:
        samples = [f"sample {i + 1}" for i in range(len(raw.cells))]
        notes.append(Note("warning", "No column names the samples.", "They were numbered."))
    else:
        samples = raw.labels(label)
    only_ensembl = look_like_ensembl([name for name in raw.header if name])

    def holds_expression(column: int) -> bool:
        name = raw.header[column]
        if is_gene(name, known):
            return True
        if not name or only_ensembl or name.lower() in ANNOTATIONS:
            return False
        return not raw.is_words(column)

    kept, aside = _sort_columns(raw, label, holds_expression)
    genes = [raw.header[column] for column in kept]
    return _frame(_numbers(raw.cells[kept], samples, genes), samples, genes), aside, tuple(notes)


def _sort_columns(
    raw: RawTable, label: int | None, holds_expression: Callable[[int], bool]
) -> tuple[list[int], tuple[str, ...]]:
    """Give the columns that hold expression, and the names of those that do not."""
    kept: list[int] = []
    aside: list[str] = []
    for column in range(len(raw.header)):
        if column == label:
            continue
        if holds_expression(column):
            kept.append(column)
        else:
            aside.append(raw.name_of(column))
    return kept, tuple(aside)


def _frame(
    values: NDArray[np.float64], samples: Sequence[str], genes: Sequence[str]
) -> pd.DataFrame:
    return pd.DataFrame(
        values,
        index=pd.Index(samples, name="sample", dtype=object),
        columns=pd.Index(genes, name="gene", dtype=object),
    )


def _numbers(
    cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]
) -> NDArray[np.float64]:
    """Give ``cells`` as finite numbers, or name the first cell that is none."""
    if cells.empty:
        raise ExpressionError("no column holds numbers. Expected expression values.")
    text = ~np.array([pd.api.types.is_numeric_dtype(dtype) for dtype in cells.dtypes])
    values = np.empty(cells.shape)
    values[:, ~text] = cells.loc[:, ~text].to_numpy(dtype=np.float64, na_value=np.nan)
    if text.any():
        written = cells.loc[:, text].to_numpy()
        values[:, text] = to_numbers(pd.Series(written.ravel())).to_numpy().reshape(written.shape)
    blank = cells.isna().to_numpy()
    for bad, what, next_step in (
        (np.isnan(values) & ~blank, "no numbers", "Put the number that belongs there."),
        (blank, "blank", "Fill them, or take out the genes or samples that have them."),
        (np.isinf(values), "infinite", "Was a logarithm taken of 0?"),
    ):
        if bad.any():
            i, j = np.argwhere(bad)[0]
            value = "" if blank[i, j] else f": {str(cells.iloc[i, j])!r}"
            raise ExpressionError(
                f"{int(bad.sum())} cells are {what}, the first in row {rows[i]!r}, column"
                f" {columns[j]!r}{value}. {next_step}"
            )
    return values


def _check_samples(samples: pd.Index, notes: Sequence[Note]) -> None:
    """Refuse samples without a name, or two of one name; a second header may be why."""
    hint = "".join(f" {note.found} {_WORDS}" for note in notes if note.next_step == _WORDS)
    if (samples == "").any():
        raise ExpressionError(
            f"sample {int(np.argmax(samples == '')) + 1} has no name. Name every sample." + hint
        )
    if samples.has_duplicates:
        twice = samples[samples.duplicated()]
        raise ExpressionError(
            f"{twice.nunique()} sample names stand more than once: {name_some(twice.unique())}."
            " Give every sample its own name." + hint
        )


def _describe_columns(raw: RawTable, set_aside: Sequence[str]) -> list[Note]:
    blank = raw.cells.isna().all().tolist()
    empty = [name for name, is_blank in zip(raw.header, blank, strict=True) if is_blank and name]
    words = [name for name in set_aside if name not in empty]
    kinds: tuple[tuple[Level, list[str], str, str], ...] = (
        ("warning", empty, "are empty", "If they are samples, look up why."),
        ("info", words, "are no expression", ""),
    )
    return [
        Note(level, f"{len(names)} columns {what}: {name_some(names)}.", "They were set aside.", do)
        for level, names, what, do in kinds
        if names
    ]


def _describe(
    guess: UnitGuess, genes: pd.Index, duplicates: Sequence[str], damaged: Sequence[str]
) -> list[Note]:
    notes = [guess.note(), *describe_ids(genes)]
    if duplicates:
        notes.append(
            Note(
                "warning",
                f"{len(duplicates)} gene ids stand more than once: {name_some(duplicates)}.",
                "Those of one model gene are summed on the linear scale.",
            )
        )
    if damaged:
        notes.append(
            Note(
                "warning",
                f"{len(damaged)} gene ids are dates: {name_some(damaged)}. A spreadsheet has"
                " turned gene names such as MARCH1 or SEPT2 into them.",
                "They match no gene.",
                "Go back to the file from before the spreadsheet, or use Ensembl ids.",
            )
        )
    return notes
