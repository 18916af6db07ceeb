"""Latent codes and decoding paths, against a loop over pairs and the model's own decoding."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import anndata as ad
import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from mtm_core.artefact import Artefact
from mtm_core.config import preset
from mtm_core.errors import CohortError, SelectionError
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import OnComponentsMethod
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.stack import FittedStack
from mtm_core.studies.latent import LatentModel, LatentStudy, decoding_paths, find_mtm, study_latent
from mtm_core.studies.predictable_genes import tissue_similarity


@pytest.fixture(scope="module")
def fitted(small_artefact: Artefact) -> LatentModel:
    return find_mtm(small_artefact.method)


@pytest.fixture(scope="module")
def study(fitted: LatentModel, small_cohort: ad.AnnData) -> LatentStudy:
    return study_latent(fitted, small_cohort, n_codes=7)


def codes_of(fitted: LatentModel, cohort: ad.AnnData, tissue: str) -> dict[str, np.ndarray]:
    own = cohort[cohort.obs["tissue"] == tissue]
    code = fitted.tissues.index(tissue)
    z = fitted.scaler.transform(np.asarray(own.X), np.full(own.n_obs, code))
    return dict(zip(own.obs["donor"], fitted.codes({tissue: z}), strict=True))


def test_same_donor_correlation_is_that_of_each_pair(
    fitted: LatentModel, study: LatentStudy, small_cohort: ad.AnnData
) -> None:
    liver, lung = (codes_of(fitted, small_cohort, name) for name in ("Liver", "Lung"))
    shared = sorted(set(liver) & set(lung))
    rho = [pearsonr(liver[d].astype(float), lung[d].astype(float)).statistic for d in shared]
    row = study.pairs.query("tissue == 'Liver' and other_tissue == 'Lung'").iloc[0]
    assert row["n"] == len(shared)
    assert row["same_donor"] == pytest.approx(np.mean(rho), abs=1e-5)
    everyone = [
        pearsonr(liver[a].astype(float), lung[b].astype(float)).statistic
        for a in shared
        for b in shared
        if a != b
    ]
    # One other donor each, never oneself: over several draws, the mean of all such pairs.
    drawn = [
        study_latent(fitted, small_cohort, n_codes=1, seed=seed)
        .pairs.query("tissue == 'Liver' and other_tissue == 'Lung'")["other_donor"]
        .item()
        for seed in range(8)
    ]
    assert np.mean(drawn) == pytest.approx(np.mean(everyone), abs=0.08)
    assert np.mean(rho) > np.mean(everyone) + 0.1
    assert len(study.pairs) == len(list(combinations(fitted.tissues, 2)))


def test_donors_are_known_again_in_their_codes(study: LatentStudy) -> None:
    assert study.codes["same_donor"] > study.codes["other_donor"] + 0.1
    assert study.codes["auc"] > 0.6
    assert study.codes["donor_p"] < 1e-4
    assert study.codes["share_higher"] > 0.8
    assert study.codes["n_pairs"] == study.pairs["n"].sum()
    weights = study.pairs["n"] / study.pairs["n"].sum()
    assert study.codes["same_donor"] == pytest.approx((weights * study.pairs["same_donor"]).sum())


def test_matched_donors_are_of_one_sex_and_death(
    fitted: LatentModel, small_cohort: ad.AnnData
) -> None:
    """Where profiles tell nothing but sex, another donor of that sex is as near as oneself."""
    cohort = small_cohort.copy()
    donors = cohort.uns["donors"]
    donors["hardy"] = 0.0
    men = (donors["sex"] == "male").loc[cohort.obs["donor"]].to_numpy()
    for tissue in fitted.tissues:
        rows = np.flatnonzero(cohort.obs["tissue"] == tissue)
        for of_sex in (men, ~men):
            own = rows[of_sex[rows]]
            cohort.X[own] = cohort.X[own[0]]
    found = study_latent(fitted, cohort, n_codes=2).codes
    assert found["matched_donor"] == pytest.approx(found["same_donor"], abs=1e-6)
    assert found["matched_auc"] == pytest.approx(0.5, abs=0.05)
    assert found["other_donor"] < found["same_donor"] - 0.02
    alone = small_cohort.copy()
    alone.uns["donors"]["hardy"] = np.arange(60.0)
    nobody = study_latent(fitted, alone, n_codes=2).codes
    assert np.isnan([nobody["matched_donor"], nobody["matched_auc"], nobody["donor_p"]]).all()
    assert nobody["auc"] > 0.6


def test_strangers_dealt_as_one_donor_are_not(
    fitted: LatentModel, small_cohort: ad.AnnData, rng: np.random.Generator
) -> None:
    """Within each tissue, profiles are dealt to other donors: nothing is left to know again."""
    cohort, found = small_cohort.copy(), []
    for _ in range(10):  # one deal leaves donors more or less alike by chance
        for tissue in fitted.tissues:
            rows = np.flatnonzero(cohort.obs["tissue"] == tissue)
            cohort.X[rows] = cohort.X[rng.permutation(rows)]
        found.append(study_latent(fitted, cohort, n_codes=2).codes)
    assert np.mean([codes["auc"] for codes in found]) == pytest.approx(0.5, abs=0.03)
    assert np.median([codes["donor_p"] for codes in found]) > 0.05


def test_only_the_donors_chosen_are_looked_at(
    fitted: LatentModel, small_cohort: ad.AnnData
) -> None:
    donors = sorted(set(small_cohort.obs["donor"]))[:30]
    part = small_cohort[small_cohort.obs["donor"].isin(donors)].copy()
    chosen = study_latent(fitted, small_cohort, donors, n_codes=2)
    alone = study_latent(fitted, part, n_codes=2)
    assert chosen.codes == alone.codes
    assert chosen.codes["n_donors"] <= 30


def test_paths_end_in_the_model_s_own_prediction(
    fitted: LatentModel, small_cohort: ad.AnnData
) -> None:
    blood = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:3]
    code = fitted.tissues.index("Whole Blood")
    z = fitted.scaler.transform(np.asarray(blood.X), np.full(3, code))
    paths = decoding_paths(fitted, fitted.codes({"Whole Blood": z}))
    assert list(paths) == ["layer 1", "layer 2", "output"]
    assert [path.shape for path in paths.values()] == [(5, 3, 16), (5, 3, 32), (5, 3, 40)]
    for t, tissue in enumerate(fitted.tissues):
        expected = fitted.mtm.predict({"Whole Blood": z}, tissue).mean
        np.testing.assert_allclose(paths["output"][t], expected, atol=1e-5)


def test_compact_mtm_is_studied_by_its_genes(small_cohort: ad.AnnData) -> None:
    config = preset("acmg59", small_cohort.n_vars, 5)
    config = replace(config, training=replace(config.training, epochs=1))
    donors = sorted(set(small_cohort.obs["donor"]))
    method = OnComponentsMethod(MTMMethod(config), 6).fit(small_cohort, donors)
    weights, spread = np.ones((5, 1)), np.ones((5, 40))
    stack = FittedStack((method,), weights, spread, np.ones((5, 4)), "Whole Blood")
    fitted = find_mtm(stack)
    z = fitted.scaler.transform(
        np.asarray(small_cohort[small_cohort.obs["tissue"] == "Liver"].X[:12]),
        np.full(12, fitted.tissues.index("Liver")),
    )
    given = z.copy()
    paths = decoding_paths(fitted, fitted.codes({"Liver": given}))
    np.testing.assert_array_equal(given, z)
    for t, tissue in enumerate(fitted.tissues):
        expected = method.predict({"Liver": z}, tissue).mean
        np.testing.assert_allclose(paths["output"][t], expected, atol=1e-5)
    study = study_latent(fitted, small_cohort, n_codes=7)
    assert study.layers["n_units"].iloc[-1] == 40
    code = np.stack(list(codes_of(fitted, small_cohort, "Whole Blood").values())[:7])
    output = decoding_paths(fitted, code)["output"]
    similarity = np.mean([np.corrcoef(output[:, i]) for i in range(7)], axis=0)
    upper = np.triu_indices(5, 1)
    expected = spearmanr(similarity[upper], tissue_similarity(small_cohort)[upper]).statistic
    assert study.layers["spearman"].iloc[-1] == pytest.approx(expected, abs=1e-9)


def test_layers_are_held_against_the_similarity_of_tissues(
    fitted: LatentModel, study: LatentStudy, small_cohort: ad.AnnData
) -> None:
    code = np.stack(list(codes_of(fitted, small_cohort, "Whole Blood").values())[:7])
    path = decoding_paths(fitted, code)["layer 2"]
    similarity = np.mean([np.corrcoef(path[:, i]) for i in range(7)], axis=0)
    upper = np.triu_indices(5, 1)
    expected = spearmanr(similarity[upper], tissue_similarity(small_cohort)[upper]).statistic
    row = study.layers.set_index("layer").loc["layer 2"]
    assert row["spearman"] == pytest.approx(expected, abs=1e-9)
    assert (row["n_units"], row["n_codes"], row["n_tissues"]) == (32, 7, 5)


def test_mtm_is_found_in_a_stack_and_missed_elsewhere(
    fitted: LatentModel, small_cohort: ad.AnnData
) -> None:
    ridge = RidgeMethod("Whole Blood").fit(small_cohort, sorted(set(small_cohort.obs["donor"])))
    weights = np.ones((5, 2))
    stack = FittedStack(
        (ridge, fitted.mtm), weights, np.ones((5, 40)), np.ones((5, 4)), "Whole Blood"
    )
    assert find_mtm(stack) == fitted
    with pytest.raises(SelectionError, match="ridge has no latent codes"):
        find_mtm(ridge)


def test_a_foreign_cohort_and_too_few_donors_are_refused(
    fitted: LatentModel, small_cohort: ad.AnnData
) -> None:
    with pytest.raises(CohortError, match="5 and 5 tissues, 40 and 39 genes"):
        study_latent(fitted, small_cohort[:, :39].copy())
    donors = sorted(set(small_cohort.obs["donor"]))[:9]
    with pytest.raises(CohortError, match="no two tissues share 10 of the donors"):
        study_latent(fitted, small_cohort, donors)
    liver = LatentModel(replace(fitted.mtm, tissues=("A", "B", "C", "D", "E")))
    with pytest.raises(CohortError, match="or their names"):
        study_latent(liver, small_cohort)
