"""Measured counts by a design: PyDESeq2's negative binomial model and Wald's test.

An alternative to linear models of log2 expression for what was measured, where the table holds
counts. Never for predictions, which are no counts. PyDESeq2 (MIT) comes with the extra ``counts``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from mtm_core.data.notes import counted
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import Unit
from mtm_core.errors import MissingLibraryError, SelectionError
from mtm_core.inference.decoder import TissueProgress
from mtm_core.inference.measured import linear_levels
from mtm_core.inference.prepared import Prepared
from mtm_core.statistics.outcome import OUTLIER, TESTED, TOO_FEW_READS, outcome_column
from mtm_core.studies.count_progress import InferenceInBlocks
from mtm_core.studies.design import StudyDesign

LEAST_READS = 10
"""Reads of a gene in all samples together that it needs to be tested."""
_NO_FIT = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError)
"""Exceptions of PyDESeq2 and scipy on counts that have no fit, such as a zero in every gene."""


def need_pydeseq2() -> None:
    """Refuse models of counts where PyDESeq2 is not installed.

    Raises
    ------
    MissingLibraryError
        If it is not.
    """
    try:
        import pydeseq2.dds  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"models of counts need the Python library {error.name}, which is not installed."
            " Install it with: pip install 'mtm-core[counts]'. Linear models of log2 expression"
            " need nothing more."
        ) from error


def check_counts(design: StudyDesign, unit: Unit) -> None:
    """Refuse what PyDESeq2 cannot do, before anything is predicted.

    Raises
    ------
    MissingLibraryError
        If it is not installed.
    SelectionError
        If the table does not hold counts, or the design has a random block, or a contrast of
        several coefficients.
    """
    need_pydeseq2()
    if unit != "counts":
        raise SelectionError(
            f"models of counts need counts, and the table was read as {unit}. Give the table of"
            " counts, or test log2 expression instead."
        )
    if design.blocks is not None:
        raise SelectionError(
            "models of counts have no random blocks. Treat the block as fixed, or test log2"
            " expression instead."
        )
    several = [contrast.name for contrast in design.contrasts if not contrast.is_single]
    if several:
        raise SelectionError(
            f"models of counts test one coefficient at a time; {several[0]!r} has several. Name two"
            " groups of it."
        )


def compare_counts(
    table: ExpressionTable,
    prepared: Prepared,
    symbols: pd.Series,
    design: StudyDesign,
    *,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Test the contrasts of ``design`` in the counts of every gene of ``table``.

    Parameters
    ----------
    table, prepared
        The samples as they were read.
    symbols
        By gene id.
    design
        Result of :func:`mtm_core.studies.design.make_design`, without random blocks.
    on_progress
        Called every few hundred genes with the fits done, and all that are to be done.

    Returns
    -------
    pandas.DataFrame
        One row a contrast and gene: ``gene_id``, ``gene``, ``contrast``, ``n``, ``mean_count``
        (normalised), ``log2_fold_change``, ``standard_error``, ``statistic`` (Wald), ``p`` and
        ``fdr`` (NaN where PyDESeq2 sets a gene aside: an outlier, or too few reads), ``outcome``.
        ``attrs["n_rounded"]`` says how many values were no whole numbers.

    Raises
    ------
    MissingLibraryError, SelectionError
        As :func:`check_counts`; if no gene has enough reads, or PyDESeq2 cannot fit these counts.
    """
    check_counts(design, prepared.unit)
    tell = on_progress or _tell_nobody
    tell(0, 1)
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    every = linear_levels(table.values, prepared.unit, prepared.match)
    given = every.set_axis(every.index.astype(str)).loc[design.samples]
    rounded = given.round()
    n_rounded = int((given != rounded).to_numpy().sum())
    counts = rounded.astype(np.int64)
    read = (counts.sum(axis=0) >= LEAST_READS).to_numpy()
    if not read.any():
        raise SelectionError(
            f"no gene has {LEAST_READS} reads in the {len(counts)} samples together, rounded to"
            " whole numbers: these are no counts of reads. Give the table of counts, or test log2"
            " expression instead."
        )
    inference = InferenceInBlocks(
        DefaultInference(n_cpus=1), int(read.sum()), len(design.contrasts), tell
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that it then does in another way
        data = DeseqDataSet(
            counts=counts.loc[:, read],
            metadata=pd.DataFrame({"sample": counts.index}, index=counts.index),
            # Column by column in memory, as from a formula: of genes with one extreme count, its
            # fit depends on the last digits of sums, and so on this.
            design=pd.DataFrame({name: design.matrix[name] for name in design.matrix}),
            inference=inference,
            quiet=True,
        )
        tables = []
        try:
            data.deseq2()
            for contrast in design.contrasts:
                row = contrast.rows[0]
                tested = DeseqStats(data, contrast=row, inference=inference, quiet=True)
                tested.summary()
                tables.append(_named(tested.results_df, counts.columns, symbols, contrast.name))
        except _NO_FIT as error:
            raise SelectionError(
                f"PyDESeq2 cannot fit these counts ({type(error).__name__}: {error}). Leave out"
                " samples with few reads, or test log2 expression instead."
            ) from error
    found = pd.concat(tables, ignore_index=True).assign(n=len(counts))
    found.attrs["n_rounded"] = n_rounded
    return found


def rounded_in_words(found: pd.DataFrame) -> str:
    """Say how many values were rounded for a result of :func:`compare_counts`; empty if none."""
    n = found.attrs["n_rounded"]
    return (
        f"{counted(n, 'value is no whole number and was', 'values are no whole numbers and were')}"
        " rounded for the model of counts: reads are whole, or nearly so as estimates of RSEM and"
        " Salmon are. Of another unit, the tests do not hold."
        if n
        else ""
    )


def _tell_nobody(done: int, total: int) -> None:
    pass


def _named(
    results: pd.DataFrame, genes: pd.Index, symbols: pd.Series, contrast: str
) -> pd.DataFrame:
    """Bring PyDESeq2's table to the columns of the others, genes with too few reads in it too."""
    own = results.reindex(genes)
    columns = {
        "baseMean": "mean_count",
        "log2FoldChange": "log2_fold_change",
        "lfcSE": "standard_error",
        "stat": "statistic",
        "pvalue": "p",
        "padj": "fdr",
    }
    table = own[list(columns)].rename(columns=columns).rename_axis("gene_id").reset_index()
    table.insert(1, "gene", symbols.reindex(genes).fillna("").to_numpy())
    table.insert(2, "contrast", contrast)
    untested = np.where(own["baseMean"].notna(), OUTLIER, TOO_FEW_READS)
    outcome = np.where(table["p"].notna(), TESTED, untested)
    return table.assign(outcome=outcome_column(outcome))
