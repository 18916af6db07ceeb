"""Which of the paper's loss terms keep MTM from learning, and at what width of the panel.

    python scripts/loss_terms.py --genes 59 2000 --output loss_terms.csv

Simulated cohorts with a known truth, so that the same question can be asked at any number of genes.
Each row is MTM trained under one set of loss terms for the same number of steps, scored on held-out
donors: mean gene-wise rho from blood, and how much the codes still tell donors apart (spread: SD of
the codes over donors, mean over dimensions).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.config import LossConfig, RunConfig, preset
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.safe_output import check_output, writing

_ALONE = LossConfig(cycle=0, latent=0, adversarial=0)
TERMS = {
    "individual alone": _ALONE,
    "+ latent": replace(_ALONE, latent=1),
    "+ cycle": replace(_ALONE, cycle=1),
    "+ adversarial": replace(_ALONE, adversarial=1),
    "all six, weight 1 (the paper's)": LossConfig(),
    "all others at 0.1": LossConfig(cycle=0.1, latent=0.1, adversarial=0.1),
    "adversarial at 0.01 in the last half, others at 0.1": LossConfig(
        cycle=0.1, latent=0.1, adversarial=0.01, adversarial_warmup=1
    ),
}


class Remembering:
    """MTM that keeps its last fit, to look at its codes."""

    name = "mtm"

    def __init__(self, config: RunConfig) -> None:
        self.method = MTMMethod(config)
        self.last: FittedMTM | None = None

    def fit(self, cohort: ad.AnnData, donors: list[str]) -> FittedMTM:
        """Train on ``donors``."""
        self.last = self.method.fit(cohort, donors)
        return self.last


def config_of(n_genes: int, n_tissues: int, terms: LossConfig, epochs: int) -> RunConfig:
    """Return small networks under the paper's scaling of inputs, its distance and ``terms``."""
    base = preset("acmg59", n_genes, n_tissues)
    return replace(
        base,
        model=replace(base.model, encoder_input="log2"),
        loss=replace(
            terms, distance="l1", adversarial_warmup=terms.adversarial_warmup * epochs // 2
        ),
        training=replace(
            base.training, epochs=epochs, learning_rate=5e-4, learning_rate_decay=False
        ),
    )


def score(
    cohort: ad.AnnData, folds: DonorFolds, method: Remembering | JointGaussianMethod
) -> float:
    """Return the mean gene-wise rho of fold 0."""
    predictions = cross_validate(method, cohort, folds, only=[0])
    return accuracy(predictions).summary()["gene_rho_by_fold_mean"]


def spread_of_codes(fitted: FittedMTM, cohort: ad.AnnData) -> float:
    """Return the SD over donors of the blood codes, mean over dimensions."""
    rows = np.flatnonzero(cohort.obs["tissue"] == WHOLE_BLOOD)
    code = np.full(len(rows), fitted.tissues.index(WHOLE_BLOOD))
    z = fitted.scaler.transform(np.asarray(cohort.X[rows]), code)
    return float(fitted.codes({WHOLE_BLOOD: z}).std(axis=0).mean())


def main() -> None:
    """Train under every set of terms, at every width, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, nargs="+", default=[59, 2000])
    parser.add_argument("--donors", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path("loss_terms.csv"))
    arguments = parser.parse_args()
    check_output(arguments.output)
    rows: list[dict[str, object]] = []
    for n_genes in arguments.genes:
        cohort = simulate_cohort(
            SimulationConfig(n_donors=arguments.donors, n_tissues=8, n_genes=n_genes)
        )
        folds = donor_folds(cohort.obs)
        factors = score(cohort, folds, JointGaussianMethod(n_factors=(8,)))
        rows.append({"genes": n_genes, "terms": "joint Gaussian (no MTM)", "rho": factors})
        for name, terms in TERMS.items():
            method = Remembering(config_of(n_genes, 8, terms, arguments.epochs))
            rho = score(cohort, folds, method)
            assert method.last is not None
            spread = spread_of_codes(method.last, cohort)
            rows.append({"genes": n_genes, "terms": name, "rho": rho, "spread": spread})
            print(rows[-1], flush=True)
            with writing(arguments.output, overwrite=len(rows) > 1) as place:
                pd.DataFrame(rows).to_csv(place, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
