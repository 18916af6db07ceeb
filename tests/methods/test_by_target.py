"""What all methods that learn tissue by tissue share: who is paired, and what may be asked."""

from __future__ import annotations

import anndata as ad
import joblib
import numpy as np
import pandas as pd
import pytest

from mtm_core.config import ModelConfig, ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import SelectionError
from mtm_core.methods.bgex import BGExMethod
from mtm_core.methods.by_target import FittedByTarget, TrainingPairs
from mtm_core.methods.controls import CovariatesAloneMethod
from mtm_core.methods.covariates import encode_covariates
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.reduced_rank import ReducedRankRidgeMethod
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.teebot import TEEBoTMethod

BLOOD = "Whole Blood"
BRIEFLY = NetworkTraining(epochs=5)
TINY = ModelConfig(
    n_genes=40, n_tissues=5, encoder_widths=(8,), n_latent=4, generator_widths=(8,)
)  # fmt: skip
METHODS: list[Method] = [
    RidgeMethod(),
    RidgeMethod(covariates=("age", "sex"), name="ridge-age-sex"),
    ReducedRankRidgeMethod(),
    BGExMethod(n_genes=4),
    TEEBoTMethod(n_components=4),
    MLPMethod(widths=(8,), training=BRIEFLY),
    SingleTaskMTMMethod(TINY, training=BRIEFLY),
    CovariatesAloneMethod(("age", "sex", "hardy"), "age-sex-hardy"),
]
by_name = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@pytest.fixture
def donors(small_cohort: ad.AnnData) -> list[str]:
    return sorted(set(small_cohort.obs["donor"]))[:40]


@pytest.fixture
def blood(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(6, 40)).astype(np.float32)


@pytest.fixture
def phenotypes(small_cohort: ad.AnnData) -> pd.DataFrame:
    return small_cohort.uns["donors"].iloc[:6]


def predictions(
    fitted: FittedByTarget, blood: np.ndarray, phenotypes: pd.DataFrame
) -> dict[str, np.ndarray]:
    return {
        target: fitted.predict({BLOOD: blood}, target, phenotypes).mean
        for target in fitted.tissues
        if target != BLOOD
    }


@by_name
def test_learns_from_the_given_donors_alone(
    small_cohort: ad.AnnData,
    donors: list[str],
    blood: np.ndarray,
    phenotypes: pd.DataFrame,
    method: Method,
) -> None:
    disturbed = small_cohort.copy()
    disturbed.X[~small_cohort.obs["donor"].isin(donors).to_numpy()] *= 100
    table = disturbed.uns["donors"]
    table.loc[~table.index.isin(donors), ["age", "hardy"]] = 1e3
    expected = predictions(method.fit(small_cohort, donors), blood, phenotypes)
    made = predictions(method.fit(disturbed, donors), blood, phenotypes)
    for target, mean in expected.items():
        assert mean.dtype == np.float32
        assert np.ptp(mean, axis=0).max() > 0
        np.testing.assert_array_equal(made[target], mean)


@by_name
def test_order_of_samples_and_donors_does_not_matter(
    small_cohort: ad.AnnData,
    donors: list[str],
    blood: np.ndarray,
    phenotypes: pd.DataFrame,
    method: Method,
) -> None:
    shuffled = small_cohort[np.random.default_rng(1).permutation(small_cohort.n_obs)].copy()
    shuffled.uns["donors"] = shuffled.uns["donors"].iloc[::-1]
    expected = predictions(method.fit(small_cohort, donors), blood, phenotypes)
    made = predictions(method.fit(shuffled, donors[::-1]), blood, phenotypes)
    for target, mean in expected.items():
        np.testing.assert_allclose(made[target], mean, atol=1e-4)


@by_name
def test_a_donor_s_prediction_depends_on_no_other_row(
    small_cohort: ad.AnnData,
    donors: list[str],
    blood: np.ndarray,
    phenotypes: pd.DataFrame,
    method: Method,
) -> None:
    fitted = method.fit(small_cohort, donors)
    together = fitted.predict({BLOOD: blood}, "Lung", phenotypes).mean
    for i in range(6):
        alone = fitted.predict({BLOOD: blood[i : i + 1]}, "Lung", phenotypes.iloc[i : i + 1]).mean
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)


