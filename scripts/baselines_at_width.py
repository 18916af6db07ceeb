"""Time the methods that the paper compares with at full width: processor seconds of single targets.

    python scripts/baselines_at_width.py [--genes 19291] [--methods bgex,teebot] [--targets 4]

Of a simulated cohort of GTEx's shape, fold 0: some targets, evenly from the one that shares fewest
donors with blood to the one that shares most, and from them what all 48 cost.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import numpy as np
from compact_mtm import SIMULATED
from sklearn.decomposition import PCA

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.simulate import simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.bgex import BGExMethod
from mtm_core.methods.by_target import TargetModel, TrainingPairs
from mtm_core.methods.protocol import Floats
from mtm_core.methods.ridge import fit_ridge
from mtm_core.methods.teebot import TEEBoTMethod

N_TARGETS = 48


def main() -> None:
    """Simulate, fit some targets by each method, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=19_291)
    parser.add_argument("--methods", default="ridge,bgex,teebot")
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--tissues", type=int, default=49, help="fewer need less memory")
    options = parser.parse_args()
    cohort = simulate_cohort(replace(SIMULATED, n_genes=options.genes, n_tissues=options.tissues))
    donors = donor_folds(cohort.obs).training(0)
    pairs = TrainingPairs.from_cohort(cohort, donors, source=WHOLE_BLOOD, scaling=ScalingConfig())
    del cohort
    teebot, bgex = TEEBoTMethod(), BGExMethod()
    began = time.process_time()
    pca = PCA(teebot.n_components, svd_solver="full").fit(pairs.inputs.astype(np.float64))
    print(f"components of blood: {time.process_time() - began:.0f} s")

    def fit_teebot(inputs: Floats, z: Floats) -> TargetModel:
        return teebot.fit_target(pca, inputs, z)

    fits = {"ridge": fit_ridge, "bgex": bgex.fit_target, "teebot": fit_teebot}
    by_size = sorted(pairs.rows, key=lambda name: len(pairs.rows[name][0]))
    chosen = [
        by_size[i] for i in np.linspace(0, len(by_size) - 1, options.targets).round().astype(int)
    ]
    for method in options.methods.split(","):
        seconds = []
        for name in chosen:
            a, b = pairs.rows[name]
            began = time.process_time()
            fits[method](pairs.inputs[a], pairs.z[b])
            seconds.append(time.process_time() - began)
            print(f"  {method}: {name}, {len(a)} donors: {seconds[-1]:.1f} s", flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        total = np.mean(seconds) * N_TARGETS
        print(f"{method}: {total:.0f} s of a processor for {N_TARGETS} targets, peak {peak:.1f} GB")


if __name__ == "__main__":
    main()
