"""Find which axis of a table holds genes, and what names the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm_core.data.files.raw_table import RawTable, to_numbers
from mtm_core.data.genes.ids import describe_foreign, is_ensembl, mostly_ensembl
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.genes.names import genes_named
from mtm_core.data.layout.column_names import is_statistic
from mtm_core.data.notes import name_some
from mtm_core.errors import ExpressionError

_SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(orf\d+)?([-.][A-Z0-9]+)*")
_SAMPLE = re.compile(
    r"(GSM|SRR|ERR|DRR|SAM[NED]A?|GTEX|TCGA|SAMPLE|PATIENT|SUBJECT|DONOR|CASE|CONTROL|CTRL|S|P|D)"
    r"[-_.]?[A-Z]*\d+.*",
    re.IGNORECASE,
)
TALLIES = re.compile(
    r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)|Unassigned_\w+"
    r"|no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique|\*"
)
"""Rows that HTSeq, STAR, featureCounts and samtools add to the genes."""
_MUCH_LONGER = 5
"""A table this much longer one way has its genes that way, if nothing else tells."""


@dataclass(frozen=True)
class GenesInRows:
    """Column ``label`` names the genes; the header names the samples."""

    label: int


@dataclass(frozen=True)
class SamplesInRows:
    """Column ``label`` names the samples (``None``: nothing does); the header names the genes."""

    label: int | None


def find_layout(raw: RawTable, known: GeneIndex | None) -> GenesInRows | SamplesInRows:
    """Find the axis that holds genes.

    An axis of Ensembl ids is certain. Else the axis with more of the model's genes has them, else
    the one whose ids look more like genes, else the much longer one.

    Raises
    ------
    ExpressionError
        If neither axis holds genes, or the table has no header.
    """
    label = _id_column(raw, known)
    rows, columns = raw.labels(label), _named(raw.header)
    in_rows, in_columns = _evidence(rows, known), _evidence(columns, known)
    if in_rows == in_columns and in_rows > _NONE:
        in_rows = (False, 0, int(len(rows) > _MUCH_LONGER * len(columns)))
        in_columns = (False, 0, int(len(columns) > _MUCH_LONGER * len(rows)))
    if in_rows == in_columns:
        raise ExpressionError(
            "it is not clear which of rows and columns are named by human gene ids. Expected"
            " Ensembl ids (ENSG00000141510), symbols (TP53) or Entrez ids (7157). Rows are named"
            f" {name_some(rows, 3)}; columns {name_some(columns, 3)}."
            + (describe_foreign(rows) or describe_foreign(columns))
        )
    if in_rows > in_columns:
        _check_header(raw, label, known)
        return GenesInRows(label)
    return SamplesInRows(_sample_column(raw, known))


def is_gene(name: str, known: GeneIndex | None) -> bool:
    """Tell whether ``name`` is written as an Ensembl id or is a gene of the model."""
    return is_ensembl(name) or (known is not None and bool(known.find([name])[0] >= 0))


def is_run(ids: Sequence[str]) -> bool:
    """Tell whether ``ids`` are row numbers, counted from 0 or 1."""
    return any(all(gene == str(i) for i, gene in enumerate(ids, start=start)) for start in (0, 1))


def look_like_ensembl(ids: Sequence[str]) -> bool:
    """Tell whether most of ``ids`` are human Ensembl gene ids."""
    return mostly_ensembl(ids)


_Evidence = tuple[bool, int, int]
_NONE: _Evidence = (False, 0, 0)


def _evidence(ids: Sequence[str], known: GeneIndex | None) -> _Evidence:
    """Grade ``ids`` as genes: Ensembl ids or not, genes known among them, 2 symbols, 1 Entrez."""
    if not ids or is_run(ids):  # 1, 2, 3, ... are row numbers, though Entrez ids too
        return _NONE
    if known is None:  # no model to ask: all genes of HGNC
        n_known = sum(len(genes_named(gene)) == 1 for gene in set(ids))
        n_known *= n_known > len(set(ids)) / 5  # PT24 is another name of some gene, too
    else:
        genes = known.find(ids)
        n_known = len(np.unique(genes[genes >= 0]))
    if look_like_ensembl(ids):
        return True, n_known, 0
    if describe_foreign(ids):
        return False, n_known, 0
    if _share(_SYMBOL.fullmatch(gene) and not _SAMPLE.fullmatch(gene) for gene in ids) > 0.5:
        return False, n_known, 2
    are_entrez = len(set(ids)) > 0.9 * len(ids)  # a column of counts repeats itself
    return False, n_known, int(are_entrez and _share(gene.isdigit() for gene in ids) > 0.9)


def _share(answers: Iterable[object]) -> float:
    return float(np.mean([bool(answer) for answer in answers]))


def _named(header: Sequence[str]) -> list[str]:
    return [name for name in header if name]


def _id_column(raw: RawTable, known: GeneIndex | None) -> int:
    """Get the column that names genes best, if rows are genes: the first, or a later text one."""
    text = [int(column) for column in raw.cells if column == 0 or not raw.is_numeric(column)]
    return max(text[:10], key=lambda column: _evidence(raw.labels(column), known))


def _sample_column(raw: RawTable, known: GeneIndex | None) -> int | None:
    """Return the column that names samples, ``None`` if the first column is a gene already."""
    numeric = to_numbers(raw.cells[0]).notna().all()
    if numeric and is_gene(raw.header[0], known):
        return None
    if numeric and is_run(raw.labels(0)):
        for column in raw.cells.columns[1:]:
            cells = raw.cells[column]
            if not raw.is_numeric(column) and cells.notna().all() and cells.is_unique:
                return int(column)
    return 0


def _check_header(raw: RawTable, label: int, known: GeneIndex | None) -> None:
    """Refuse a table without a header: its first line of values would be lost as names."""
    names = [name for i, name in enumerate(raw.header) if i != label and not raw.is_words(i)]
    numbers = to_numbers(pd.Series(names, dtype=object))
    first = raw.header[label]
    if numbers.notna().all() and (
        is_gene(first, known)
        or TALLIES.fullmatch(first)
        or genes_named(first)
        or re.fullmatch(r"\d+|[A-Z]{1,4}\d{4,}(\.\d+)?", first)
        or numbers.duplicated().any()
        or not (_are_visits(names) or (numbers % 1 == 0).all())
    ):
        raise ExpressionError(
            f"the first line holds values ({name_some(names, 3)}), not sample names."
            " Add a first line with the name of each sample."
        )
    tests = [name for name in names if is_statistic(name)]
    if len(tests) > 1 and len(tests) == len(names):
        raise ExpressionError(
            f"the columns {name_some(names)} are results of one test, not samples. Use the table "
            f"that they were computed from: counts, CPM or TPM, one column per sample."
        )


def _are_visits(names: Sequence[str]) -> bool:
    """Tell samples that are numbered in two parts, such as 101.1 and 101.2."""
    return all(re.fullmatch(r"[1-9]\d*\.\d{1,2}", name) for name in names)
