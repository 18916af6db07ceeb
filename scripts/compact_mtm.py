"""MTM on the leading components of expression in place of its genes, beside kernel factors.

    python scripts/compact_mtm.py COHORT --components 30
    python scripts/compact_mtm.py --simulate 2000 --components 200

The training donors of fold 0 are dealt into three. Kernel factors and MTM learn from two of the
thirds and predict the other from whole blood. Printed are the gene-wise rho of each alone, the
weights that least squares gives them over all tissues, and the rho of the weighted sum, with the
gain and its standard error over tissues. The weights are of the donors they are tried on: what does
not gain here gains nowhere.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from inner_folds import training_part
from scipy.optimize import nnls

from mtm_core.config import LossConfig, preset
from mtm_core.data.cohort import read_cohort, tissue_names
from mtm_core.data.gtex import WHOLE_BLOOD
from mtm_core.data.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import OnComponentsMethod
from mtm_core.methods.protocol import Method
from mtm_core.statistics.correlation import columnwise_correlation

LEAST_PAIRS = 10


def main() -> None:
    """Fit both on inner donors and print how they do, alone and together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, nargs="?")
    parser.add_argument("--simulate", type=int, help="genes of a simulated cohort")
    parser.add_argument("--components", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--all-losses", action="store_true", help="the paper's six, at weight 1")
    options = parser.parse_args()
    joint = JointGaussianMethod(covariates=("age", "sex"))
    if options.simulate:
        # What factor models choose at this width (benchmarks/factor_width.py).
        cohort = simulate_cohort(replace(SIMULATED, n_genes=options.simulate))
        joint = replace(
            joint, n_factors=(15, 30, 45), ridge=30.0, shrinkage=3000.0, gene_ridge=None
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
    products, targets = np.zeros((2, 2)), np.zeros(2)
    for tissues in zip(*predicted, strict=True):
        both = np.stack([tissue.predicted.ravel() for tissue in tissues]).astype(np.float64)
        products += both @ both.T / both.shape[1]
        targets += both @ tissues[0].observed.ravel() / both.shape[1]
    root = np.linalg.cholesky(products).T
    weights, _ = nnls(root, np.linalg.solve(root.T, targets))
    rho = np.array(
        [
            [
                np.nanmean(columnwise_correlation(values, tissues[0].observed))
                for values in (
                    *(tissue.predicted for tissue in tissues),
                    sum(w * tissue.predicted for w, tissue in zip(weights, tissues, strict=True)),
                )
            ]
            for tissues in zip(*predicted, strict=True)
        ]
    )
    gain = rho[:, 2] - rho[:, 0]
    print(f"rho: kernel factors {rho[:, 0].mean():.4f}, compact MTM {rho[:, 1].mean():.4f}")
    print(f"weights {weights.round(3)}; rho of the sum {rho[:, 2].mean():.4f}")
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    print(f"gain {gain.mean():.4f} (SE over {len(gain)} tissues {error:.4f})")


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
