"""Which genes a method predicts: in which tissues alike, how high, how connected (section 3.3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.files.raw_table import MAX_BYTES, to_numbers
from mtm_core.data.files.reading_options import ANY_TABLE
from mtm_core.data.formats.tables import read_bytes, read_table
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import InputFileError
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.statistics.outcome import CONSTANT, TESTED, TOO_FEW
from mtm_core.statistics.similarity import SimilarityAgreement, similarity_agreement
from mtm_core.studies.reference_tissue import tissues_of

logger = logging.getLogger(__name__)
Array = NDArray[np.float64]

MINIMUM_QUARTILE = 4
"""Annotated genes that each quartile needs."""
EXPRESSION = "expression"


@dataclass(frozen=True)
class PredictableGenesStudy:
    """Properties of predictable genes, compared with other genes.

    Attributes
    ----------
    quartiles
        One row an (``annotation``, ``tissue``): of the annotated genes ``n_top`` are in the top
        and ``n_bottom`` in the bottom quartile of gene-wise rho; ``median_top`` and
        ``median_bottom`` of the annotation; ``auc``, the chance that one of the top is above one
        of the bottom; ``p`` of Wilcoxon's rank-sum test, ``fdr`` over tissues, and ``outcome``.
        The annotation ``"expression"`` is the mean of log2(1 + expression) in the tissue.
    tissues
        Whether tissues with like profiles share their predictable genes: the agreement of the
        similarity of tissues and that of gene-wise rho (Pearson both).
    """

    quartiles: pd.DataFrame
    tissues: SimilarityAgreement

    def summary(self) -> pd.DataFrame:
        """Return one row an annotation: in how many tissues the top quartile is higher, lower."""
        tested = self.quartiles[self.quartiles["outcome"] == TESTED]
        significant = tested["p"] < 0.05
        table = tested.assign(
            higher=tested["auc"] > 0.5,
            significantly_higher=(tested["auc"] > 0.5) & significant,
            significantly_lower=(tested["auc"] < 0.5) & significant,
        )
        return table.groupby("annotation", sort=False).agg(
            n_tissues=("tissue", "size"),
            higher=("higher", "sum"),
            significantly_higher=("significantly_higher", "sum"),
            significantly_lower=("significantly_lower", "sum"),
            median_auc=("auc", "median"),
            median_genes=("n_top", "median"),
        )


def study_predictable_genes(
    rho: pd.DataFrame,
    cohort: ad.AnnData,
    annotations: Mapping[str, pd.Series] | None = None,
    *,
    seed: int = 0,
) -> PredictableGenesStudy:
    """Compare the best with the worst predicted quarter of the genes, tissue by tissue.

    Parameters
    ----------
    rho
        (tissues, genes) gene-wise rho of one method; NaN where a gene does not vary.
    cohort
        Cohort that it was measured in.
    annotations
        By name: a number a gene, by gene id; genes may be missing.
    seed
        Seed of the exchanges of tissues in Mantel's test.
    """
    means = mean_log2(cohort)[rho.columns]
    rows = []
    for name in (EXPRESSION, *(annotations or {})):
        of_one = [
            {"annotation": name, "tissue": tissue}
            | compare_quartiles(
                rho.loc[tissue],
                means.loc[tissue] if name == EXPRESSION else (annotations or {})[name],
            )
            for tissue in rho.index
        ]
        fdr = benjamini_hochberg([float(str(row["p"])) for row in of_one])
        rows += [row | {"fdr": value} for row, value in zip(of_one, fdr, strict=True)]
    agreement = similarity_agreement(
        np.corrcoef(means.loc[rho.index]), np.corrcoef(rho.fillna(0)), seed=seed
    )
    return PredictableGenesStudy(pd.DataFrame(rows), agreement)


def compare_quartiles(rho: pd.Series, values: pd.Series) -> dict[str, object]:
    """Compare ``values`` of the top and the bottom quartile of ``rho``, of genes that have both."""
    both = pd.DataFrame({"rho": rho, "value": values}, dtype=float).dropna().sort_values("rho")
    size = len(both) // 4
    bottom = both["value"].iloc[:size].to_numpy()
    top = both["value"].iloc[len(both) - size :].to_numpy()
    row: dict[str, object] = {
        "n_top": len(top),
        "n_bottom": len(bottom),
        "median_top": float(np.median(top)) if len(top) else float("nan"),
        "median_bottom": float(np.median(bottom)) if len(bottom) else float("nan"),
        "auc": float("nan"),
        "p": float("nan"),
        "outcome": TESTED,
    }
    if min(len(top), len(bottom)) < MINIMUM_QUARTILE:
        return row | {"outcome": TOO_FEW}
    if np.ptp(np.concatenate([top, bottom])) == 0:
        return row | {"outcome": CONSTANT}
    test = mannwhitneyu(top, bottom, method="asymptotic")
    auc = float(test.statistic / (len(top) * len(bottom)))
    return row | {"auc": auc, "p": float(test.pvalue)}


def mean_log2(cohort: ad.AnnData) -> pd.DataFrame:
    """Return the mean of log2(1 + expression) of each tissue and gene (T, G)."""
    means = [
        np.log2(1 + expression).mean(axis=0, dtype=np.float64)
        for _, _, expression in tissues_of(cohort)
    ]
    return pd.DataFrame(
        np.stack(means), index=list(tissue_names(cohort)), columns=cohort.var_names.astype(str)
    )


def tissue_similarity(cohort: ad.AnnData) -> Array:
    """Return Pearson's rho between tissues' mean log2 profiles (T, T)."""
    return np.asarray(np.corrcoef(mean_log2(cohort)))


def read_annotation(path: Path, genes: pd.DataFrame) -> pd.Series:
    """Read a table of genes and one number each, for example conservation or connectivity.

    Parameters
    ----------
    path
        csv, tsv, xlsx or parquet: gene ids, symbols or Entrez ids in the first column, numbers in
        the second. Of several rows for one gene the mean holds.
    genes
        Gene table of the cohort.

    Returns
    -------
    pandas.Series
        By gene id, of the genes that were found.

    Raises
    ------
    InputFileError
        If the file has no second column of numbers, or knows none of the genes.
    """
    try:
        raw = read_table(read_bytes(path, MAX_BYTES), MAX_BYTES, ANY_TABLE)
        if len(raw.header) < 2:
            raise InputFileError("expected two columns, a gene and a number; there is one")
        ids = raw.labels(0)
        numbers = to_numbers(raw.cells[1])
        if numbers.isna().all():
            raise InputFileError(f"no numbers in its second column, {raw.name_of(1)!r}")
    except InputFileError as error:
        raise InputFileError(f"{path.name}: {error}") from error
    found = GeneIndex(genes[["symbol", "entrez"]].astype(str)).find(ids)
    known = found >= 0
    if not known.any():
        raise InputFileError(
            f"{path.name}: none of its {len(ids)} genes (the first is {ids[0]!r}) is in the cohort."
            " Expected Ensembl ids, symbols or Entrez ids in the first column."
        )
    values = pd.Series(np.asarray(numbers, dtype=float)[known], index=genes.index[found[known]])
    by_gene = values.groupby(level=0).mean().dropna()
    logger.info("%s: %d of %d genes of the cohort.", path.name, len(by_gene), len(genes))
    return by_gene
