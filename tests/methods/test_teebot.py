"""TEEBoT against scikit-learn's LassoCV, gene by gene, on components from an eigendecomposition."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Lasso, LassoCV

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import TrainingPairs
from mtm_core.methods.teebot import TEEBoTMethod, fit_lasso

BLOOD = "Whole Blood"
Array = np.ndarray


@pytest.fixture
def donors(small_cohort: ad.AnnData) -> list[str]:
    return sorted(set(small_cohort.obs["donor"]))[:45]


def test_equals_scikit_learn_gene_by_gene(small_cohort: ad.AnnData, donors: list[str]) -> None:
    method = TEEBoTMethod(n_components=6, n_penalties=20)
    fitted = method.fit(small_cohort, donors)
    pairs = TrainingPairs.from_cohort(small_cohort, donors, source=BLOOD, scaling=ScalingConfig())
    known = pairs.inputs.astype(np.float64)  # all with blood, whether or not they have liver
    values, vectors = np.linalg.eigh(np.cov(known.T))
    components = vectors[:, np.argsort(-values)[:6]]
    a, b = pairs.rows["Liver"]
    assert len(a) < len(known)
    scores = (known - known.mean(axis=0)) @ components
    predicted = fitted.predict({BLOOD: pairs.inputs}, "Liver").mean
    used = []
    for gene in range(40):
        model = LassoCV(alphas=20, cv=5, tol=1e-9, max_iter=100_000)
        model.fit(scores[a], pairs.z[b, gene].astype(np.float64))
        used.append((model.coef_ != 0).sum())
        np.testing.assert_allclose(predicted[:, gene], model.predict(scores), atol=1e-4)
    assert min(used) == 0
    assert len(set(used)) > 3


def test_every_gene_has_penalties_of_its_own(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 7)) @ rng.normal(size=(7, 7))
    y = x @ rng.normal(size=(7, 4)) + 2 * rng.normal(size=(50, 4)) + 3
    penalties = rng.uniform(0.05, 3, size=(3, 4))
    coefficients, intercept = fit_lasso(x, y, penalties)
    for row, gene in np.ndindex(penalties.shape):
        model = Lasso(penalties[row, gene], tol=1e-10, max_iter=100_000).fit(x, y[:, gene])
        np.testing.assert_allclose(coefficients[:, row, gene], model.coef_, atol=1e-4)
        assert intercept[row, gene] == pytest.approx(model.intercept_, abs=1e-4)
    assert (coefficients == 0).any()
    assert (coefficients != 0).any()


def test_constant_genes_are_predicted_by_their_mean(
    small_cohort: ad.AnnData, donors: list[str], rng: np.random.Generator
) -> None:
    cohort = small_cohort.copy()
    cohort.X[(cohort.obs["tissue"] == "Lung").to_numpy(), 5] = 8
    cohort.X[(cohort.obs["tissue"] == BLOOD).to_numpy(), 6:] = 1  # fewer genes than components
    fitted = TEEBoTMethod().fit(cohort, donors)
    predicted = fitted.predict({BLOOD: rng.normal(size=(9, 40)).astype(np.float32)}, "Lung").mean
    np.testing.assert_array_equal(predicted[:, 5], np.zeros(9))
    assert np.isfinite(predicted).all()


def test_a_shift_of_the_source_changes_nothing(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(50, 8)), rng.normal(size=(50, 3))
    y[:, 0] += 2 * x[:, 0]
    predicted = [
        TEEBoTMethod(n_components=5).fit_target(PCA(5).fit(given), given, y)(given)
        for given in (x, x + 5)
    ]
    np.testing.assert_allclose(predicted[0], predicted[1], atol=1e-5)
    assert np.ptp(predicted[0][:, 0]) > 1
