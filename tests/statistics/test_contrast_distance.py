"""What a model's own error does to tests on its predictions: against regressions that are known."""

import numpy as np
import pytest

from mtm_core.statistics.contrast_distance import squared_distances
from mtm_core.statistics.linear_models import contrast_tests, fit_linear_models
from mtm_core.statistics.multiple_testing import benjamini_hochberg

N_TRAIN, N_FACTORS, N_GENES, SHIFT = 150, 8, 200, 2.5
SILENT = np.arange(N_GENES) % 2 == 0


def predicted_cohort(seed, n_each, shift=SHIFT):
    """Predictions of a study by least squares on N_TRAIN donors; half of the genes are silent."""
    rng = np.random.default_rng(seed)
    loadings = 0.3 * rng.normal(size=(N_FACTORS, N_GENES)) * ~SILENT
    donors = rng.normal(size=(N_TRAIN, N_FACTORS))
    learnt = np.linalg.lstsq(donors, donors @ loadings + rng.normal(size=(N_TRAIN, N_GENES)))[0]
    direction = rng.normal(size=N_FACTORS)
    is_case = np.repeat([1, 0], n_each)
    people = rng.normal(size=(2 * n_each, N_FACTORS))
    people += shift * np.outer(is_case, direction / np.linalg.norm(direction))
    design = np.column_stack([np.ones(2 * n_each), is_case])
    return people @ learnt, design


def test_the_distance_is_that_of_the_groups_in_the_factors():
    found = [squared_distances(*predicted_cohort(seed, 400), [0, 1]).item() for seed in range(10)]
    assert np.mean(found) == pytest.approx(SHIFT**2, rel=0.1)
    values, design = predicted_cohort(0, 30)
    some = squared_distances(values, design, [[0, 1], [0, -2]])
    np.testing.assert_allclose(some, some[0, 0] * np.array([[1, -2], [-2, 4]]))
    assert squared_distances(np.zeros((6, 3)), design[[0, 1, 2, -1, -2, -3]], [0, 1]).item() == 0


@pytest.mark.parametrize("n_each", [20, 300])
def test_false_discoveries_are_held_at_any_size_of_the_cohort(n_each):
    shares = {"predicted": [], "people's error": [], "both errors": []}
    power = []
    for seed in range(12):
        values, design = predicted_cohort(seed, n_each)
        fit, error = fit_linear_models(values, design), np.full(values.shape, 1.0)
        leverage = squared_distances(values, design, [0, 1]) / N_TRAIN
        for name, options in zip(
            shares,
            ({}, {"error": error}, {"error": error, "leverage": leverage}),
            strict=True,
        ):
            called = benjamini_hochberg(contrast_tests(fit, [0, 1], **options).p) <= 0.05
            shares[name].append((called & SILENT).sum() / max(called.sum(), 1))
        power.append((called & ~SILENT).sum() / (~SILENT).sum())
    mean = {name: np.mean(share) for name, share in shares.items()}
    assert mean["predicted"] > 0.4  # of the genes that nothing is predicted of, most are "found"
    assert mean["both errors"] <= 0.05
    if n_each == 300:
        assert mean["people's error"] > 0.1  # what averages out over people is not all
        assert np.mean(power) > 0.3
