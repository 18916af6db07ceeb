"""Groups distinguished: what is there is found, what is not is not, nothing leaks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import l1_min_c

from mtm_core.statistics.classification import (
    FALSE_POSITIVE_RATES,
    MOST_GENES,
    auroc_standard_error,
    classify,
)

Array = np.ndarray


@pytest.fixture
def is_case() -> Array:
    return np.arange(120) % 3 == 0


def test_a_planted_difference_gives_its_theoretical_auroc(
    rng: np.random.Generator, is_case: Array
) -> None:
    profiles = rng.normal(size=(120, 10))
    profiles[is_case, 4] += 1.5
    found = classify(profiles, is_case, n_repeats=3)
    # One gene 1.5 SD apart: an area of Phi(1.5 / sqrt 2) = 0.856 at best.
    assert 0.75 < found.auroc < 0.92
    assert found.low < 0.856 < found.high
    assert 0 < found.sd_over_repeats < 0.05
    assert (found.n_case, found.n_control, found.outcome) == (40, 80, "tested")
    curve = np.array(found.sensitivity)
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == 1
    assert np.trapezoid(curve, FALSE_POSITIVE_RATES) == pytest.approx(found.auroc, abs=0.02)


def test_noise_of_many_genes_is_not_distinguished(rng: np.random.Generator, is_case: Array) -> None:
    # Standardised or fitted on the held-out samples too, 300 genes would fit 120 labels.
    found = classify(rng.normal(size=(120, 300)), is_case, n_repeats=3)
    assert 0.35 < found.auroc < 0.65
    assert found.low < 0.5 < found.high


def test_area_equals_that_of_scikit_learn_s_own_pipeline(rng: np.random.Generator) -> None:
    """With outliers, so that a scaler fitted on the held-out samples too would differ."""
    profiles = rng.standard_t(1.5, size=(60, 6))
    is_case = rng.random(60) < 0.4
    profiles[is_case, 0] += 1
    areas, curves = [], []
    for training, held_out in StratifiedKFold(4, shuffle=True, random_state=3).split(
        profiles, is_case
    ):
        z = StandardScaler().fit_transform(profiles[training])
        c = 2 * l1_min_c(z, is_case[training], loss="log")
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(
                C=c, l1_ratio=1, solver="liblinear", class_weight="balanced", random_state=3
            ),
        ).fit(profiles[training], is_case[training])
        scores = model.predict_proba(profiles[held_out])[:, 1]
        areas.append(roc_auc_score(is_case[held_out], scores))
        # Of the cases, by hand: how many score above the threshold that lets so many controls in.
        false, true, _ = roc_curve(is_case[held_out], scores, drop_intermediate=False)
        curves.append(np.interp(FALSE_POSITIVE_RATES, false, true))
    found = classify(profiles, is_case, n_folds=4, n_repeats=1, c_factor=2, seed=3)
    assert found.auroc == pytest.approx(np.mean(areas), abs=1e-12)
    assert found.sensitivity == pytest.approx(tuple(np.mean(curves, axis=0)))


def test_scale_of_genes_and_order_of_seeds_do_not_matter(
    rng: np.random.Generator, is_case: Array
) -> None:
    profiles = rng.normal(size=(120, 5)) + 0.7 * is_case[:, None]
    found = classify(profiles, is_case, n_repeats=2)
    scaled = classify(1000 * profiles + 5, is_case, n_repeats=2)
    assert scaled.auroc == pytest.approx(found.auroc, abs=1e-3)
    assert classify(profiles, is_case, n_repeats=2) == found
    assert classify(profiles, is_case, n_repeats=2, seed=7) != found


def test_untestable_classes_are_named(rng: np.random.Generator, is_case: Array) -> None:
    profiles = rng.normal(size=(120, 5))
    cases = {
        "single class": classify(profiles, np.ones(120, dtype=bool)),
        "too few samples": classify(profiles, np.arange(120) < 4),
        "constant": classify(np.ones((120, 5)), is_case),
    }
    for name, found in cases.items():
        assert found.outcome == name
        assert np.isnan([found.auroc, found.low, found.high, found.sd_over_repeats]).all()
        assert found.sensitivity == ()


def test_a_gene_that_varies_in_held_out_samples_alone_teaches_nothing(is_case: Array) -> None:
    profiles = np.zeros((120, 1))
    profiles[0] = 1
    assert 0.45 < classify(profiles, is_case, n_repeats=1).auroc < 0.55


def test_standard_error_equals_that_of_simulated_draws(rng: np.random.Generator) -> None:
    # Hanley and McNeil's form is exact for exponential scores: P(case > control) = 3/4 at rate 1/3.
    draws = [
        (rng.exponential(3, size=(25, 1)) > rng.exponential(1, size=(1, 35))).mean()
        for _ in range(4000)
    ]
    assert np.mean(draws) == pytest.approx(0.75, abs=0.01)
    assert auroc_standard_error(0.75, 25, 35) == pytest.approx(np.std(draws), rel=0.05)


def test_genes_are_selected_on_training_samples_alone(
    rng: np.random.Generator, is_case: Array
) -> None:
    profiles = rng.normal(size=(120, 3 * MOST_GENES)).astype(np.float32)
    by_chance = classify(profiles, is_case, n_repeats=4)
    # Chosen on all samples, genes of noise alone would tell the groups apart.
    assert abs(by_chance.auroc - 0.5) < 0.15
    profiles[is_case, -5:] += 1.2
    found = classify(profiles, is_case, n_repeats=2)
    alone = classify(profiles[:, -5:], is_case, n_repeats=2)
    assert found.auroc > 0.85
    assert found.auroc < alone.auroc + 0.03
