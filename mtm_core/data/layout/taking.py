"""Take samples and genes out of a table whose layout is known, and say what is neither."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import RawTable, to_numbers
from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.genes.ids import is_ensembl
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.genes.names import genes_named
from mtm_core.data.layout.annotation_columns import FEWEST_ROWS, Verdict, judge_columns, sample_rows
from mtm_core.data.layout.column_names import METADATA, is_metadata, normalised, written_alike
from mtm_core.data.layout.column_notes import (
    LEFT_OUT,
    NO_EXPRESSION,
    describe_columns,
    refuse_all_rows,
)
from mtm_core.data.layout.column_sorting import ColumnSorting, Taken, tissue_profiles
from mtm_core.data.layout.orientation import TALLIES, is_gene
from mtm_core.data.notes import Note, counted, name_some, they_were
from mtm_core.errors import ExpressionError

_GIVE_METADATA = "Give age, sex and groups as metadata."
SECOND_HEADER = "If that is the header, remove the lines above it; give groups as metadata."
_IS_SUM = 0.005
_STORED = ("h5ad", "loom")

Floats = NDArray[np.float64]


def take_genes_in_rows(
    raw: RawTable, label: int, known: GeneIndex | None, options: ReadingOptions, sample: str
) -> Taken:
    """Take the samples of a table with genes in rows, by their values.

    ``sample`` names the sample of a table that has quantities of one and does not name it.

    Raises
    ------
    ExpressionError
        If an option names no column, or a cell is not a number.
    """
    genes = pd.Series(raw.labels(label))
    named = genes != ""
    tallies = genes.str.fullmatch(TALLIES.pattern)
    metadata = _rows_of_metadata(genes, known)
    possible = np.flatnonzero(named & ~(tallies | metadata))
    columns = ColumnSorting.of(raw, label, options)
    columns.judge(possible, genes, known, sample)
    taken = columns.taken
    columns.check(taken)
    words = _rows_of_words(raw, taken, genes, known) & named & ~tallies
    named_so = genes[metadata & words].map(normalised).isin(METADATA)
    words[named_so.index[named_so]] = False
    metadata &= ~words
    rows = np.flatnonzero(named & ~(tallies | metadata | words))
    samples = [columns.names[column] for column in taken]
    cells = raw.cells[taken] if len(rows) == len(genes) else raw.cells[taken].iloc[rows]
    values = to_values(cells, genes.iloc[rows].tolist(), samples)
    total = _sums(values, genes.iloc[rows], known)
    sums = pd.Series(False, index=genes.index)
    sums.iloc[rows[total]] = True
    notes = [
        Note(
            "warning",
            f"{counted(int(which.sum()), one, many)}{shown}.",
            they_were(int(which.sum()), "set aside"),
            next_step,
        )
        for which, one, many, shown, next_step in (
            (~named, "row has no gene id", "rows have no gene id", "", ""),
            (tallies, "row counts reads outside genes", "rows count reads outside genes", "", ""),
            (
                *(metadata, "row holds metadata", "rows hold metadata"),
                *(f": {name_some(genes[metadata])}", _GIVE_METADATA),
            ),
            (
                *(words, "row holds no number", "rows hold no number"),
                *(f": {name_some(genes[words])}", SECOND_HEADER),
            ),
            (
                *(sums, "row is the sum of all others", "rows are the sum of all others"),
                *(f": {name_some(genes[sums])}", ""),
            ),
        )
        if which.any()
    ]
    values = values[~total] if total.any() else values
    taken = frame(values.T, samples, genes.iloc[rows[~total]].tolist())
    return columns.result(taken, notes)


def take_samples_in_rows(
    raw: RawTable, label: int | None, known: GeneIndex | None, options: ReadingOptions
) -> Taken:
    """Take the genes of a table with samples in rows, by their names.

    Raises
    ------
    ExpressionError
        As :func:`take_genes_in_rows`.
    """
    notes = []
    if label is None:
        samples = [f"sample {i + 1}" for i in range(len(raw.cells))]
        notes.append(Note("warning", "No column names the samples.", "They were numbered."))
    else:
        samples = raw.labels(label)
    columns = ColumnSorting.of(raw, label, options)
    columns.sort_genes(known)
    genes = [raw.header[column] for column in columns.taken]
    values = to_values(raw.cells[columns.taken], samples, genes)
    total = _sums(values.T, pd.Series(genes, dtype=object), known)
    for column in np.array(columns.taken, dtype=np.int64)[total]:
        if raw.header[column] in options.take_back:
            total[columns.taken.index(int(column))] = False
        else:
            columns.aside[int(column)] = "it is the sum of all others in every row"
    values, genes = values[:, ~total], [g for g, no in zip(genes, total, strict=True) if not no]
    taken = frame(values, samples, genes)
    left_out = taken.index.isin(options.leave_out)
    taken, out = taken[~left_out], dict.fromkeys(taken.index[left_out], LEFT_OUT)
    # What programs store has samples alone in its rows; what people write may have means below.
    rows = Verdict() if raw.format in _STORED else _judge_rows(taken, known, options)
    aside = {str(taken.index[i]): _of_a_row(why) for i, why in rows.aside.items()}
    doubted = {str(taken.index[i]): why for i, why in rows.doubted.items()}
    taken = taken[[i not in rows.aside for i in range(len(taken))]]
    if taken.empty and aside:
        refuse_all_rows(aside)
    notes += describe_columns(aside, doubted, "row")
    result = columns.result(taken, notes, samples)
    result.aside |= out | aside
    result.doubted |= doubted
    return result


def _judge_rows(values: pd.DataFrame, known: GeneIndex | None, options: ReadingOptions) -> Verdict:
    """Find the rows of ``values`` (samples, genes) that are not samples, as columns are found."""
    names = [str(name) for name in values.index]
    places = np.full(values.shape[1], -1) if known is None else known.find(values.columns.tolist())
    some = sample_rows(values.shape[1], len(values), places >= 0)
    if len(some) < FEWEST_ROWS:
        return Verdict()
    x = values.iloc[:, some].to_numpy(dtype=np.float64).T
    verdict = judge_columns(x, names, tissue_profiles(known, places[some]))
    back = {i for i, name in enumerate(names) if name in options.take_back}
    return Verdict(
        {i: why for i, why in verdict.aside.items() if i not in back},
        {i: why for i, why in verdict.doubted.items() if i not in back},
    )


def _of_a_row(why: str) -> str:
    """Turn the reason for which a column is no sample into that of a row."""
    return why.replace("column", "row").replace("in every row", "in every column")


def is_metadata_column(name: str) -> bool:
    """Tell whether ``name``, among those of genes, is that of metadata: ``age``, ``weight_kg``."""
    if is_ensembl(name):
        return False
    return normalised(name) in METADATA or (is_metadata(name) and not genes_named(name))


def check_samples(values: pd.DataFrame, known: GeneIndex) -> None:
    """Refuse a table (samples, genes) that the reader did not check, if rows are not samples.

    Raises
    ------
    ExpressionError
        If rows are ids, lengths, statistics, sums or the like.
    """
    places = known.find([str(name) for name in values.columns])
    some = sample_rows(values.shape[1], len(values), places >= 0)
    names = [str(name) for name in values.index]
    x = values.iloc[:, some].to_numpy(dtype=np.float64).T
    verdict = judge_columns(x, names, tissue_profiles(known, places[some]))
    alike = written_alike(names)
    others = {names[i]: why for i, why in verdict.aside.items() if not alike[i]}
    if others and len(some) >= FEWEST_ROWS:
        shown = [f"{name!r} ({why})" for name, why in list(others.items())[:5]]
        raise ExpressionError(
            f"{len(others)} rows are not samples: {', '.join(shown)}. Remove them: "
            f"table.drop(index={list(others)}). To use one nevertheless, read the file with"
            " read_expression(..., options=ReadingOptions(take_back=(...)))."
        )


def _rows_of_metadata(genes: pd.Series, known: GeneIndex | None) -> pd.Series:
    rows = [
        row
        for row, gene in enumerate(genes)
        if not gene.startswith("ENSG") and (normalised(gene) in METADATA or is_metadata(gene))
    ]
    found = pd.Series(False, index=genes.index)
    for row in rows:
        gene = genes.iloc[row]
        in_hgnc = normalised(gene) not in METADATA and bool(genes_named(gene))
        found.iloc[row] = not in_hgnc and not is_gene(gene, known)
    return found


def _rows_of_words(
    raw: RawTable, taken: Sequence[int], genes: pd.Series, known: GeneIndex | None
) -> pd.Series:
    """Tell rows that hold words for every sample, such as groups, and are named by no gene."""
    found = pd.Series(False, index=genes.index)
    if not taken or any(raw.is_numeric(column) for column in taken):
        return found
    first = raw.cells[taken[0]]
    rows = np.flatnonzero(first.notna() & to_numbers(first).isna())
    for column in taken[1:]:
        if not len(rows):
            break
        rows = rows[to_numbers(raw.cells[column].iloc[rows]).isna()]
    found.iloc[[row for row in rows if not is_gene(genes[row], known)]] = True
    return found


def _sums(values: Floats, genes: pd.Series, known: GeneIndex | None) -> NDArray[np.bool_]:
    """Tell rows (of genes by samples) that are the sum of all others in every sample."""
    found = np.zeros(len(values), dtype=np.bool_)
    if len(values) < FEWEST_ROWS or (values[:, 0] < 0).any():
        return found
    total = values.sum(axis=0)
    for row in np.flatnonzero(values[:, 0] >= 0.45 * total[0])[:3]:
        rest = total - values[row]
        same = (np.abs(values[row] - rest) <= _IS_SUM * rest).all() and rest.all()
        found[row] = same and not is_gene(str(genes.iloc[row]), known)
    return found


def frame(values: Floats, samples: Sequence[str], genes: Sequence[str]) -> pd.DataFrame:
    """Return (samples, genes) with names."""
    return pd.DataFrame(
        values,
        index=pd.Index(samples, name="sample", dtype=object),
        columns=pd.Index(genes, name="gene", dtype=object),
    )


def to_values(cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Floats:
    """Return ``cells`` as finite numbers, or name the first cell that is none.

    Raises
    ------
    ExpressionError
        If there is none, or a cell is not a number, blank or infinite.
    """
    if cells.empty:
        raise ExpressionError(f"no column holds numbers. {NO_EXPRESSION}")
    text = ~np.array([pd.api.types.is_numeric_dtype(dtype) for dtype in cells.dtypes])
    values = np.empty(cells.shape)
    values[:, ~text] = cells.loc[:, ~text].to_numpy(dtype=np.float64, na_value=np.nan)
    if text.any():
        written = cells.loc[:, text].to_numpy()
        values[:, text] = to_numbers(pd.Series(written.ravel())).to_numpy().reshape(written.shape)
    blank = cells.isna().to_numpy()
    for bad, what, next_step in (
        (np.isnan(values) & ~blank, "not numbers", "Enter the right number."),
        (blank, "blank", "Fill them, or remove the genes or samples that have them."),
        (np.isinf(values), "infinite", "Was a logarithm taken of 0?"),
    ):
        if bad.any():
            i, j = np.argwhere(bad)[0]
            if bad.sum() == 1:
                what = what.replace("not numbers", "not a number")
            value = "" if blank[i, j] else f": {str(cells.iloc[i, j])!r}"
            raise ExpressionError(
                f"{counted(int(bad.sum()), 'cell is', 'cells are')} {what}, the first in"
                f" row {rows[i]!r}, column {columns[j]!r}{value}. {next_step}"
            )
    return values
