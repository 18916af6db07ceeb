"""Train the per-tissue network (S3, ``mlp``) for some targets of a cohort, beside ridge regression.

    python scripts/networks_at_width.py cohort.h5ad [--targets 8] [--precision bf16-mixed]

Of fold 0, from blood: targets evenly from the one that shares most training donors with blood to
the one that shares fewest. Printed are donors, processor seconds, and rho in the
held-out donors, mean over the genes that vary, of the network and of ridge. Only samples of blood
and of one target are scaled at a time, so that little more than the cohort is in memory.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.scaling import TissueScaler, scaled_samples
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.by_target import TargetModel, TrainingPairs
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, Perceptron, fit_network
from mtm_core.methods.protocol import Floats
from mtm_core.methods.ridge import fit_ridge
from mtm_core.statistics.correlation import columnwise_correlation


def main() -> None:
    """Train, score and print, target by target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="bf16-mixed")
    options = parser.parse_args()
    cohort = read_cohort(options.cohort)
    training = donor_folds(cohort.obs).training(0)
    obs = cohort.obs[cohort.obs["donor"].isin(set(training))]
    with_blood = obs["donor"].isin(obs.loc[obs["tissue"] == WHOLE_BLOOD, "donor"])
    shared = obs.loc[with_blood, "tissue"].value_counts().drop(WHOLE_BLOOD)
    chosen = np.linspace(0, len(shared) - 1, options.targets).round().astype(int)
    method = MLPMethod(WHOLE_BLOOD, training=NetworkTraining(precision=options.precision))
    widths = (cohort.n_vars, *method.widths, cohort.n_vars)
    train = partial(fit_network, Perceptron(widths, method.dropout), method.training)
    print("target", "trained", "held out", "s", "rho", "s, ridge", "rho, ridge", sep="\t")
    for target in shared.index[chosen]:
        own = cohort[cohort.obs["tissue"].isin([WHOLE_BLOOD, target])].to_memory()
        pairs = TrainingPairs.from_cohort(
            own, training, source=WHOLE_BLOOD, scaling=ScalingConfig()
        )
        a, b = pairs.rows[target]
        x, y = held_out_pairs(own, set(training), pairs.scaler, target)
        found: list[float] = [len(a), len(x)]
        for fit in (train, fit_ridge):
            began = time.process_time()
            model: TargetModel = fit(pairs.inputs[a], pairs.z[b])
            rho = np.nanmean(columnwise_correlation(model(x), y))
            found += [round(time.process_time() - began, 1), round(float(rho), 3)]
        print(target, *found, sep="\t", flush=True)


def held_out_pairs(
    cohort: ad.AnnData, training: set[str], scaler: TissueScaler, target: str
) -> tuple[Floats, Floats]:
    """Return z-scores of blood and of ``target`` of all other donors who have both."""
    rows = np.flatnonzero(~cohort.obs["donor"].isin(training))
    z = scaled_samples(cohort, rows, scaler)
    obs = cohort.obs.iloc[rows].reset_index(drop=True)
    at = [
        pd.Series(own.index, index=own["donor"].astype(str))
        for own in (obs[obs["tissue"] == name] for name in (WHOLE_BLOOD, target))
    ]
    both = at[0].index.intersection(at[1].index)
    return z[at[0][both].to_numpy()], z[at[1][both].to_numpy()]


if __name__ == "__main__":
    main()
