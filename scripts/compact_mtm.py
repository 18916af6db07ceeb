"""MTM on the leading components of expression in place of its genes, beside kernel factors.

    python scripts/compact_mtm.py COHORT --components 30
    python scripts/compact_mtm.py --simulate 2000 --components 200

The training donors of fold 0 are dealt into three. Kernel factors and MTM learn from two of the
thirds and predict the other from whole blood. Printed are the gene-wise rho of each alone, the
weights that least squares gives them over all tissues, and the rho of the weighted sum, with the
gain and its standard error over tissues. The weights are of the donors they are tried on: what does
not gain here gains nowhere.

Components are of the training samples of all tissues together (``pooled``), or of each tissue and
turned towards these (``by-tissue``), so that a unit means the same genes in every tissue.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd
from inner_folds import training_part
from numpy.typing import NDArray
from scipy.optimize import nnls

from mtm_core.config import RunConfig, ScalingConfig, preset
from mtm_core.data.cohort import read_cohort, tissue_codes, tissue_names
from mtm_core.data.gtex import WHOLE_BLOOD
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.splits import rows_of
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.protocol import Floats, PredictedProfiles
from mtm_core.statistics.correlation import columnwise_correlation

Kind = Literal["pooled", "by-tissue"]
BOUND = 3.0
LEAST_PAIRS = 10


@dataclass(frozen=True)
class FittedCompactMTM:
    """Bases (T, G, R) of the tissues, and MTM between the scores on them."""

    mtm: FittedMTM
    scaler: TissueScaler
    bases: Floats
    unit: float
    name: str = "compact-mtm"
    covariates: tuple[()] = ()

    @property
    def tissues(self) -> tuple[str, ...]:
        """Those of MTM."""
        return self.mtm.tissues

    def predict(
        self, profiles: Mapping[str, Floats], target: str, phenotypes: pd.DataFrame | None = None
    ) -> PredictedProfiles:
        """Predict the target's scores from the sources', and its genes from these."""
        scores = {}
        for name, z in profiles.items():
            s = self.tissues.index(name)
            scores[name] = _scores(z, self.bases[s], self.unit) - self.mtm.scaler.mean[s]
        t = self.tissues.index(target)
        found = self.mtm.predict(scores, target).mean + self.mtm.scaler.mean[t]
        return PredictedProfiles((found * self.unit) @ self.bases[t].T)


@dataclass(frozen=True)
class CompactMTMMethod:
    """Components of the training donors, then MTM on a cohort of their scores."""

    config: RunConfig
    kind: Kind = "pooled"
    name: str = "compact-mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedCompactMTM:
        """Fit components and MTM on ``donors``."""
        rank, tissues = self.config.model.n_genes, tissue_names(cohort)
        rows, codes = rows_of(cohort.obs["donor"], donors), tissue_codes(cohort)
        scaler = TissueScaler.fit(
            cohort.X, codes[rows], len(tissues), ScalingConfig("log2"), rows=rows
        )
        z = scaler.transform(np.asarray(cohort.X[rows]), codes[rows])
        bases = _bases(BOUND * np.tanh(z / BOUND), codes[rows], len(tissues), rank, self.kind)
        scores = np.empty((len(rows), rank), dtype=np.float32)
        for t in range(len(tissues)):
            own = codes[rows] == t
            scores[own] = _scores(z[own], bases[t], 1.0)
        unit = float(np.sqrt((scores**2).mean()))
        # A cohort of scores: on this scale the rule keeps every SD at 1, so that a component
        # weighs in the loss as it does among the genes.
        compact = ad.AnnData(
            X=scores / np.float32(unit), obs=cohort.obs.iloc[rows].copy(), uns=dict(cohort.uns)
        )
        config = replace(self.config, scaling=ScalingConfig("linear", low_expression_rule=True))
        return FittedCompactMTM(MTMMethod(config).fit(compact, donors), scaler, bases, unit)


def _scores(z: Floats, basis: Floats, unit: float) -> Floats:
    scores: Floats = (BOUND * np.tanh(z / BOUND)) @ basis / np.float32(unit)
    return scores


def _bases(z: Floats, codes: NDArray[np.int64], n_tissues: int, rank: int, kind: Kind) -> Floats:
    """Give orthonormal bases (T, G, R)."""
    pooled = _leading(z, rank)
    if kind == "pooled":
        return np.broadcast_to(pooled, (n_tissues, *pooled.shape))
    bases = np.zeros((n_tissues, *pooled.shape), dtype=np.float32)
    for t in range(n_tissues):
        own = z[codes == t]
        basis = _leading(own, min(rank, len(own) - 1))
        left, _, right = np.linalg.svd(basis.T @ pooled, full_matrices=False)
        bases[t] = basis @ (left @ right)
    return bases


def _leading(z: Floats, rank: int) -> Floats:
    """Give leading right singular vectors (G, R): Halko et al. 2011, SIAM Review 53:217-288."""
    if min(z.shape) <= rank + 20:
        return np.linalg.svd(z, full_matrices=False)[2][:rank].T
    q = np.random.default_rng(0).standard_normal((z.shape[1], rank + 20)).astype(np.float32)
    for _ in range(3):
        q, _ = np.linalg.qr(z.T @ (z @ q))
    _, _, right = np.linalg.svd(z @ q, full_matrices=False)
    leading: Floats = (q @ right.T)[:, :rank]
    return leading


def main() -> None:
    """Fit both on inner donors and print how they do, alone and together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, nargs="?")
    parser.add_argument("--simulate", type=int, help="genes of a simulated cohort")
    parser.add_argument("--components", type=int, default=200)
    parser.add_argument("--kind", choices=("pooled", "by-tissue"), default="pooled")
    parser.add_argument("--epochs", type=int, default=7)
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
    base = preset("acmg59", options.components, len(tissue_names(part)))
    config = replace(base, training=replace(base.training, epochs=options.epochs))
    scorer = fit_scorer(part, training)
    predicted = []
    for method in (KernelFactorsMethod(joint), CompactMTMMethod(config, options.kind)):
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
