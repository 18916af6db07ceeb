"""How accuracy grows with donors and with genes: where more data would help, and where not.

    python scripts/learning_curve.py COHORT --output learning_curve.csv

Each point is the mean gene-wise rho by fold from whole blood over all other tissues, of the kernel
joint Gaussian, fitted on a random share of the training donors, or shown a random share of the
genes of blood. All genes of the other tissues are predicted and scored at every point.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.kernel_factors import FittedKernelFactors, KernelFactorsMethod
from mtm_core.methods.protocol import Method
from mtm_core.safe_output import check_output, writing

SHARES = (0.25, 0.5, 0.75, 1.0)
REPEATS = 2
"""Random subsets a point, where it is not everything."""


class OnShareOfDonors:
    """Kernel factors that see only a random ``share`` of the donors they are given."""

    name = "kernel-factors"

    def __init__(self, share: float, seed: int) -> None:
        self.share, self.seed = share, seed

    def fit(self, cohort: ad.AnnData, donors: list[str]) -> FittedKernelFactors:
        """Fit on the share."""
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(np.array(sorted(donors)))[: round(self.share * len(donors))]
        return KernelFactorsMethod().fit(cohort, chosen.tolist())


def score(method: Method, cohort: ad.AnnData, folds: DonorFolds) -> dict[str, float]:
    """Return the figures of one point, from expression alone."""
    predictions = cross_validate(method, cohort, folds, with_phenotypes=False)
    summary = accuracy(predictions, cohort.uns["donors"]).summary()
    return {name: summary[f"gene_{name}_by_fold_mean"] for name in ("rho", "adjusted_rho")}


def show_genes(cohort: ad.AnnData, share: float, rng: np.random.Generator) -> ad.AnnData:
    """Return ``cohort`` with all but a random share of blood's genes the same in every donor."""
    hidden = rng.permutation(cohort.n_vars)[round(share * cohort.n_vars) :]
    is_blood = (cohort.obs["tissue"] == WHOLE_BLOOD).to_numpy()
    part = cohort.copy()
    part.X[np.ix_(is_blood, hidden)] = 1.0
    return part


def main() -> None:
    """Measure both curves and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--output", type=Path, default=Path("learning_curve.csv"))
    arguments = parser.parse_args()
    check_output(arguments.output)
    cohort = read_cohort(arguments.cohort)
    folds = donor_folds(cohort.obs)
    rng = np.random.default_rng(0)
    rows = []
    for share in SHARES:
        for seed in range(REPEATS if share < 1 else 1):
            figures = score(OnShareOfDonors(share, seed), cohort, folds)
            rows.append({"varied": "donors", "share": share, "repeat": seed, **figures})
            if share < 1:
                shown = show_genes(cohort, share, rng)
                figures = score(KernelFactorsMethod(), shown, folds)
                rows.append({"varied": "genes", "share": share, "repeat": seed, **figures})
            print(rows[-1], flush=True)
            with writing(arguments.output, overwrite=len(rows) > 1) as place:
                pd.DataFrame(rows).to_csv(place, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
