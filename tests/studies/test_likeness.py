"""Likeness of tissues and maps, against loops and against the study that was shipped."""

from __future__ import annotations

from itertools import combinations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from mtm_core.artefact import Artefact
from mtm_core.errors import SelectionError
from mtm_core.studies.latent import find_mtm
from mtm_core.studies.likeness import compare_likeness, decoded_mean, map_of, mean_profiles
from mtm_core.studies.predictable_genes import mean_log2


def test_profiles_are_those_of_the_cohort(
    small_artefact: Artefact, small_cohort: ad.AnnData
) -> None:
    profiles = mean_profiles(small_artefact)
    pd.testing.assert_frame_equal(profiles, mean_log2(small_cohort), rtol=1e-5, check_names=False)


def test_the_mean_is_decoded_as_the_model_predicts_it(small_artefact: Artefact) -> None:
    fitted = find_mtm(small_artefact.method)
    layers = decoded_mean(fitted, "Whole Blood")
    mean = np.zeros((1, len(small_artefact.genes)), dtype=np.float32)
    for t, tissue in enumerate(fitted.tissues):
        expected = fitted.mtm.predict({"Whole Blood": mean}, tissue).mean[0]
        np.testing.assert_allclose(layers["output"][t], expected, atol=1e-5)
    assert not np.allclose(layers["output"], decoded_mean(fitted, "Lung")["output"])


def test_pairs_are_correlated_one_by_one(rng: np.random.Generator) -> None:
    tissues = list("ABCDE")
    profiles = pd.DataFrame(rng.normal(size=(5, 9)), tissues)
    values = pd.DataFrame(rng.normal(size=(4, 7)), tissues[1:])
    values.iloc[0, 0] = np.nan  # counts as 0
    found = compare_likeness(profiles, values)
    filled = values.fillna(0)
    rows = found.pairs.set_index(["tissue", "other_tissue"])
    assert list(rows.index) == list(combinations("BCDE", 2))
    for first, second in rows.index:
        row = rows.loc[(first, second)]
        assert row["likeness"] == pytest.approx(pearsonr(filled.loc[first], filled.loc[second])[0])
        expected = pearsonr(profiles.loc[first], profiles.loc[second])[0]
        assert row["profiles"] == pytest.approx(expected)
    expected = spearmanr(rows["profiles"], rows["likeness"]).statistic
    assert found.agreement.spearman == pytest.approx(expected)


def test_a_map_keeps_the_distances_of_what_is_flat(rng: np.random.Generator) -> None:
    flat = rng.normal(size=(6, 2)) * [5, 1]
    turned = flat @ np.linalg.qr(rng.normal(size=(8, 2)))[0].T + 3
    found = map_of(pd.DataFrame(turned, [f"S{i}" for i in range(6)]))
    for i, j in combinations(range(6), 2):
        on_map = np.linalg.norm(found.positions.iloc[i] - found.positions.iloc[j])
        assert on_map == pytest.approx(np.linalg.norm(flat[i] - flat[j]))
    assert sum(found.shares) == pytest.approx(1)
    assert found.shares[0] > found.shares[1]
    assert list(found.positions.index) == [f"S{i}" for i in range(6)]


def test_samples_that_cannot_be_mapped_are_refused() -> None:
    with pytest.raises(SelectionError, match="a map needs 3 samples or more, and there are 2"):
        map_of(pd.DataFrame(np.eye(2)))
    with pytest.raises(SelectionError, match="all samples are the same"):
        map_of(pd.DataFrame(np.ones((4, 3))))
