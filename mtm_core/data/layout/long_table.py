"""Tables with a row for each sample and gene, laid out as one of genes by samples.

Such a table has a column of genes in which each gene is there again and again, and another column
that tells the rows of a gene apart: the samples. Neither is known by its name or its place: the
pairs of both must be unique, and fill the table of all pairs. Of several columns of numbers that of
the counts is read, or the one that the user names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import RawTable, to_numbers
from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.genes.ids import is_ensembl
from mtm_core.data.genes.names import genes_named
from mtm_core.data.layout.column_names import is_annotation, normalised
from mtm_core.data.layout.quantities import QUANTITIES, is_counts, is_expression
from mtm_core.data.notes import Choice, Note, name_some
from mtm_core.errors import InputFileError

_MOST_COLUMNS = 60
_LEAST_FILLED = 0.25
"""Share of all pairs of sample and gene that are there, from which a table is a long one."""
_LEAST_GENES = 0.5
"""Share of a column's names that are genes', for it to be the column of genes."""
_N_LOOKED_UP = 3000
_SAMPLE_NAMES = re.compile(
    r"(sample|patient|subject|donor|case|run|library|barcode|person|participant|individual|sra|gsm"
    r"|srr|aliquot|specimen|bam|file|id).*|.*(sample|_id|id)",
    re.IGNORECASE,
)


_ONE_SAMPLE = re.compile(r"(sample|patient|subject|donor|case|run|library|barcode)", re.IGNORECASE)
_ENTREZ = ("gene", "geneid", "entrez", "entrezid", "entrezgene", "entrezgeneid", "ncbigeneid")
"""Names, normalised, of columns whose numbers are genes."""


@dataclass(frozen=True)
class _Key:
    """A column as codes (rows,) of its ``names``."""

    column: int
    codes: NDArray[np.int64]
    names: list[str]
    is_sure: bool = False


def lay_out(raw: RawTable, options: ReadingOptions) -> RawTable:
    """Return a long table with genes in rows and samples in columns, any other as it is.

    Raises
    ------
    InputFileError
        If genes are repeated as in a long table and no column tells samples; if a pair of sample
        and gene is there more than once, or is missing; or if it is not clear which number to read.
    """
    if not 2 <= len(raw.header) <= _MOST_COLUMNS or len(raw.cells) < 4:
        return raw
    genes = _genes(raw)
    if genes is None:
        return raw
    keys = [_key(raw, column) for column in range(len(raw.header))]
    samples = _samples(raw, keys, genes)
    if samples is None:
        return raw
    values = _values(raw, genes, samples)
    known = sum(is_expression(raw.header[column]) for column in values)
    if len(values) > 1 and known < len(values) and not samples.is_sure:
        return raw  # a table of samples side by side
    if not values:
        raise InputFileError(
            f"the table has a row for each of {len(samples.names):,} samples and"
            f" {len(genes.names):,} genes, and no column of numbers that differ between samples."
            " Expected a column of expression."
        )
    where = samples.codes * len(genes.names) + genes.codes
    column, choice = _choose(raw, values, options)
    _check_pairs(raw, where, genes, samples)
    table = np.full(len(samples.names) * len(genes.names), np.nan)
    numbers = to_numbers(raw.cells[column])
    table[where] = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = numbers.isna() & raw.cells[column].notna()
    if bad.any():
        row = int(np.argmax(bad.to_numpy()))
        raise InputFileError(
            f"{int(bad.sum())} cells of column {raw.header[column]!r} are not numbers, the first"
            f" for {samples.names[samples.codes[row]]!r}, {genes.names[genes.codes[row]]!r}:"
            f" {str(raw.cells[column].iloc[row])!r}. Enter the right number."
        )
    return _result(raw, table, genes, samples, column, choice)


def _result(
    raw: RawTable,
    table: NDArray[np.float64],
    genes: _Key,
    samples: _Key,
    column: int,
    choice: Choice | None,
) -> RawTable:
    matrix = table.reshape(len(samples.names), len(genes.names)).T
    values = pd.DataFrame(matrix, columns=range(1, len(samples.names) + 1))
    cells = pd.concat([pd.Series(genes.names, name=0, dtype=object), values], axis=1)
    name = raw.name_of
    said = f" Of {name_some(choice.offered, 8)}, {choice.taken!r} was read." if choice else ""
    note = Note(
        "warning",
        f"The table has a row for each sample and gene: {len(samples.names):,} samples in"
        f" {name(samples.column)!r}, {len(genes.names):,} genes in {name(genes.column)!r}.",
        f"{name(column)!r} was laid out as genes by samples.{said}",
        f"To read another: --quantity {_other(choice)} (Quantity, on the Upload page)."
        if choice
        else "",
    )
    return RawTable(
        (raw.header[genes.column] or "gene", *samples.names),
        cells,
        raw.format,
        raw.delimiter,
        (*raw.notes, note),
        raw.choices if choice is None else (*raw.choices, choice),
    )


def _other(choice: Choice) -> str:
    return next(name for name in choice.offered if name != choice.taken)


def _key(raw: RawTable, column: int) -> _Key | None:
    """Return a column of names as codes, ``None`` if it holds fractions or blanks."""
    cells = raw.cells[column]
    if pd.api.types.is_float_dtype(cells.dtype) and not (cells.dropna() % 1 == 0).all():
        return None
    codes, names = pd.factorize(cells)
    if not len(names) or (codes < 0).any():
        return None
    labels = [str(int(n)) if isinstance(n, float) else str(n).strip() for n in names]
    if len(set(labels)) != len(labels):
        codes = pd.factorize(np.array(labels, dtype=object))[0][codes]
        labels = list(dict.fromkeys(labels))
    return _Key(column, codes.astype(np.int64), labels)


def _genes(raw: RawTable) -> _Key | None:
    """Return the column of genes, if they are there again and again, or are those of one sample."""
    best, best_share = None, _LEAST_GENES
    for column in range(len(raw.header)):
        by_number = normalised(raw.header[column]) in _ENTREZ
        if raw.is_numeric(column) and not by_number:
            continue
        key = _key(raw, column)
        if key is None or len(key.names) < 2:
            continue
        names = key.names[:: max(len(key.names) // _N_LOOKED_UP, 1)]
        share = float(np.mean([_is_gene(name, by_number=by_number) for name in names]))
        if share > best_share:
            best, best_share = key, share
    return best


def _is_gene(name: str, *, by_number: bool) -> bool:
    return is_ensembl(name) or len(genes_named(name)) > 0 or (by_number and name.isdigit())


def _samples(raw: RawTable, keys: Sequence[_Key | None], genes: _Key) -> _Key | None:
    """Get the column that tells the rows of a gene apart, if they fill the table of all pairs."""
    n_rows, n_genes = len(genes.codes), len(genes.names)
    found: list[tuple[tuple[bool, bool, float], _Key]] = []
    for key in keys:
        if key is None or key.column == genes.column:
            continue
        name = raw.header[key.column].strip()
        named, is_words = _SAMPLE_NAMES.fullmatch(name) is not None, not raw.is_numeric(key.column)
        if len(key.names) == 1:
            if n_rows == n_genes and is_words and _ONE_SAMPLE.match(name):
                return key
            continue
        filled = n_rows / (len(key.names) * n_genes)
        if not _LEAST_FILLED <= filled <= 2.5 or n_rows < 1.5 * n_genes:
            continue
        pairs = len(np.unique(key.codes * n_genes + genes.codes))
        # Of pairs that are there twice, a column of samples has few, and others many.
        if pairs == n_rows or (named and pairs / n_rows > 0.4):
            sure = replace(key, is_sure=named and is_words)
            found.append(((pairs == n_rows, named, is_words - abs(1 - filled)), sure))
    if found:
        return max(found, key=lambda one: one[0])[1]
    numbers = [i for i in range(len(raw.header)) if raw.is_numeric(i)]
    rows_are_named = any(key is not None and len(key.names) == n_rows for key in keys)
    if n_rows >= 1.5 * n_genes and len(numbers) == 1 and not rows_are_named:
        raise InputFileError(
            f"the table has {n_rows:,} rows of {n_genes:,} genes, each {n_rows / n_genes:.3g} times"
            " on average, and no column says which row belongs to which sample. Add a column of "
            "sample names, or give each sample its own column."
        )
    return None


def _values(raw: RawTable, genes: _Key, samples: _Key) -> list[int]:
    """Return the columns of numbers that tell about a gene in a sample, not about one of them."""
    values = []
    for column in range(len(raw.header)):
        if column in (genes.column, samples.column) or raw.is_words(column):
            continue
        numbers = to_numbers(raw.cells[column]).to_numpy(dtype=np.float64, na_value=np.nan)
        of_gene = len(samples.names) > 1 and _is_same_within(numbers, genes.codes)
        if of_gene or _is_same_within(numbers, samples.codes):
            continue
        if is_annotation(raw.header[column]) and not is_expression(raw.header[column]):
            continue
        if _number_rows(numbers):
            continue
        values.append(column)
    return values


def _number_rows(numbers: NDArray[np.float64]) -> bool:
    """Tell whether ``numbers`` are whole and no two alike, as row numbers are and no counts."""
    return bool((numbers % 1 == 0).all() and len(np.unique(numbers)) == len(numbers))


def _is_same_within(numbers: NDArray[np.float64], codes: NDArray[np.int64]) -> bool:
    """Tell whether ``numbers`` are the same wherever ``codes`` are."""
    first = np.zeros(int(codes.max()) + 1)
    filled = np.nan_to_num(numbers, nan=-1e300)
    first[codes[::-1]] = filled[::-1]
    return bool((first[codes] == filled).all())


def _choose(
    raw: RawTable, values: Sequence[int], options: ReadingOptions
) -> tuple[int, Choice | None]:
    names = {raw.name_of(column): column for column in values}
    if options.quantity:
        wanted = [name for name in names if normalised(name) == normalised(options.quantity)]
        if not wanted:
            raise InputFileError(
                f"--quantity {options.quantity!r}: expected one of {name_some(names, 20)}."
            )
        taken = wanted[0]
    elif len(names) == 1:
        return values[0], None
    else:
        known = [name for name in names if is_expression(name)]
        known.sort(key=lambda name: QUANTITIES.index(normalised(name)))
        if not known or (len(known) < len(names) and not is_counts(known[0]) and len(known) > 1):
            known = known[:1] if len(known) == 1 else []
        if not known:
            raise InputFileError(
                "the table has a row for each sample and gene, and several columns of numbers:"
                f" {name_some(names, 20)}. Say which to read: --quantity and its name (Quantity, on"
                " the Upload page)."
            )
        taken = known[0]
    choice = Choice("quantity", taken, tuple(names)) if len(names) > 1 else None
    return names[taken], choice


def _check_pairs(raw: RawTable, where: NDArray[np.int64], genes: _Key, samples: _Key) -> None:
    """Refuse pairs of sample and gene that are there more than once, or not at all."""
    n_all = len(genes.names) * len(samples.names)
    count = np.bincount(where, minlength=n_all)
    for bad, what, next_step in (
        (count > 1, "are there more than once", "Keep one row of each."),
        (
            count == 0,
            "are missing",
            "A missing pair is not read as 0: add its row, or remove the gene.",
        ),
    ):
        if bad.any():
            sample, gene = divmod(int(np.argmax(bad)), len(genes.names))
            raise InputFileError(
                f"the table has a row for each sample and gene, and {int(bad.sum()):,} of"
                f" {n_all:,} pairs {what}, the first {samples.names[sample]!r},"
                f" {genes.names[gene]!r} (columns {raw.name_of(samples.column)!r},"
                f" {raw.name_of(genes.column)!r}). {next_step}"
            )
