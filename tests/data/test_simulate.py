from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from mtm_core.data.cohort.cohort import (
    is_simulated,
    read_cohort,
    tissue_codes,
    tissue_names,
    write_cohort,
)
from mtm_core.data.cohort.simulate import DiseaseConfig, SimulationConfig, simulate_cohort
from mtm_core.data.gtex.annotations import WHOLE_BLOOD, tissue_table
from mtm_core.errors import SelectionError


def log2_of(cohort: ad.AnnData, tissue: str) -> pd.DataFrame:
    """log2(1 + TPM) by donor."""
    part = cohort[cohort.obs["tissue"] == tissue]
    return pd.DataFrame(np.log2(1 + part.X), index=part.obs["donor"], columns=part.var_names)


def error_against_mean(cohort: ad.AnnData) -> float:
    """Squared error of ridge from blood over that of the training mean, on held-out donors."""
    blood, held_out = log2_of(cohort, WHOLE_BLOOD), set(cohort.uns["donors"].index[::4])
    errors, errors_of_mean = [], []
    for tissue in tissue_names(cohort):
        if tissue == WHOLE_BLOOD:
            continue
        target = log2_of(cohort, tissue)
        both = target.index.intersection(blood.index)
        train, test = ([d for d in both if (d in held_out) is side] for side in (False, True))
        model = Ridge(alpha=50.0).fit(blood.loc[train], target.loc[train])
        errors.append((model.predict(blood.loc[test]) - target.loc[test]) ** 2)
        errors_of_mean.append((target.loc[train].mean() - target.loc[test]) ** 2)
    return float(pd.concat(errors).mean(axis=None) / pd.concat(errors_of_mean).mean(axis=None))


def test_cohort_has_the_layout_of_a_real_one(small_cohort: ad.AnnData) -> None:
    obs = small_cohort.obs
    assert small_cohort.X.dtype == np.float32
    assert small_cohort.X.min() >= 0
    assert np.isfinite(small_cohort.X).all()
    assert not obs.duplicated().any()
    assert obs["donor"].value_counts().min() >= 2
    assert tissue_names(small_cohort) == tuple(sorted(tissue_names(small_cohort)))
    assert set(tissue_names(small_cohort)) <= set(tissue_table().index)
    assert list(small_cohort.var) == ["symbol", "entrez", "gene_type"]
    assert list(small_cohort.uns["donors"]) == ["sex", "age", "age_band", "hardy"]
    assert set(small_cohort.uns["mtm"]) == {"unit", "normalise", "sha256"}
    assert is_simulated(small_cohort)


