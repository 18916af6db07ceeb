"""MTM under single changes of the bundled setting, alone and beside kernel factors.

    python scripts/mtm_levers.py COHORT --output mtm_levers.csv

The training donors of fold 0 are dealt into three. MTM learns from two of the thirds and predicts
the other from whole blood: mean gene-wise rho of it alone, and of .3 of it with .7 of kernel
factors, which is about how the stack weighs them. About two minutes a change on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import anndata as ad
import numpy as np
import pandas as pd
import torch
import xarray as xr
from inner_folds import training_part
from torch import Tensor

from mtm_core.config import ModelConfig, RunConfig, preset, with_changes
from mtm_core.data.cohort.cohort import read_cohort, tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.protocol import FittedMethod, Floats, Method, PredictedProfiles
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.model.mtm import MTM
from mtm_core.safe_output import check_output, writing
from mtm_core.training import run

SETTINGS: dict[str, dict[str, str]] = {
    "bundled": {},
    "likelihood": {"loss.distance": "nll", "model.variance": "true"},
    "Huber": {"loss.distance": "huber"},
    "L1": {"loss.distance": "l1"},
    "no averaged weights": {"training.ema_decay": "0"},
    "donors of n tissues drawn in proportion to n": {"training.pair_weighting": "donors"},
    "latent term at 0.1": {"loss.latent": "0.1"},
    "adversarial term at 0.01": {"loss.adversarial": "0.01"},
}
RANKS = (5, 15)


class LowRankMTM(MTM):
    """Writes the coefficients of each tissue's leading components, not its genes.

    Under a squared error that is the same as a projection of what the generator writes.
    """

    def __init__(self, config: ModelConfig, scaler: TissueScaler, projections: Tensor) -> None:
        super().__init__(config, scaler)
        self.register_buffer("projections", projections, persistent=False)

    def decode(self, code: Tensor, tissue: Tensor) -> Tensor:
        """Decode and project."""
        z = super().decode(code, tissue)
        return torch.einsum("bg,bgh->bh", z, self.projections[tissue])


@dataclass(frozen=True)
class LowRankMethod:
    """MTM on the leading ``rank`` principal components of each tissue's training samples."""

    config: RunConfig
    rank: int
    name: str = "mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMTM:
        """Train on ``donors``."""
        rows = rows_of(cohort.obs["donor"], donors)
        codes, n_tissues = tissue_codes(cohort)[rows], len(tissue_names(cohort))
        expression = np.asarray(cohort.X[rows])
        scaler = TissueScaler.fit(expression, codes, n_tissues, self.config.scaling)
        z = scaler.transform(expression, codes)
        leading = [
            np.linalg.svd(z[codes == t], full_matrices=False)[2][: self.rank]
            for t in range(n_tissues)
        ]
        projections = torch.from_numpy(np.stack([v.T @ v for v in leading]))
        with patch.object(run, "MTM", partial(LowRankMTM, projections=projections)):
            return MTMMethod(self.config).fit(cohort, donors)


@dataclass(frozen=True)
class FittedOnRidge:
    """Ridge, and what MTM adds to it."""

    ridge: FittedMethod
    mtm: FittedMTM
    name: str = "mtm on ridge"
    covariates: tuple[()] = ()

    @property
    def scaler(self) -> TissueScaler:
        """That of ridge."""
        return self.ridge.scaler

    def predict(
        self, profiles: Mapping[str, Floats], target: str, phenotypes: pd.DataFrame | None = None
    ) -> PredictedProfiles:
        """Predict from blood."""
        first = self.ridge.predict(profiles, target).mean
        t, own, more = self.mtm.tissues.index(target), self.mtm.scaler, self.mtm.predict
        rest = more(profiles, target).mean * own.sd[t] + own.mean[t] - self.scaler.mean[t]
        return PredictedProfiles(np.asarray(first + rest / self.scaler.sd[t], dtype=np.float32))


@dataclass(frozen=True)
class OnRidgeMethod:
    """MTM on what ridge leaves of every tissue of the donors who have blood."""

    config: RunConfig
    name: str = "mtm on ridge"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedOnRidge:
        """Fit ridge, take its predictions off the tissues, train MTM on the rest."""
        ridge, names = RidgeMethod().fit(cohort, donors), tissue_names(cohort)
        codes = tissue_codes(cohort)
        z = ridge.scaler.transform(np.asarray(cohort.X), codes)
        donor = cohort.obs["donor"].to_numpy()
        blood = pd.Series(np.flatnonzero(codes == names.index(WHOLE_BLOOD)))
        blood.index = pd.Index(donor[blood])
        for t, name in enumerate(names):
            rows = np.flatnonzero((codes == t) & np.isin(donor, blood.index))
            if name != WHOLE_BLOOD and name in ridge.models and len(rows):
                given = z[blood[donor[rows]].to_numpy()]
                z[rows] -= ridge.predict({WHOLE_BLOOD: given}, name).mean
        rest = cohort.copy()
        # Not the scaler's own inverse, which cuts off at 0: what is left may be below.
        rest.X = np.exp2(z * ridge.scaler.sd[codes] + ridge.scaler.mean[codes]) - 1
        return FittedOnRidge(ridge, MTMMethod(self.config).fit(rest, donors))


def main() -> None:
    """Train under every change and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--changes", nargs="+", help="only these, by name")
    parser.add_argument("--output", type=Path, default=Path("mtm_levers.csv"))
    arguments = parser.parse_args()
    check_output(arguments.output)
    cohort = read_cohort(arguments.cohort)
    own, inner = training_part(cohort, 0)

    def predict(method: Method) -> xr.Dataset:
        return cross_validate(method, own, inner, only=[0], with_phenotypes=False)

    def rho(predictions: xr.Dataset) -> float:
        return accuracy(predictions).summary()["gene_rho_by_fold_mean"]

    base = preset("acmg59", cohort.n_vars, len(tissue_names(cohort)))
    methods: dict[str, Method] = {
        name: MTMMethod(with_changes(base, changes)) for name, changes in SETTINGS.items()
    }
    methods |= {f"{rank} components a tissue": LowRankMethod(base, rank) for rank in RANKS}
    methods |= {"on what ridge leaves": OnRidgeMethod(base), "ridge": RidgeMethod()}
    chosen = arguments.changes or list(methods)
    if unknown := set(chosen) - set(methods):
        parser.error(f"no such change: {', '.join(unknown)}; there are {', '.join(methods)}")
    kernel = predict(KernelFactorsMethod())
    rows: list[dict[str, object]] = [{"change": "no MTM: kernel factors", "alone": rho(kernel)}]
    for name in chosen:
        predictions = predict(methods[name])
        beside = kernel.assign(predicted=0.7 * kernel["predicted"] + 0.3 * predictions["predicted"])
        rows.append({"change": name, "alone": rho(predictions), "beside": rho(beside)})
        print(rows[-1], flush=True)
        with writing(arguments.output, overwrite=len(rows) > 1) as place:
            pd.DataFrame(rows).to_csv(place, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
