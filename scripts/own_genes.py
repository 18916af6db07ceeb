"""Print what a gene's own value in blood adds to kernel factors, on donors held out.

    python scripts/own_genes.py COHORT
    python scripts/own_genes.py --simulate 2000 --own-genes 60 --share 0.3

A row a fold: genes with an effect of their own, gene-wise rho from whole blood without and with
them, over all genes and over these, the gain and its standard error over tissues. On a simulated
cohort (one fold) the planted genes are known, so precision and recall stand beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.simulate import simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.factor_choice import Grid
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import FittedKernelFactors, KernelFactorsMethod
from mtm_core.statistics.correlation import columnwise_correlation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from factor_width import CONFIG

JOINT = JointGaussianMethod(covariates=("age", "sex"), choose_from=WHOLE_BLOOD, gene_ridge=None)
LEAST_PAIRS = 10
WIDE = 10_000


def main() -> None:
    """Read the command line; fit and score fold by fold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, nargs="?")
    parser.add_argument("--simulate", type=int, help="genes of a simulated cohort")
    parser.add_argument("--tissues", type=int, default=49, help="of it; fewer need less memory")
    parser.add_argument("--own-genes", type=int, default=300)
    parser.add_argument("--share", type=float, default=0.3, help="of their variance")
    parser.add_argument("--with-phenotypes", action="store_true")
    options = parser.parse_args()
    joint = JOINT
    if options.simulate:
        config = replace(
            CONFIG,
            n_genes=options.simulate,
            n_tissues=options.tissues,
            n_own_genes=options.own_genes,
            own_variance=options.share,
        )
        cohort = simulate_cohort(config)
        # What is chosen at this width (benchmarks/factor_width.py), so that the choice is spared.
        sizes, shrinkage = (15, 30, 45), 1000.0 if options.simulate < WIDE else 10_000.0
        joint = replace(
            JOINT, n_factors=sizes, ridge=30.0, shrinkage=shrinkage, grid=Grid((), (), ())
        )
    else:
        cohort = read_cohort(options.cohort)
    folds = donor_folds(cohort.obs)
    gains = []
    for fold in range(1 if options.simulate else len(folds.folds)):
        training, held_out = folds.training(fold), folds.held_out(fold)
        began = time.perf_counter()
        fitted = KernelFactorsMethod(joint).fit(cohort, training)
        print(f"fold {fold}: fit {time.perf_counter() - began:.0f} s; {fitted.joint.fitted_with}")
        own = np.zeros(cohort.n_vars, dtype=bool)
        if fitted.own_genes is not None:
            own[fitted.own_genes.genes] = True
        if options.simulate:
            planted = np.zeros(cohort.n_vars, dtype=bool)
            planted[cohort.uns["truth"].get("own_genes", [])] = True
            both = (own & planted).sum()
            print(f"  found {own.sum()}, planted {planted.sum()}, both {both}")
        else:
            planted = own
            print("  found: " + ", ".join(cohort.var["symbol"].astype(str).to_numpy()[own]))
        without, with_own = (
            _rho(one, cohort, training, held_out, with_phenotypes=options.with_phenotypes)
            for one in (replace(fitted, own_genes=None), fitted)
        )
        gain = with_own - without
        gains.append(np.nanmean(gain))
        for name, genes in (
            ("all", np.ones_like(own)),
            ("planted" if options.simulate else "found", planted),
            ("others", ~planted),
            ("found, not planted", own & ~planted),
        ):
            if genes.any():
                by_tissue = np.nanmean(gain[:, genes], axis=1)
                error = by_tissue.std(ddof=1) / np.sqrt(len(by_tissue))
                print(
                    f"  {name} ({genes.sum()}): {np.nanmean(without[:, genes]):.4f} ->"
                    f" {np.nanmean(with_own[:, genes]):.4f}, gain {by_tissue.mean():.5f}"
                    f" (SE over {len(by_tissue)} tissues {error:.5f})",
                    flush=True,
                )
    if len(gains) > 1:
        error = np.std(gains, ddof=1) / np.sqrt(len(gains))
        print(f"gain over folds {np.mean(gains):.5f} (SE {error:.5f})")


def _rho(
    fitted: FittedKernelFactors,
    cohort: ad.AnnData,
    training: tuple[str, ...],
    held_out: tuple[str, ...],
    *,
    with_phenotypes: bool,
) -> np.ndarray:
    """Return gene-wise rho (targets, G) of held-out donors."""
    scorer = fit_scorer(cohort, training)
    parts = predict_held_out(
        fitted, cohort, held_out, scorer, source=WHOLE_BLOOD, with_phenotypes=with_phenotypes
    )
    return np.array(
        [
            columnwise_correlation(part.predicted, part.observed)
            for part in parts
            if len(part.donor) >= LEAST_PAIRS
        ]
    )


if __name__ == "__main__":
    main()
