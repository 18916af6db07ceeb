"""MTM on the leading components of expression in place of its genes, beside kernel factors.

    python scripts/compact_mtm.py COHORT --components 30
    python scripts/compact_mtm.py --simulate 2000 --components 200

The training donors of fold 0 are dealt into three. Kernel factors, ridge and MTM learn from two of
the thirds and predict the other from whole blood. Printed are the gene-wise rho of each and of
weighted sums, with weights by least squares over all tissues, and what they gain over kernel
factors alone, with its standard error over tissues. The weights are of the donors they are tried
on: what does not gain here gains nowhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from inner_folds import training_part
from numpy.typing import NDArray
from scipy.optimize import nnls

from mtm_core.config import LossConfig, preset
from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.held_out import HeldOutTissue, fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import OnComponentsMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.statistics.correlation import columnwise_correlation

Array = NDArray[np.float64]
LEAST_PAIRS = 10


def main() -> None:
    """Fit both on inner donors and print how they do, alone and together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, nargs="?")
    parser.add_argument("--simulate", type=int, help="genes of a simulated cohort")
    parser.add_argument("--tissues", type=int, default=49, help="of it; fewer need less memory")
    parser.add_argument("--components", type=int, default=200)
    parser.add_argument("--shrinkage", type=float, default=3000.0, help="of the factors' noise")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--all-losses", action="store_true", help="the paper's six, at weight 1")
    options = parser.parse_args()
    joint = JointGaussianMethod(covariates=("age", "sex"))
    if options.simulate:
        # What factor models choose at this width (benchmarks/factor_width.py).
        cohort = simulate_cohort(
            replace(SIMULATED, n_genes=options.simulate, n_tissues=options.tissues)
        )
        joint = replace(
            joint, n_factors=(15, 30, 45), ridge=30.0, shrinkage=options.shrinkage, gene_ridge=None
        )
    else:
        cohort = read_cohort(options.cohort)
    part, inner = training_part(cohort, 0)
    training, held_out = inner.training(0), inner.held_out(0)
    base = preset("acmg59", part.n_vars, len(tissue_names(part)))
    if options.all_losses:
        base = replace(base, loss=LossConfig())
    config = replace(base, training=replace(base.training, epochs=options.epochs))
    scorer = fit_scorer(part, training)
    predicted = []
    methods: tuple[Method, ...] = (
        KernelFactorsMethod(joint),
        RidgeMethod(),
        OnComponentsMethod(MTMMethod(config), options.components),
    )
    for method in methods:
        began = time.process_time()
        fitted = method.fit(part, training)
        print(f"{method.name}: fit {time.process_time() - began:.0f} s of a processor", flush=True)
        predicted.append(
            [
                tissue
                for tissue in predict_held_out(
                    fitted, part, held_out, scorer, source=WHOLE_BLOOD, with_phenotypes=False
                )
                if len(tissue.donor) >= LEAST_PAIRS
            ]
        )
    names = [method.name for method in methods]
    alone = None
    for chosen in ((0,), (1,), (2,), (0, 1), (0, 2), (0, 1, 2)):
        parts = [[by_method[i] for i in chosen] for by_method in zip(*predicted, strict=True)]
        weights = _weights(parts)
        rho = np.array([_rho(tissues, weights) for tissues in parts])
        alone = rho if alone is None else alone
        gain = rho - alone
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        print(
            f"{' + '.join(names[i] for i in chosen)}, weights {weights.round(2)}: rho"
            f" {rho.mean():.4f}, gain {gain.mean():.4f} (SE over {len(gain)} tissues {error:.4f})"
        )


def _weights(parts: Sequence[Sequence[HeldOutTissue]]) -> Array:
    """Return the weights of methods, 0 or more, that fit all tissues best, each alike."""
    n = len(parts[0])
    products, targets = np.zeros((n, n)), np.zeros(n)
    for tissues in parts:
        both = np.stack([tissue.predicted.ravel() for tissue in tissues]).astype(np.float64)
        products += both @ both.T / both.shape[1]
        targets += both @ tissues[0].observed.ravel() / both.shape[1]
    root = np.linalg.cholesky(products).T
    weights, _ = nnls(root, np.linalg.solve(root.T, targets))
    return np.asarray(weights, dtype=np.float64)


def _rho(tissues: Sequence[HeldOutTissue], weights: Array) -> float:
    """Return the gene-wise rho of the weighted sum, mean over genes."""
    predicted = np.tensordot(weights, np.stack([tissue.predicted for tissue in tissues]), axes=1)
    return float(np.nanmean(columnwise_correlation(predicted, tissues[0].observed)))


SIMULATED = SimulationConfig(
    n_donors=944,
    n_tissues=49,
    n_factors=40,
    factor_decay=1.0,
    shared_variance=0.25,
    private_variance=0.30,
    presence=(0.8, 0.05),
)

if __name__ == "__main__":
    main()
