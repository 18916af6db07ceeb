"""Methods of one target at a time on more genes than a matrix of coefficients should have."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV

from mtm_core.methods import by_target
from mtm_core.methods.bgex import BGExMethod
from mtm_core.methods.by_target import FactoredMap, LinearMap, SparseMap, TargetModel
from mtm_core.methods.reduced_rank import ReducedRankRidgeMethod
from mtm_core.methods.ridge import fit_ridge
from mtm_core.methods.ridge_path import PENALTIES
from mtm_core.methods.saved_by_target import restore_map
from mtm_core.methods.teebot import TEEBoTMethod

N, N_INPUTS, N_GENES = 40, 120, 30


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """40 donors, 120 inputs of a few directions, 30 genes that follow them."""
    codes = rng.normal(size=(N, 4))
    x = codes @ rng.normal(size=(4, N_INPUTS)) + rng.normal(size=(N, N_INPUTS)) + 0.5
    y = codes @ rng.normal(size=(4, N_GENES)) + 2 * rng.normal(size=(N, N_GENES)) - 1
    return x.astype(np.float32), y.astype(np.float32)


@pytest.fixture(autouse=True)
def few_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_target, "_FEW_INPUTS", 10)


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_target, "_FEW_INPUTS", 10_000)


def predicted(model: TargetModel, rng: np.random.Generator) -> np.ndarray:
    """Predict new donors, by the model and by what it saves."""
    x = rng.normal(size=(7, N_INPUTS)).astype(np.float32)
    z = model(x)
    assert z.dtype == np.float32
    again = restore_map(model.arrays(), model.settings(), N_INPUTS, N_GENES)
    np.testing.assert_array_equal(again(x), z)
    return z


def test_ridge_is_that_of_scikit_learn(
    data: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> None:
    x, y = data
    fitted = fit_ridge(x, y)
    assert isinstance(fitted, FactoredMap)
    model = RidgeCV(alphas=PENALTIES).fit(x.astype(np.float64), y.astype(np.float64))
    assert PENALTIES[0] < model.alpha_ < PENALTIES[-1]
    new = np.random.default_rng(8).normal(size=(7, N_INPUTS)).astype(np.float32)
    np.testing.assert_allclose(fitted(new), model.predict(new), atol=2e-3)
    predicted(fitted, rng)


@pytest.mark.parametrize(
    ("method", "kind", "tolerance"),
    [
        (ReducedRankRidgeMethod(n_folds=4), FactoredMap, 2e-3),
        (BGExMethod(n_genes=5), SparseMap, 1e-5),
    ],
)
def test_a_method_is_the_same_in_either_form(
    data: tuple[np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    method: ReducedRankRidgeMethod | BGExMethod,
    kind: type,
    tolerance: float,
) -> None:
    wide = method.fit_target(*data)
    assert isinstance(wide, kind)
    if isinstance(wide, SparseMap):
        assert wide.values.shape == (5, N_GENES)
    z = predicted(wide, np.random.default_rng(8))
    narrow(monkeypatch)
    dense = method.fit_target(*data)
    assert isinstance(dense, LinearMap)
    np.testing.assert_allclose(z, predicted(dense, np.random.default_rng(8)), atol=tolerance)


def test_components_are_the_same_in_either_form(
    data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    method, pca = TEEBoTMethod(n_penalties=10), PCA(6).fit(data[0].astype(np.float64))
    wide = method.fit_target(pca, *data)
    assert isinstance(wide, FactoredMap)
    assert wide.left.shape == (N_INPUTS, 6)
    z = predicted(wide, np.random.default_rng(8))
    narrow(monkeypatch)
    dense = method.fit_target(pca, *data)
    np.testing.assert_allclose(z, predicted(dense, np.random.default_rng(8)), atol=1e-5)


@pytest.mark.parametrize("n_donors", [2, 3])
def test_few_donors_are_enough(n_donors: int, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = (part[:n_donors] for part in data)
    for fitted in (
        fit_ridge(x, y),
        ReducedRankRidgeMethod().fit_target(x, y),
        BGExMethod().fit_target(x, y),
    ):
        np.testing.assert_allclose(fitted(x).mean(axis=0), y.mean(axis=0), atol=1e-3)


def test_parts_that_do_not_fit_are_refused(data: tuple[np.ndarray, np.ndarray]) -> None:
    wide, sparse = fit_ridge(*data), BGExMethod().fit_target(*data)
    with pytest.raises(ValueError, match="left has shape"):
        wide.check(N_INPUTS - 1, N_GENES)
    with pytest.raises(ValueError, match="numbers of inputs from 0 to 4 "):
        sparse.check(5, N_GENES)
