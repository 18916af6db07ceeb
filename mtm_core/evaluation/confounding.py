"""Confounding of accuracy by a donor's sex, age and manner of death.

A predictor that recognises who died on a ventilator is accurate in every tissue. So accuracy is
also computed with these confounders regressed out (:func:`confounder_design`), within strata of
donors, and, as a control, with donors shuffled.
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
"""Hardy scale of donors who died on a ventilator."""
SEX_CHROMOSOMES = ("X", "Y", "chrX", "chrY")
MINIMUM_STRATUM_DONORS = 20
"""Fewest donors of a tissue for the tissue to be scored in a stratum."""
SHUFFLED = "donors shuffled"
"""Name of the control stratum, in which accuracy is about 0 unless information leaks."""


def phenotypes_of(phenotypes: pd.DataFrame, donors: ArrayLike) -> pd.DataFrame:
    """Return the phenotypes of ``donors`` (N,), in their order, from a table by donor.

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
    """Return which of ``CONFOUNDERS`` are known for at least one donor."""
    return tuple(
        name
        for name in CONFOUNDERS
        if name in phenotypes and (phenotypes[name].notna() & (phenotypes[name] != "")).any()
    )


def confounder_design(phenotypes: pd.DataFrame, donors: ArrayLike) -> NDArray[np.float64]:
    """Return the design (N, C) of confounders: intercept, age, sex, one column per Hardy class.

    Donors without a Hardy class form a class of their own. Confounders that the table lacks are not
    adjusted for.
    """
    known = phenotypes_of(phenotypes, donors)
    covariates = encode_covariates(known, CONFOUNDERS, len(known))
    return np.column_stack([np.ones(len(known)), covariates])


def shuffle_donors(out_of_fold: xr.Dataset, seed: int = 0) -> xr.Dataset:
    """Shuffle the observed profiles among the donors of each tissue and fold.

    A predictor can then be right only in what all donors share, so its accuracy falls to about 0.
    """
    rng = np.random.default_rng(seed)
    cells = pd.DataFrame({name: out_of_fold[name].to_numpy() for name in ("tissue", "fold")})
    source = np.arange(len(cells))
    for rows in cells.groupby(["tissue", "fold"]).indices.values():
        source[rows] = rng.permutation(rows)
    # Lazily: the profiles of a wide cohort are read later, one tissue at a time.
    return out_of_fold.assign(observed=out_of_fold["observed"].variable.isel(pair=source))


def strata(
    out_of_fold: xr.Dataset,
    phenotypes: pd.DataFrame,
    genes: pd.DataFrame | None = None,
    *,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Return the strata of ``out_of_fold`` that are scored separately, by name.

    The strata are donors who died on a ventilator and donors who did not (donors with unknown
    death are in neither), in tissues with at least ``MINIMUM_STRATUM_DONORS`` of them; genes off
    the sex chromosomes; and all donors, shuffled.

    Parameters
    ----------
    out_of_fold
        Out-of-fold predictions.
    phenotypes
        Donor table of the cohort.
    genes
        Gene table of the cohort. Without its column ``chromosome``, there is no stratum without X
        and Y.
    seed
        Seed of the shuffle.
    """
    known = phenotypes_of(phenotypes, out_of_fold["donor"].to_numpy())
    hardy = known.reindex(columns=["hardy"])["hardy"].to_numpy(float)
    on_ventilator = hardy == VENTILATOR
    parts = {
        "ventilator": select_scorable_pairs(out_of_fold, on_ventilator),
        "other deaths": select_scorable_pairs(out_of_fold, ~np.isnan(hardy) & ~on_ventilator),
    }
    if genes is not None and "chromosome" in genes:
        chromosome = genes["chromosome"].reindex(out_of_fold["gene"].to_numpy())
        off = ~chromosome.isin(SEX_CHROMOSOMES).to_numpy()
        parts["without X and Y"] = out_of_fold.isel(gene=off)
    parts[SHUFFLED] = shuffle_donors(out_of_fold, seed)
    return {name: part for name, part in parts.items() if part.sizes["pair"]}


def select_scorable_pairs(out_of_fold: xr.Dataset, chosen: NDArray[np.bool_]) -> xr.Dataset:
    """Select the chosen pairs, in tissues with at least ``MINIMUM_STRATUM_DONORS`` of them."""
    tissue = pd.Series(out_of_fold["tissue"].to_numpy())
    n = tissue.where(chosen).map(tissue[chosen].value_counts()).to_numpy(float)
    return out_of_fold.isel(pair=chosen & (n >= MINIMUM_STRATUM_DONORS))
