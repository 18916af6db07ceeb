"""Print how many discoveries of each test are false, on simulated cohorts whose truth is known.

    python scripts/prediction_error.py --repeats 12

A model (factor-stack) is learnt from 300 donors of three tissues. Cases of a new cohort differ in
the factors that blood shares with the tissues; half of a tissue's genes are silent: no factor
reaches them, so that they do not differ. Three tests of "which genes of the tissue differ", all by
moderated linear models at an FDR of 5 %: of the predictions alone; of the tissue, allowing for
prediction error; and, what nobody has, of the tissue measured in the same people. With
``blood only``, cases differ in genes of blood as well, in no tissue: there the model does not hold
in cases, which no test of predictions can know.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.simulate import DiseaseConfig, SimulationConfig, simulate_cohort
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.statistics.contrast_distance import squared_distances
from mtm_core.statistics.linear_models import contrast_tests, fit_linear_models
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.studies.own_cohort import OwnCohort

N_TRAIN = 300
FDR = 0.05
DISEASE = "MHT2D"


@dataclass(frozen=True)
class Setting:
    """A simulated study.

    Attributes
    ----------
    n
        Cases, and as many controls.
    shift
        Of the cases' factors, in SDs.
    blood_only
        Genes of blood that change by one log2 unit in cases, and in no tissue.
    """

    n: int
    shift: float
    blood_only: int = 0


SETTINGS = (
    *(Setting(n, shift) for shift in (0.0, 1.0, 3.0) for n in (20, 50, 200)),
    Setting(50, 1.0, 40),
    Setting(200, 1.0, 40),
)


def main() -> None:
    """Read the command line; print a row a setting and test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--genes", type=int, default=400)
    options = parser.parse_args()
    for setting in SETTINGS:
        found = pd.concat(_study(setting, options.genes, seed) for seed in range(options.repeats))
        means = found.groupby("test", sort=False).mean().round(3)
        print(f"\n{setting}, {len(found) // 3} tissues\n{means.to_string()}", flush=True)


def _study(setting: Setting, n_genes: int, seed: int) -> pd.DataFrame:
    n_donors = N_TRAIN + 2 * setting.n
    cohort = simulate_cohort(
        SimulationConfig(
            n_donors=n_donors,
            n_tissues=3,
            n_genes=n_genes,
            n_factors=10,
            factor_decay=1.0,
            shared_variance=0.5,
            private_variance=0.1,
            n_private=10,
            silent_share=0.5,
            trait_effect=0.0,
            presence=(1, 1),
            disease=DiseaseConfig(
                name=DISEASE,
                case_fraction=setting.n / n_donors,
                factor_shift=setting.shift,
                n_genes=setting.blood_only,
                tissues=(WHOLE_BLOOD,),
            ),
            seed=seed,
        )
    )
    donors = cohort.uns["donors"]
    is_case = donors[DISEASE].to_numpy(dtype=bool)
    others = donors.index[~is_case]
    study, train = [*donors.index[is_case], *others[: setting.n]], list(others[setting.n :])
    of_train = cohort[cohort.obs["donor"].isin(train)].copy()
    of_train.uns["donors"] = donors.loc[train]
    method = FactorStackMethod().fit(of_train, train)
    artefact = Artefact.of(method, of_train, name="simulated", provenance={})
    predictor = Predictor(artefact)

    def linear(tissue: str) -> pd.DataFrame:
        rows = cohort[(cohort.obs["tissue"] == tissue) & cohort.obs["donor"].isin(study)]
        return pd.DataFrame(rows.X, rows.obs["donor"].astype(str), rows.var_names).loc[study]

    blood = linear(WHOLE_BLOOD)
    prepared = predictor.prepare(blood, unit="tpm")
    own = OwnCohort.of(predictor.predict_prepared(prepared), prepared, artefact, blood)
    design = np.column_stack([np.ones(2 * setting.n), np.repeat([1, 0], setting.n)])
    rows = []
    for tissue in own.predicted_tissues:
        truth = cohort.uns["truth"]["effects"]["case"][tissue_names(cohort).index(tissue)]
        values, error = own.log2(tissue), own.error(tissue)
        fit = fit_linear_models(values, design)
        leverage = squared_distances(values, design, [0, 1]) / N_TRAIN
        measured = fit_linear_models(np.log2(1 + linear(tissue).to_numpy()), design)
        for name, test in (
            ("prediction", contrast_tests(fit, [0, 1])),
            ("tissue", contrast_tests(fit, [0, 1], error=error, leverage=leverage)),
            ("measured", contrast_tests(measured, [0, 1])),
        ):
            called = benjamini_hochberg(test.p) <= FDR
            false = called & (truth == 0)
            rows.append(
                {
                    "test": name,
                    "found": called.sum(),
                    "false_share": false.sum() / max(called.sum(), 1),
                    "power": (called & ~false).sum() / max((truth != 0).sum(), 1),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
