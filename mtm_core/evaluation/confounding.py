"""What blood and tissue share through a donor's sex, age and death, and how scores do without it.

A predictor that reads off who died on a ventilator scores in every tissue; so scores are given
also with that regressed out (:func:`confounder_design`), within strata of donors, and, as a
control, with the donors shuffled.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mtm_core.errors import CohortError
from mtm_core.methods.covariates import CovariateName, encode_covariates

CONFOUNDERS: tuple[CovariateName, ...] = ("age", "sex", "hardy")
VENTILATOR = 0
"""Hardy scale of a death on a ventilator."""
SEX_CHROMOSOMES = ("X", "Y", "chrX", "chrY")
MINIMUM_STRATUM_DONORS = 20
"""Donors of a tissue that a stratum needs for the tissue to be scored in it."""
SHUFFLED = "donors shuffled"
"""Name of the stratum that is a control: its scores are about 0 or something leaks."""


def phenotypes_of(phenotypes: pd.DataFrame, donors: ArrayLike) -> pd.DataFrame:
    """Return the rows of ``phenotypes`` (by donor) of ``donors`` (N,), in their order.

    Raises
    ------
    CohortError
        If a donor is not in the table.
    """
    wanted = pd.Index(np.asarray(donors))
    unknown = wanted.difference(phenotypes.index)
    if len(unknown):
        raise CohortError(
            f"the donor table lacks {len(unknown)} of {wanted.nunique()} donors, such as"
            f" {unknown[0]!r}. Give the table of the cohort that was predicted."
        )
    return phenotypes.reindex(wanted)


def known_confounders(phenotypes: pd.DataFrame) -> tuple[CovariateName, ...]:
    """Return which of ``CONFOUNDERS`` the donor table knows of any donor."""
    return tuple(
        name
        for name in CONFOUNDERS
        if name in phenotypes and (phenotypes[name].notna() & (phenotypes[name] != "")).any()
    )


def confounder_design(phenotypes: pd.DataFrame, donors: ArrayLike) -> NDArray[np.float64]:
    """Return what is regressed out (N, C): an intercept, age, sex, one column per Hardy value.

    Donors without a Hardy scale are a separate level; what the table lacks is not adjusted for.
    """
    known = phenotypes_of(phenotypes, donors)
    covariates = encode_covariates(known, CONFOUNDERS, len(known))
    return np.column_stack([np.ones(len(known)), covariates])


def permuted(out_of_fold: xr.Dataset, seed: int = 0) -> xr.Dataset:
    """Shuffle the observed profiles among the donors of a tissue and fold.

    All that is left to a predictor is what is common to donors, so every score of it falls to
    about 0.
    """
    rng = np.random.default_rng(seed)
    cells = pd.DataFrame({name: out_of_fold[name].to_numpy() for name in ("tissue", "fold")})
    source = np.arange(len(cells))
    for rows in cells.groupby(["tissue", "fold"]).indices.values():
        source[rows] = rng.permutation(rows)
    # Of a wide cohort they are read later, a tissue at a time.
    return out_of_fold.assign(observed=out_of_fold["observed"].variable.isel(pair=source))


def strata(
    out_of_fold: xr.Dataset,
    phenotypes: pd.DataFrame,
    genes: pd.DataFrame | None = None,
    *,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Return the parts of ``out_of_fold`` that are scored by themselves, by their name.

    Donors that died on a ventilator and all others (donors of unknown death are in neither), in
    the tissues that have at least ``MINIMUM_STRATUM_DONORS`` of them; genes off the sex
    chromosomes; and all donors, shuffled.

    Parameters
    ----------
    phenotypes
        Donor table of the cohort.
    genes
        Gene table of the cohort; without a column ``chromosome`` the genes on X and Y cannot be
        known, and that stratum is not made.
    seed
        Of the shuffle.
    """
    known = phenotypes_of(phenotypes, out_of_fold["donor"].to_numpy())
    hardy = known.reindex(columns=["hardy"])["hardy"].to_numpy(float)
    on_ventilator = hardy == VENTILATOR
    parts = {
        "ventilator": common_tissues(out_of_fold, on_ventilator),
        "other deaths": common_tissues(out_of_fold, ~np.isnan(hardy) & ~on_ventilator),
    }
    if genes is not None and "chromosome" in genes:
        chromosome = genes["chromosome"].reindex(out_of_fold["gene"].to_numpy())
        off = ~chromosome.isin(SEX_CHROMOSOMES).to_numpy()
        parts["without X and Y"] = out_of_fold.isel(gene=off)
    parts[SHUFFLED] = permuted(out_of_fold, seed)
    return {name: part for name, part in parts.items() if part.sizes["pair"]}


def common_tissues(out_of_fold: xr.Dataset, chosen: NDArray[np.bool_]) -> xr.Dataset:
    """Keep the chosen pairs of the tissues that have enough of them."""
    tissue = pd.Series(out_of_fold["tissue"].to_numpy())
    n = tissue.where(chosen).map(tissue[chosen].value_counts()).to_numpy(float)
    return out_of_fold.isel(pair=chosen & (n >= MINIMUM_STRATUM_DONORS))