def test_pairs_are_the_donors_with_both_tissues(
    small_cohort: ad.AnnData, donors: list[str]
) -> None:
    pairs = TrainingPairs.from_cohort(
        small_cohort, donors, source=BLOOD, scaling=ScalingConfig(), covariates=("sex",)
    )
    given = small_cohort.obs["donor"].isin(donors).to_numpy()
    codes, names = tissue_codes(small_cohort), tissue_names(small_cohort)
    scaler = TissueScaler.fit(small_cohort.X[given], codes[given], 5, ScalingConfig())
    z = scaler.transform(small_cohort.X, codes)
    obs = small_cohort.obs.reset_index(drop=True)
    row = {(d, t): i for i, d, t in obs[["donor", "tissue"]].itertuples()}
    sex = small_cohort.uns["donors"]["sex"].map({"female": -1, "male": 1})
    assert set(pairs.rows) == set(names) - {BLOOD}
    n_pairs = set()
    for target, (a, b) in pairs.rows.items():
        both = [d for d in donors if (d, BLOOD) in row and (d, target) in row]
        n_pairs.add(len(both))
        np.testing.assert_array_equal(pairs.inputs[a, :40], z[[row[d, BLOOD] for d in both]])
        np.testing.assert_array_equal(pairs.inputs[a, 40], sex[both])
        np.testing.assert_array_equal(pairs.z[b], z[[row[d, target] for d in both]])
    assert len(n_pairs) > 1
    assert len(pairs.inputs) == sum((d, BLOOD) in row for d in donors)


def test_without_a_source_all_donors_with_the_target_count(
    small_cohort: ad.AnnData, donors: list[str]
) -> None:
    pairs = TrainingPairs.from_cohort(
        small_cohort, donors, source=None, scaling=ScalingConfig(), covariates=("age", "hardy")
    )
    table = small_cohort.uns["donors"].loc[donors]
    np.testing.assert_allclose(
        pairs.inputs, encode_covariates(table, ("age", "hardy"), 40), rtol=1e-6
    )
    counts = small_cohort.obs[small_cohort.obs["donor"].isin(donors)]["tissue"].value_counts()
    assert {target: len(a) for target, (a, _) in pairs.rows.items()} == counts.to_dict()


def test_processes_give_what_one_process_gives(
    small_cohort: ad.AnnData, donors: list[str], blood: np.ndarray, phenotypes: pd.DataFrame
) -> None:
    method = TEEBoTMethod(n_components=4)
    expected = predictions(method.fit(small_cohort, donors), blood, phenotypes)
    with joblib.parallel_config("loky", n_jobs=2):
        made = predictions(method.fit(small_cohort, donors), blood, phenotypes)
    for target, mean in expected.items():
        np.testing.assert_array_equal(made[target], mean)


@pytest.mark.parametrize("sources", [["Lung"], [BLOOD, "Lung"], []])
def test_any_other_source_is_refused(
    small_cohort: ad.AnnData, donors: list[str], sources: list[str]
) -> None:
    z = np.zeros((2, 40), dtype=np.float32)
    fitted = RidgeMethod().fit(small_cohort, donors)
    with pytest.raises(SelectionError, match="this ridge predicts from 'Whole Blood' alone"):
        fitted.predict(dict.fromkeys(sources, z), "Liver")


def test_unknown_tissue_is_named_with_the_nearest(
    small_cohort: ad.AnnData, donors: list[str]
) -> None:
    z = np.zeros((2, 40), dtype=np.float32)
    with pytest.raises(SelectionError, match=r"'Livr' \(did you mean 'Liver'\?\)"):
        RidgeMethod().fit(small_cohort, donors).predict({BLOOD: z}, "Livr")
    with pytest.raises(SelectionError, match=r"'Blood' \(did you mean 'Whole Blood'\?\)"):
        RidgeMethod(source="Blood").fit(small_cohort, donors)


def test_a_target_that_no_donor_has_beside_blood_is_refused(
    small_cohort: ad.AnnData, donors: list[str]
) -> None:
    blood = small_cohort.obs["donor"][(small_cohort.obs["tissue"] == BLOOD).to_numpy()]
    liver = (small_cohort.obs["tissue"] == "Liver").to_numpy()
    remaining = ~(liver & small_cohort.obs["donor"].isin(blood).to_numpy())
    fitted = RidgeMethod().fit(small_cohort[remaining].copy(), donors)
    assert "Liver" in fitted.tissues
    with pytest.raises(SelectionError, match="had 'Whole Blood' and 'Liver'"):
        fitted.predict({BLOOD: np.zeros((2, 40), dtype=np.float32)}, "Liver")
