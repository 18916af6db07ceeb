"""One tissue of the reference: its genes against the donors' traits, and how they are spread.

Letters: N donors of the tissue, G genes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.people.exact_phenotypes import exact_phenotypes
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.differential import differential_expression
from mtm_core.statistics.outcome import outcome_column
from mtm_core.statistics.quantiles import row_quantiles
from mtm_core.studies.donor_traits import Trait, adjustment_name, covariates_of, known_traits

MINIMUM_DONORS = 10
"""Donors of a tissue behind any number here."""
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
ALL = "all"
"""Donors of either sex, or of every age."""
QUANTILE_STEP = 1 / 64
"""Step in log2(1 + expression) to which quantiles of wide cohorts are rounded."""
GROUPS = ("tissue", "gene_id", "sex", "age_band")
_NUMBERS = (
    "n", "n_case", "n_control", "mean_case", "mean_control", "log2_fold_change", "auc",
    "rho", "slope", "p", "fdr",
)  # fmt: skip
_DOUBLE = frozenset({"p", "fdr"})
"""The smallest p-values are below the least number of single precision."""
Floats = NDArray[np.float32]


def by_tissue(
    cohort: ad.AnnData,
) -> Iterator[tuple[str, Iterator[pd.DataFrame], Iterator[pd.DataFrame]]]:
    """Yield each tissue's name, associations and distributions, both made as they are taken.

    Associations are a table a trait and adjustment, distributions a table a sex and age band.
    """
    phenotypes: pd.DataFrame = cohort.uns["donors"]
    traits = known_traits(phenotypes)
    genes = cohort.var_names.to_numpy(dtype=object)
    for tissue, donors, expression in tissues_of(cohort):
        log2 = np.log2(1 + expression)
        associations = (
            part.assign(tissue=tissue)
            for trait in traits
            for part in _associate(trait, donors, expression, log2, genes, phenotypes)
        )
        yield tissue, associations, _distributions(tissue, donors, log2, genes, phenotypes)


def tissues_of(
    cohort: ad.AnnData,
) -> Iterator[tuple[str, NDArray[np.str_], NDArray[np.float32]]]:
    """Yield each tissue's name, donors (N,) and linear expression (N, G)."""
    codes = tissue_codes(cohort)
    donor = cohort.obs["donor"].to_numpy().astype(str)
    for code, name in enumerate(tissue_names(cohort)):
        rows = np.flatnonzero(codes == code)
        yield name, donor[rows], np.asarray(cohort.X[rows])


def _associate(
    trait: Trait,
    donors: NDArray[np.str_],
    expression: Floats,
    log2: Floats,
    genes: NDArray[np.object_],
    phenotypes: pd.DataFrame,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of one trait in one tissue: raw, then each adjustment."""
    ids = genes.tolist()
    values = trait.of(donors)
    counts = {"n": int(np.isfinite(values).sum())}
    enough = counts["n"] >= MINIMUM_DONORS
    if trait.kind == "two groups":
        counts |= {"n_case": int((values == 1).sum()), "n_control": int((values == 0).sum())}
        enough &= min(counts["n_case"], counts["n_control"]) >= trait.minimum_group
    if not enough:
        values = np.full(len(values), np.nan)  # so that every row is named "too few samples"
    raw = trait_association(log2, values, ids)
    test = "correlation"
    if trait.kind == "two groups":
        compared = differential_expression(expression[values == 1], expression[values == 0], ids)
        raw = compared.join(raw[["rho", "slope"]])
        test = "rank-sum"
    yield _labelled(raw.assign(**counts), trait.name, "", test)
    for names in trait.adjustments:
        covariates = covariates_of(phenotypes, donors, names)
        adjusted = trait_association(log2, values, ids, covariates=covariates)
        label = adjustment_name(names)
        yield _labelled(adjusted.assign(**counts), trait.name, label, "partial correlation")


def _labelled(rows: pd.DataFrame, trait: str, adjusted_for: str, test: str) -> pd.DataFrame:
    """Return ``rows`` with their keys in front and every column there."""
    table = pd.DataFrame(
        {"trait": trait, "adjusted_for": adjusted_for, "test": test, "tissue": ""},
        index=range(len(rows)),
    )
    table["gene_id"] = rows.index.to_numpy()
    for name in _NUMBERS:
        dtype = np.float64 if name in _DOUBLE else np.float32
        table[name] = rows[name].to_numpy(dtype) if name in rows else dtype(np.nan)
    return table.assign(outcome=outcome_column(rows["outcome"].to_numpy()))


def _distributions(
    tissue: str,
    donors: NDArray[np.str_],
    log2: Floats,
    genes: NDArray[np.object_],
    phenotypes: pd.DataFrame,
) -> Iterator[pd.DataFrame]:
    """Yield quantiles of log2(1 + expression) by gene, a table a sex and age band."""
    known = exact_phenotypes(phenotypes)
    sex, band = (
        known.get(name, pd.Series("", index=known.index))
        .fillna("")
        .astype(str)
        .reindex(donors)
        .to_numpy()
        for name in ("sex", "age_band")
    )
    by_gene = np.ascontiguousarray(log2.T)
    for one_sex in _with_all(sex):
        for one_band in _with_all(band):
            rows = ((sex == one_sex) | (one_sex == ALL)) & ((band == one_band) | (one_band == ALL))
            if rows.sum() < MINIMUM_DONORS:
                continue
            levels = row_quantiles(by_gene[:, rows], list(QUANTILES.values()))
            columns = dict(zip(QUANTILES, levels, strict=True))
            keys = {"sex": one_sex, "age_band": one_band, "n": int(rows.sum())}
            yield pd.DataFrame({"tissue": tissue, "gene_id": genes, **keys, **columns})


def _with_all(groups: NDArray[np.object_]) -> Sequence[str]:
    return (ALL, *sorted(set(groups) - {""}))
