"""Accuracy of a method by tissue and gene: ranked tissues, listed genes.

All tables are taken from an evaluation (:class:`mtm_core.evaluation.results.EvaluationTables`).
Figures that an older evaluation lacks have no column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from mtm_core.data.genes.ids import pattern_of
from mtm_core.evaluation.accuracy import with_predictable
from mtm_core.evaluation.combinations import RHO_ALONE, SOURCES, CombinationRows
from mtm_core.evaluation.composition_table import FIGURES as ADJUSTED
from mtm_core.evaluation.composition_table import N_KNOWN
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.grouped_table import TableOnDisk

RHO_FIGURES = {
    "gene_rho_by_fold": "gene-wise rho, by fold",
    "gene_adjusted_rho_by_fold": "adjusted rho, by fold",
    "gene_rho_pooled": "gene-wise rho, pooled",
    "gene_adjusted_rho_pooled": "adjusted rho, pooled",
    "gene_rho_adjusted_for_composition": "rho adjusted for blood composition, pooled",
    "sample_rho": "sample-wise rho",
}
"""Labels of the columns of a tissue table that are correlations."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
GeneChoice = Literal["all", "predictable", "survives FDR"]

_TISSUE_FIGURES = ("n", *RHO_FIGURES, "n_predictable", "n_predictable_fdr")
_GENE_FIGURES = (
    "n", "rho_by_fold", "rho_pooled", "rho_low", "rho_high", "adjusted_rho_by_fold",
    "n_composition", "rho_composition_known", "rho_adjusted_for_composition", "p", "fdr", "r2",
    "is_predictable", "survives_fdr",
)  # fmt: skip
_COMPOSITION = (N_KNOWN, *ADJUSTED)
"""Figures that only some methods of an evaluation may have."""


