"""Predict GTEx donors from blood, and from blood with other tissues of theirs: rho and coverage.

Each combination is tried on the held-out donors who give all of it, who are predicted from blood
alone, too. Coverage is that of the 90 % intervals that were learnt from blood alone.

    python scripts/several_tissues.py cohort.h5ad FOLDER_OF_FITS
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import cast

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.methods.cached import CachedMethod
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.stack import FittedStack
from mtm_core.statistics.correlation import columnwise_correlation

BLOOD, MUSCLE, ARTERY = "Whole Blood", "Muscle - Skeletal", "Artery - Tibial"
SKIN, FAT = "Skin - Sun Exposed (Lower leg)", "Adipose - Subcutaneous"
COMBINATIONS = (
    *((MUSCLE,), (SKIN,), (ARTERY,), ("Lung",), (MUSCLE, SKIN)),
    *((MUSCLE, SKIN, ARTERY), (MUSCLE, SKIN, FAT)),
)
Score = tuple[str, float, float, int]
FEWEST = 8
"""Donors of a fold below which a tissue is not scored."""


def main() -> None:
    """Print a line a combination."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("fits", type=Path)
    given = parser.parse_args()
    cohort = read_cohort(given.cohort)
    folds = donor_folds(cohort.obs, n_folds=5, seed=0, balance_tissue=BLOOD)
    method = CachedMethod(FactorStackMethod(), given.fits)
    tissues = cohort.obs.groupby("donor", observed=True)["tissue"].agg(set)
    for combination in COMBINATIONS:
        shown: dict[tuple[str, ...], list[Score]] = {
            (): [],
            combination: [],
        }
        for k in range(5):
            training = folds.training(k)
            fitted = cast("FittedStack", method.fit(cohort, training))
            # As if the intervals of one tissue were those of several.
            as_one = replace(
                fitted,
                several=fitted.plain,
                several_with_covariates=fitted.with_covariates,
                further=combination,
            )
            donors = tuple(d for d in folds.held_out(k) if {BLOOD, *combination} <= tissues[d])
            for further, rows in shown.items():
                rows += scores(as_one, cohort, training, donors, further, combination)
        alone, together = (summary(rows) for rows in shown.values())
        print(f"{', '.join(combination)}: blood alone {alone}; together {together}", flush=True)


def scores(
    fitted: FittedStack,
    cohort: ad.AnnData,
    training: tuple[str, ...],
    donors: tuple[str, ...],
    further: tuple[str, ...],
    left_out: tuple[str, ...],
) -> list[Score]:
    """Return tissue, mean rho, share inside the interval and donors of each target."""
    scorer = fit_scorer(cohort, training)
    rows = []
    for part in predict_held_out(
        fitted,
        cohort,
        donors,
        scorer,
        source=BLOOD,
        further_sources=further,
        with_phenotypes=False,
    ):
        if part.tissue in left_out or len(part.donor) < FEWEST:
            continue
        assert part.sd is not None
        assert part.multipliers is not None
        rho = np.nan_to_num(columnwise_correlation(part.predicted, part.observed)).mean()
        half = part.multipliers[90][:, None] * part.sd
        inside = (np.abs(part.predicted - part.observed) <= half).mean()
        rows.append((part.tissue, float(rho), float(inside), len(part.donor)))
    return rows


def summary(rows: list[Score]) -> str:
    """Say mean rho over tissues, and coverage over all values."""
    table = pd.DataFrame(rows, columns=["tissue", "rho", "inside", "n"])
    rho = table.groupby("tissue")["rho"].mean()
    inside = np.average(table["inside"], weights=table["n"])
    return f"rho {rho.mean():.3f} in {len(rho)} tissues, inside {inside:.3f}"


if __name__ == "__main__":
    main()
