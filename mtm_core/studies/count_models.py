"""Measured counts by a design: PyDESeq2's negative binomial model and Wald's test.

An alternative to linear models of log2 expression for what was measured, where the table holds
counts. Never for predictions, which are no counts. PyDESeq2 (MIT) comes with the extra ``counts``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import Unit
from mtm_core.errors import MissingLibraryError, SelectionError
from mtm_core.inference.decoder import TissueProgress
from mtm_core.inference.measured import linear_levels
from mtm_core.inference.prepared import Prepared
from mtm_core.statistics.outcome import TESTED, TOO_FEW, outcome_column
from mtm_core.studies.count_progress import InferenceInBlocks
from mtm_core.studies.design import StudyDesign

LEAST_READS = 10
"""Reads of a gene in all samples together that it needs to be tested."""


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

    Raises
    ------
    MissingLibraryError, SelectionError
        As :func:`check_counts`.
    """
    check_counts(design, prepared.unit)
    tell = on_progress or _tell_nobody
    tell(0, 1)
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    every = linear_levels(table.values, prepared.unit, prepared.match)
    counts = every.set_axis(every.index.astype(str)).loc[design.samples].round().astype(np.int64)
    read = (counts.sum(axis=0) >= LEAST_READS).to_numpy()
    inference = InferenceInBlocks(
        DefaultInference(n_cpus=1), int(read.sum()), len(design.contrasts), tell
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that it then does in another way
        data = DeseqDataSet(
            counts=counts.loc[:, read],
            metadata=pd.DataFrame({"sample": counts.index}, index=counts.index),
            design=design.matrix,
            inference=inference,
            quiet=True,
        )
        data.deseq2()
        tables = []
        for contrast in design.contrasts:
            tested = DeseqStats(data, contrast=contrast.rows[0], inference=inference, quiet=True)
            tested.summary()
            tables.append(_named(tested.results_df, counts.columns, symbols, contrast.name))
    return pd.concat(tables, ignore_index=True).assign(n=len(counts))


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
    outcome = np.where(table["p"].notna(), TESTED, TOO_FEW)
    return table.assign(outcome=outcome_column(outcome))