def test_seed_draws_and_the_same_seed_draws_the_same() -> None:
    first, again, other = (simulate_cohort(SimulationConfig(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.X, again.X)
    assert first.uns["mtm"]["sha256"] == again.uns["mtm"]["sha256"]
    assert first.uns["mtm"]["sha256"] != other.uns["mtm"]["sha256"]


def test_expression_is_what_the_truth_says_when_there_is_no_noise() -> None:
    config = SimulationConfig(shared_variance=1.0, disease=DiseaseConfig())
    cohort = simulate_cohort(config)
    truth, donors = cohort.uns["truth"], cohort.uns["donors"]
    row_of = {donor: row for row, donor in enumerate(donors.index)}
    for i in range(0, cohort.n_obs, 7):
        donor, t = cohort.obs["donor"].iloc[i], tissue_codes(cohort)[i]
        who = donors.loc[donor]
        y = truth["mean"][t] + truth["factors"][row_of[donor]] @ truth["loadings"][t]
        y = y + truth["effects"]["male"][t] * (who["sex"] == "male")
        y = y + truth["effects"]["decade"][t] * (who["age"] - 50) / 10
        y = y + truth["effects"]["ventilator"][t] * (who["hardy"] == 0)
        y = y + truth["effects"]["case"][t] * bool(who["MHT2D"])
        expected = np.log2(1 + np.maximum(2**y - 1, 0))
        np.testing.assert_allclose(np.log2(1 + cohort.X[i]), expected, atol=1e-4)
    assert (truth["noise_sd"] == 0).all()


@pytest.mark.parametrize("shared", [0.2, 0.8])
def test_factors_have_their_share_of_the_variance(shared: float) -> None:
    truth = simulate_cohort(SimulationConfig(shared_variance=shared)).uns["truth"]
    by_factors = (truth["loadings"] ** 2).sum(axis=1)
    np.testing.assert_allclose(
        by_factors / (by_factors + truth["noise_sd"] ** 2), shared, rtol=1e-5
    )


def test_common_part_of_the_loadings_is_common() -> None:
    def likeness(common: float) -> float:
        truth = simulate_cohort(SimulationConfig(common_loading=common, n_genes=200)).uns["truth"]
        flat = truth["loadings"].reshape(len(truth["loadings"]), -1)
        return float(np.corrcoef(flat)[np.triu_indices(len(flat), 1)].mean())

    assert abs(likeness(0.0)) < 0.1
    assert 0.3 < likeness(0.5) < 0.7
    assert likeness(1.0) > 0.9


def test_tissues_differ(small_cohort: ad.AnnData) -> None:
    means = np.stack([log2_of(small_cohort, name).mean() for name in tissue_names(small_cohort)])
    within = np.mean([log2_of(small_cohort, name).std() for name in tissue_names(small_cohort)])
    gap = np.abs(means[:, None] - means[None]).mean(axis=2)[np.triu_indices(len(means), 1)]
    assert gap.min() > within


@pytest.mark.parametrize("seed", range(3))
def test_blood_predicts_the_other_tissues(seed: int) -> None:
    assert error_against_mean(simulate_cohort(SimulationConfig(seed=seed))) < 0.8


@pytest.mark.parametrize("seed", range(3))
def test_blood_predicts_nothing_where_nothing_is_shared(seed: int) -> None:
    config = SimulationConfig(shared_variance=0, trait_effect=0, seed=seed)
    assert error_against_mean(simulate_cohort(config)) > 1


def test_tissue_frequencies_are_uneven_and_blood_is_commonest() -> None:
    cohort = simulate_cohort(SimulationConfig(n_donors=300, n_tissues=8, presence=(0.9, 0.2)))
    share = cohort.obs["tissue"].value_counts() / 300
    assert share.idxmax() == WHOLE_BLOOD
    assert share[WHOLE_BLOOD] == pytest.approx(0.9, abs=0.06)
    assert share.min() == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize("n_tissues", [2, 13, 54])
def test_any_number_of_tissues_has_blood(n_tissues: int) -> None:
    names = tissue_names(simulate_cohort(SimulationConfig(n_donors=5, n_tissues=n_tissues)))
    assert len(names) == n_tissues
    assert WHOLE_BLOOD in names


def test_disease_changes_its_tissues_by_its_fold_change() -> None:
    disease = DiseaseConfig("MHCOPD", 0.3, (WHOLE_BLOOD, "Lung"), n_genes=6, log2_fold_change=2.0)
    # Highly expressed, so that log2(1 + TPM) is log2 TPM; factors and traits off.
    config = SimulationConfig(
        n_donors=400, shared_variance=0, gene_sd=0.3, trait_effect=0, disease=disease
    )
    cohort = simulate_cohort(config)
    case = cohort.uns["donors"]["MHCOPD"]
    assert case.sum() == 120
    effect = cohort.uns["truth"]["effects"]["case"]
    for t, tissue in enumerate(tissue_names(cohort)):
        y = log2_of(cohort, tissue)
        is_case = case.loc[y.index].to_numpy(dtype=bool)
        change = y[is_case].mean() - y[~is_case].mean()
        off_floor = cohort.uns["truth"]["mean"][t] > 4
        np.testing.assert_allclose(change[off_floor], effect[t][off_floor], atol=0.25)
        assert np.count_nonzero(effect[t]) == (6 if tissue in (WHOLE_BLOOD, "Lung") else 0)
    assert sorted(effect[effect != 0]) == [-2.0] * 6 + [2.0] * 6


def test_disease_in_a_tissue_that_is_not_there_is_named() -> None:
    config = SimulationConfig(disease=DiseaseConfig(tissues=("Lungs",)))
    with pytest.raises(SelectionError, match=r"unknown tissue: 'Lungs' \(did you mean 'Lung'\?\)"):
        simulate_cohort(config)


def test_given_genes_are_used() -> None:
    genes = pd.DataFrame(
        {"symbol": ["TP53", "BRCA1"], "entrez": ["7157", "672"]},
        index=["ENSG00000141510.16", "ENSG00000012048.20"],
    )
    cohort = simulate_cohort(genes=genes)
    assert list(cohort.var_names) == list(genes.index)
    pd.testing.assert_frame_equal(cohort.var[["symbol", "entrez"]], genes, check_names=False)


def test_truth_survives_the_disk(tmp_path: Path) -> None:
    cohort = simulate_cohort(SimulationConfig(disease=DiseaseConfig()))
    write_cohort(cohort, tmp_path / "cohort.h5ad")
    read = read_cohort(tmp_path / "cohort.h5ad")
    assert is_simulated(read)
    truth, effects = cohort.uns["truth"], cohort.uns["truth"]["effects"]
    assert set(read.uns["truth"]) == set(truth)
    for name in ("factors", "loadings", "mean", "noise_sd"):
        np.testing.assert_array_equal(read.uns["truth"][name], truth[name])
    assert set(effects) == {"male", "decade", "ventilator", "case"}
    for name, effect in effects.items():
        np.testing.assert_array_equal(read.uns["truth"]["effects"][name], effect)
    pd.testing.assert_series_equal(read.uns["donors"]["MHT2D"], cohort.uns["donors"]["MHT2D"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_tissues": 1}, "expected 2 to 54 tissues, got 1"),
        ({"n_tissues": 55}, "expected 2 to 54 tissues, got 55"),
        ({"n_donors": 0}, "at least 1 donor, gene and factor, got 0, 40 and 4"),
        ({"shared_variance": 1.2}, r"shared_variance in \[0, 1\], got 1.2"),
        ({"presence": (0.5, 0.9)}, r"presence 1 >= highest >= lowest > 0, got \(0.5, 0.9\)"),
    ],
)
def test_impossible_settings_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SimulationConfig(), **change)


def _of_two_tissues(config: SimulationConfig) -> tuple[ad.AnnData, np.ndarray, np.ndarray]:
    """Return a cohort, and log2(1 + TPM) of the donors who have blood and lung."""
    cohort = simulate_cohort(config)
    blood, lung = log2_of(cohort, WHOLE_BLOOD), log2_of(cohort, "Lung")
    both = blood.index.intersection(lung.index)
    return cohort, blood.loc[both].to_numpy(), lung.loc[both].to_numpy()


def test_private_factors_correlate_genes_within_one_tissue_only() -> None:
    config = SimulationConfig(
        n_donors=400,
        n_genes=60,
        shared_variance=0.0,
        trait_effect=0.0,
        private_variance=0.6,
        n_private=2,
        tissue_sd=0.0,
    )
    _, blood, lung = _of_two_tissues(config)
    values = np.linalg.eigvalsh(np.corrcoef(blood.T))
    assert values[-2:].sum() / values.sum() == pytest.approx(0.6, abs=0.08)
    across = np.corrcoef(blood.T, lung.T)[:60, 60:]
    assert np.abs(across).mean() < 0.06


def test_own_effects_are_of_their_genes_and_the_same_in_all_tissues() -> None:
    config = SimulationConfig(
        n_donors=400,
        shared_variance=0.0,
        trait_effect=0.0,
        own_variance=0.5,
        n_own_genes=6,
        tissue_sd=0.0,
    )
    cohort, blood, lung = _of_two_tissues(config)
    own = cohort.uns["truth"]["own_genes"]
    rho = np.array([np.corrcoef(blood[:, g], lung[:, g])[0, 1] for g in range(40)])
    assert len(own) == 6
    np.testing.assert_allclose(rho[own], 0.5, atol=0.12)
    assert np.abs(np.delete(rho, own)).max() < 0.2


def test_factors_that_fall_leave_the_share_of_variance() -> None:
    even, falling = (
        simulate_cohort(SimulationConfig(n_factors=6, factor_decay=decay)).uns["truth"]
        for decay in (0.0, 2.0)
    )
    for truth in (even, falling):
        explained = (truth["loadings"] ** 2).sum(axis=1) / truth["sd"] ** 2
        np.testing.assert_allclose(explained, 0.6, rtol=1e-4)
    sizes = [(truth["loadings"] ** 2).mean(axis=(0, 2)) for truth in (even, falling)]
    assert sizes[0][0] / sizes[0][-1] < 2
    assert sizes[1][0] / sizes[1][-1] > 10


def test_shares_of_variance_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sum to 1 or less, got 1\.2"):
        SimulationConfig(private_variance=0.6)
