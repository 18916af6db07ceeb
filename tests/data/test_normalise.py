from __future__ import annotations

import numpy as np
import pytest

from mtm_core.data.cohort.normalise import NORMALISATIONS, UNIT_AFTER, normalise
from mtm_core.errors import CohortError


@pytest.fixture
def counts(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 500, size=(6, 9)).astype(np.float32)


def test_every_normalisation_names_its_unit() -> None:
    assert set(UNIT_AFTER) == set(NORMALISATIONS)


def test_normalisation_none_changes_nothing(counts: np.ndarray) -> None:
    np.testing.assert_array_equal(normalise(counts.copy(), "none"), counts)


def test_panel_cpm_equals_its_formula_sample_by_sample(counts: np.ndarray) -> None:
    expected = [[1e6 * value / sum(map(float, row)) for value in row] for row in counts]
    result = normalise(counts, "panel-cpm")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(result.sum(axis=1), 1e6, rtol=1e-5)


def test_panel_cpm_forgets_each_samples_depth_and_nothing_else(counts: np.ndarray) -> None:
    deeper = counts * np.array([[1], [3], [0.1], [7], [1], [250]], dtype=np.float32)
    np.testing.assert_allclose(
        normalise(deeper, "panel-cpm"), normalise(counts, "panel-cpm"), rtol=1e-5
    )
    alone = normalise(counts[2:3], "panel-cpm")
    np.testing.assert_array_equal(alone, normalise(counts, "panel-cpm")[2:3])


@pytest.mark.parametrize("how", NORMALISATIONS)
def test_negative_value_is_named_with_its_place(counts: np.ndarray, how: str) -> None:
    counts[3, 4] = -0.5
    with pytest.raises(CohortError, match=r"got -0.5 in sample 4, gene 5\. Undo the logarithm"):
        normalise(counts, how)


def test_sample_without_expression_cannot_be_scaled(counts: np.ndarray) -> None:
    counts[[1, 4]] = 0
    with pytest.raises(CohortError, match=r"2 samples have no expression .* first is number 2"):
        normalise(counts, "panel-cpm")
