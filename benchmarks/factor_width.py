"""Fit the best method without networks at full width: 49 tissues x 19,291 genes of 944 donors.

The cohort is simulated: 40 shared factors of falling size hold a quarter of the variance, 30
private ones of each tissue three tenths, and some genes have effects of their own. A fifth of the
donors is held out; they are predicted from blood. Beside the factors stand ridge regression and the
ceiling: what the planted factors and own effects themselves explain.

python benchmarks/factor_width.py [--genes 19291] [--donors 944] [--ridge]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anndata as ad
import numpy as np

from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.gtex import WHOLE_BLOOD
from mtm_core.data.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.splits import donor_folds
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.protocol import FittedMethod
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.statistics.correlation import columnwise_correlation

T = TypeVar("T")
CONFIG = SimulationConfig(
    n_donors=944,
    n_tissues=49,
    n_genes=19_291,
    n_factors=40,
    factor_decay=1.0,
    shared_variance=0.25,
    private_variance=0.30,
    own_variance=0.3,
    n_own_genes=300,
    presence=(0.8, 0.05),
)
JOINT = JointGaussianMethod(covariates=("age", "sex"), choose_from=WHOLE_BLOOD, gene_ridge=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=CONFIG.n_genes)
    parser.add_argument("--donors", type=int, default=CONFIG.n_donors)
    parser.add_argument("--ridge", action="store_true", help="fit ridge regression, too")
    options = parser.parse_args()
    n_own = min(CONFIG.n_own_genes, options.genes // 10)
    config = replace(CONFIG, n_genes=options.genes, n_donors=options.donors, n_own_genes=n_own)
    cohort = _timed("simulate", partial(simulate_cohort, config))
    print(
        f"{cohort.n_obs:,} samples x {cohort.n_vars:,} genes, {len(tissue_names(cohort))} tissues"
    )
    folds = donor_folds(cohort.obs)
    training, held_out = folds.training(0), folds.held_out(0)
    joint = _fit_joint(cohort, training)
    print(f"rho of {joint.name}: {_rho(joint, cohort, training, held_out):.4f}")
    print(f"ceiling: {_ceiling(cohort, held_out):.4f}")
    if options.ridge:
        ridge = _timed("fit ridge", partial(RidgeMethod().fit, cohort, training))
        print(f"rho of ridge: {_rho(ridge, cohort, training, held_out):.4f}")


def _fit_joint(cohort: ad.AnnData, training: tuple[str, ...]) -> FittedMethod:
    """Choose and fit, step by step, and print what was chosen."""
    data = _timed("z-scores", partial(JOINT.training, cohort, training))
    choice = _timed("choose", partial(JOINT.choose, data))
    assert choice is not None
    print(f"chosen: {choice.settings}")
    for settings, score in sorted(choice.scores.items(), key=lambda item: -item[1]):
        print(f"  {score:.4f}  {settings}")
    curves = _timed(
        "choose curves", partial(KernelFactorsMethod(JOINT).choose_shape, choice.inner_fits())
    )
    print(f"curves: {curves}")
    return _timed("fit", partial(JOINT.fit_training, data, choice.settings))


def _timed(what: str, run: Callable[[], T]) -> T:
    """Run, and print seconds and the most memory so far."""
    began = time.perf_counter()
    result = run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{what}: {time.perf_counter() - began:.1f} s, peak {peak:.1f} GB", flush=True)
    return result


def _rho(
    fitted: FittedMethod, cohort: ad.AnnData, training: tuple[str, ...], held_out: tuple[str, ...]
) -> float:
    """Give gene-wise rho of held-out donors, mean over genes and tissues of 20 pairs or more."""
    began, rho = time.perf_counter(), []
    scorer = fit_scorer(cohort, training)
    for part in predict_held_out(fitted, cohort, held_out, scorer, source=WHOLE_BLOOD):
        if len(part.donor) >= 20:
            rho.append(np.nanmean(columnwise_correlation(part.predicted, part.observed)))
    print(f"predict: {time.perf_counter() - began:.1f} s")
    return float(np.mean(rho))


def _ceiling(cohort: ad.AnnData, held_out: tuple[str, ...]) -> float:
    """Give the rho of the planted factors and own effects with what was drawn."""
    truth, codes = cohort.uns["truth"], tissue_codes(cohort)
    number = {donor: i for i, donor in enumerate(cohort.uns["donors"].index)}
    donors = cohort.obs["donor"].to_numpy().astype(str)
    with_blood = set(donors[cohort.obs["tissue"] == WHOLE_BLOOD]) & set(held_out)
    given = np.isin(donors, list(with_blood))
    rho = []
    for t, name in enumerate(tissue_names(cohort)):
        rows = np.flatnonzero(given & (codes == t))
        if name == WHOLE_BLOOD or len(rows) < 20:
            continue
        who = [number[donor] for donor in donors[rows]]
        planted = truth["factors"][who] @ truth["loadings"][t]
        planted[:, truth["own_genes"]] += truth["own_sd"][t] * truth["own_effects"][who]
        observed = np.log2(1 + np.asarray(cohort.X[rows]))
        rho.append(np.nanmean(columnwise_correlation(planted, observed)))
    return float(np.mean(rho))


if __name__ == "__main__":
    main()
