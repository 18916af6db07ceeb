"""The two forms of the factor model's noise: the same model, whatever is wider."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.factor_fit import (
    collect_factors,
    expectation_maximisation,
    fit_blocks,
    is_wide,
)
from mtm_core.methods.factor_noise import FittedBlock, GeneSpaceBlock, SampleSpaceBlock
from mtm_core.methods.factors import TrainingDonors

N_DONORS, K = 60, 3
Form = Callable[..., FittedBlock]


def training(n_genes: int, rng: np.random.Generator) -> TrainingDonors:
    """Three tissues, the last of few donors, with factors in common and structured noise."""
    factors = rng.normal(size=(N_DONORS, K))
    samples = []
    for n in (60, 40, 6):
        donor = np.sort(rng.choice(N_DONORS, n, replace=False))
        own = rng.normal(size=(n, 2)) @ rng.normal(size=(2, n_genes)) / 2
        y = factors[donor] @ rng.normal(size=(K, n_genes)) + own + rng.normal(size=(n, n_genes))
        samples.append((donor, (y / y.std(axis=0)).astype(np.float32)))
    unit = np.zeros((3, n_genes), dtype=np.float32)
    return TrainingDonors(
        TissueScaler(unit, unit + 1, "log2"),
        ("Liver", "Lung", "Whole Blood"),
        tuple(samples),
        rng.normal(size=(N_DONORS, 2)),
    )


def fitted(data: TrainingDonors, form: Form, n_steps: int = 12) -> list[FittedBlock]:
    rng = np.random.default_rng(1)
    parts = [
        form(block, rng.normal(size=(block[1].shape[1], K)) / 5, ridge=7.0, shrinkage=20.0)
        for block in data.samples
    ]
    everyone = (np.arange(N_DONORS), data.covariates)
    covariates = GeneSpaceBlock(everyone, rng.normal(size=(2, K)) / 5, 7.0, 20.0)
    expectation_maximisation([*parts, covariates], N_DONORS, K, n_steps, refit_at=range(n_steps))
    return parts


@pytest.mark.parametrize("n_genes", [25, 150])
def test_noise_by_samples_is_the_noise_by_genes(n_genes: int, rng: np.random.Generator) -> None:
    data = training(n_genes, rng)
    by_genes, by_samples = fitted(data, GeneSpaceBlock), fitted(data, SampleSpaceBlock)
    for dense, dual in zip(by_genes, by_samples, strict=True):
        np.testing.assert_allclose(dual.precision, dense.precision, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(dual.weighted_mean, dense.weighted_mean, rtol=1e-3, atol=1e-5)
        for ours, expected in zip(dual.loadings(), dense.loadings(), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=2e-5)


def test_wide_data_are_fitted_by_samples_about_as_they_would_be_by_genes(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = training(150, rng)
    assert is_wide(data)
    assert not is_wide(training(25, rng))
    given = {2: np.asarray(data.samples[2][1], dtype=np.float64)}

    def predicted(noise_refits: int, n_iterations: int = 300) -> np.ndarray:
        model = collect_factors(
            fit_blocks(
                data,
                K,
                n_iterations=n_iterations,
                ridge=5.0,
                shrinkage=30.0,
                seed=0,
                noise_refits=noise_refits,
            )
        )
        assert model.loadings.shape == (3, 150, K)
        mean, _ = model.posterior(given, np.empty((6, 0)))
        return (mean @ model.loadings[0].T).ravel()

    often, twice, short = predicted(298), predicted(2), predicted(0, 5)
    monkeypatch.setattr("mtm_core.methods.factor_fit.is_wide", lambda _: False)
    dense = predicted(0)
    for model, least in ((often, 0.99999), (twice, 0.999), (short, 0.99)):
        assert np.corrcoef(model, dense)[0, 1] > least
