"""Weights and errors from sums by gene, against the same from all predictions at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from mtm_core.methods import calibration
from mtm_core.methods.calibration import StackingSums, calibrate
from mtm_core.methods.protocol import INTERVAL_LEVELS

N_GENES = 30


@pytest.fixture
def folds(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predictions (2, P, G) and observations (P, G) of three folds of one tissue."""
    found = []
    for n in (20, 21, 19):
        observed = rng.normal(size=(n, N_GENES)) * np.linspace(0.5, 1.5, N_GENES)
        errors = rng.normal(size=(2, n, N_GENES)) * np.array([0.5, 1.0])[:, None, None]
        found.append(((observed + errors).astype(np.float32), observed.astype(np.float32)))
    return found


def added_up(folds: list[tuple[np.ndarray, np.ndarray]]) -> StackingSums:
    sums = StackingSums(2, N_GENES)
    for predicted, observed in folds:
        sums.add(list(predicted), observed)
    return sums


def test_sums_by_gene_give_weights_and_errors_of_all_predictions(
    folds: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    got = calibrate({"Lung": added_up(folds)}, ("Lung", "Liver"), 2, N_GENES)
    predicted = np.concatenate([p for p, _ in folds], axis=1).astype(np.float64)
    observed = np.concatenate([o for _, o in folds]).astype(np.float64)
    weights, _ = nnls(predicted.reshape(2, -1).T, observed.ravel())
    np.testing.assert_allclose(got.weights[0], weights, rtol=1e-5)
    residual = observed - np.tensordot(weights, predicted, axes=1)
    square = (residual**2).mean(axis=0)
    error = np.sqrt((60 * square + 20 * square.mean()) / 80)
    np.testing.assert_allclose(got.error[0], error, rtol=1e-5)
    quantiles = np.quantile(np.abs(residual) / error, np.array(INTERVAL_LEVELS) / 100)
    np.testing.assert_allclose(got.multipliers[0], quantiles, rtol=1e-4)
    np.testing.assert_array_equal(got.error[1], 1)
    np.testing.assert_array_equal(got.multipliers[1], got.multipliers[0])


def test_a_sample_of_the_genes_gives_about_the_quantiles_of_all(
    folds: list[tuple[np.ndarray, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = calibrate({"Lung": added_up(folds)}, ("Lung",), 2, N_GENES)
    monkeypatch.setattr(calibration, "_SAMPLED_GENES", 15)
    sums = added_up(folds)
    sampled = calibrate({"Lung": sums}, ("Lung",), 2, N_GENES)
    np.testing.assert_array_equal(sampled.error, whole.error)
    np.testing.assert_allclose(sampled.multipliers, whole.multipliers, rtol=0.1)
    assert sums.sampled_residuals(sampled.weights[0]).shape == (60, 15)


def test_a_method_that_predicts_next_to_nothing_has_no_weight(
    folds: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    faint = [(np.stack([p[0], p[1] * np.float32(1e-9)]), o) for p, o in folds]
    got = calibrate({"Lung": added_up(faint)}, ("Lung",), 2, N_GENES)
    alone = StackingSums(1, N_GENES)
    for predicted, observed in faint:
        alone.add([predicted[0]], observed)
    expected = calibrate({"Lung": alone}, ("Lung",), 1, N_GENES)
    np.testing.assert_allclose(got.weights[0], [expected.weights[0, 0], 0])
    nothing = [(p * np.float32(1e-9), o) for p, o in folds]
    assert not calibrate({"Lung": added_up(nothing)}, ("Lung",), 2, N_GENES).weights.any()