def out_of_fold_rho(
    evaluation: EvaluationTables | None,
    method: str,
    source: str | Sequence[str],
    *,
    tissues: Sequence[str] | None = None,
    genes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the accuracy of genes by tissue.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``tissue`` and ``gene_id``: ``n``, ``rho_by_fold`` and ``rho_pooled``. Empty if
        ``method`` was not evaluated from ``source``, one tissue or several together.
    """
    figures = ["n", "rho_by_fold", "rho_pooled"]
    known = None if evaluation is None else evaluation.from_sources(source, method)
    if known is None:
        index = pd.MultiIndex.from_arrays([[], []], names=["tissue", "gene_id"])
        return pd.DataFrame(columns=figures, index=index, dtype=float)
    own = known.genes_of(method, tissues, genes=genes, columns=figures)
    if tissues is not None and len(tissues) == 1 and len(own):  # sorting the names takes longest
        levels, codes = [list(tissues), own["gene_id"]], [np.zeros(len(own), int), range(len(own))]
        index = pd.MultiIndex(levels=levels, codes=codes, names=["tissue", "gene_id"])
        return own[figures].set_axis(index)
    return own.set_index(["tissue", "gene_id"])[figures]


def accuracy_in_words(
    evaluation: EvaluationTables | None,
    method: str,
    sources: Sequence[str],
    targets: Sequence[str],
) -> str:
    """Say how well ``method`` predicts ``targets`` from ``sources``, or that it is not known."""
    known = None if evaluation is None else evaluation.from_sources(sources, method)
    if known is None:
        return (
            "How accurate predictions from these tissues are together was not measured for this"
            " model."
        )
    own = known.tissues[known.tissues["method"] == method].set_index("tissue")
    own = own.loc[own.index.isin(list(targets)) & own["gene_rho_by_fold"].notna()]
    if own.empty:
        return "How accurate predictions of these tissues are was not measured for this model."
    rho = own["gene_rho_by_fold"]
    words = (
        f"Out-of-fold rho from these tissues: {rho.mean():.3f}, mean over genes and {len(rho)}"
        " predicted tissues"
    )
    if RHO_ALONE in own:
        words += f"; from {known.settings['source']} alone {own[RHO_ALONE].mean():.3f}"
        fewest, most = int(own["n"].min()), int(own["n"].max())
        words += (
            f", the same donors ({fewest if fewest == most else f'{fewest} to {most}'} a tissue)"
        )
    if own.get("coverage_90", pd.Series(dtype=float)).notna().any():
        inside = own["coverage_90"].dropna()
        share = np.average(inside, weights=own.loc[inside.index, "n"])
        words += f". The 90 % intervals held {share:.1%} of their measured values"
    return f"{words}."


def rank_tissues(tissues: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rank the tissues by the accuracy of ``method``, the best first.

    Parameters
    ----------
    tissues
        Tissues of an evaluation, one row for each method and tissue.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue: ``n`` donors, the available ``RHO_FIGURES``, ``n_predictable`` and
        ``n_predictable_fdr``. Tissues without a rho by fold come last.
    """
    own = tissues[tissues["method"] == method].set_index("tissue")
    ranked = own.sort_values("gene_rho_by_fold", ascending=False, kind="stable")
    return _with_known(ranked, _TISSUE_FIGURES)


def genes_of_tissue(genes: pd.DataFrame, method: str, tissue: str) -> pd.DataFrame:
    """List the genes of one tissue, the best predicted first.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``gene_id``: what there is of n, rho by fold, pooled with its interval, adjusted,
        over donors of known blood composition and adjusted for it, p, FDR, R2;
        ``is_predictable`` always.
    """
    chosen = (genes["method"] == method) & (genes["tissue"] == tissue)
    return _listed(genes[chosen].set_index("gene_id"))


def tissues_of_gene(genes: pd.DataFrame, method: str, gene_id: str) -> pd.DataFrame:
    """List the tissues of one gene, the best predicted first; see :func:`genes_of_tissue`."""
    chosen = (genes["method"] == method) & (genes["gene_id"] == gene_id)
    return _listed(genes[chosen].set_index("tissue"))


def select_genes(table: pd.DataFrame, choice: GeneChoice, text: str = "") -> pd.DataFrame:
    """Select genes by predictability and by name.

    Parameters
    ----------
    table
        Result of :func:`genes_of_tissue`, with a column ``gene`` of gene symbols.
    choice
        All genes; predictable ones, by the rule of the paper; or those also with an FDR of at most
        5 %.
    text
        Gene symbols or ids, or parts of them, separated by spaces or commas. A gene that contains
        any of them is selected. Case and versions of Ensembl ids are ignored.

    Raises
    ------
    KeyError
        If FDR is asked for in an evaluation that has none.
    """
    if choice != "all":
        table = table[table["is_predictable" if choice == "predictable" else "survives_fdr"]]
    pattern = pattern_of(text)
    if not pattern:
        return table
    names = table["gene"].str.lower() + " " + table.index.str.lower()
    return table[names.str.contains(pattern)]


def matrix_of(
    evaluation: EvaluationTables, method: str, column: str, tissues: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return one column of the genes of ``method`` as (tissues, gene ids), tissues sorted."""
    table = evaluation.gene_rows
    own: dict[str, str] = {"method": method}
    if isinstance(table, CombinationRows):
        own, table = own | {SOURCES: table.sources}, table.table
    if isinstance(table, TableOnDisk) and table.same_genes:  # sorting a million rows takes seconds
        where = own | ({} if tissues is None else {"tissue": list(tissues)})
        groups = table.groups()
        is_own = np.all([groups[name] == value for name, value in own.items()], axis=0)
        names = groups.loc[is_own, "tissue"]
        names = names if tissues is None else names[names.isin(list(tissues))]
        index = pd.Index(names.to_numpy(), name="tissue")
        return pd.DataFrame(table.matrix(where, column), index, table.genes).sort_index()
    rows = evaluation.genes_of(method, tissues, columns=[column])
    return rows.pivot(index="tissue", columns="gene_id", values=column)


def distribution_of_rho(rho: pd.DataFrame) -> pd.DataFrame:
    """Return, by tissue, the number of genes with a rho and quantiles of rho.

    Parameters
    ----------
    rho
        Result of :func:`matrix_of` (tissues, gene ids).
    """
    quantiles = rho.quantile(list(QUANTILES), axis=1).T
    quantiles.columns = list(QUANTILES)
    quantiles.insert(0, "n_genes", rho.notna().sum(axis=1))
    return quantiles


def coverage_of_method(tissues: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the coverage of the intervals of ``method``, in percent.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue, by descending number of donors: ``n``, and one column for each nominal
        level, an integer in percent. Empty if the method has no intervals.
    """
    own = tissues[tissues["method"] == method].set_index("tissue")
    own = own.sort_values("n", ascending=False, kind="stable")
    shares = own.filter(regex=r"^coverage_\d+$").dropna(axis=1, how="all") * 100
    shares.columns = [int(name.removeprefix("coverage_")) for name in shares.columns]
    has_any = shares.notna().any(axis=1)
    shares.insert(0, "n", own["n"])
    return shares[has_any]


def _listed(rows: pd.DataFrame) -> pd.DataFrame:
    ranked = with_predictable(rows).sort_values("rho_by_fold", ascending=False, kind="stable")
    unknown = [name for name in _COMPOSITION if name in ranked and ranked[name].isna().all()]
    return _with_known(ranked.drop(columns=unknown), _GENE_FIGURES)


def _with_known(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return table[[name for name in columns if name in table]]
