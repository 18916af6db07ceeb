"""Factors of single genes: against the dense Gaussian, and on factors that were planted."""

from __future__ import annotations

import numpy as np

from mtm_core.methods.gene_factors import GeneFactors, fit_gene_factors

N_TISSUES, N_GENES = 4, 3


def test_posterior_is_that_of_the_dense_gaussian(rng: np.random.Generator) -> None:
    loadings = rng.normal(size=(N_TISSUES, N_GENES))
    noise = rng.uniform(0.3, 2, size=(N_TISSUES, N_GENES))
    given = {t: rng.normal(size=(5, N_GENES)) for t in (0, 2, 3)}
    mean, variance = GeneFactors(loadings, noise).posterior(given)
    for g in range(N_GENES):
        a = loadings[list(given), g]
        covariance = np.outer(a, a) + np.diag(noise[list(given), g])
        gain = a @ np.linalg.inv(covariance)
        r = np.stack([part[:, g] for part in given.values()], axis=1)
        np.testing.assert_allclose(mean[:, g], r @ gain)
        np.testing.assert_allclose(variance[g], 1 - gain @ a)


def planted(rng: np.random.Generator) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """600 donors, each with most tissues; the last gene has no factor."""
    loadings = np.array([[0.9, 0.5, 0.0], [0.6, 0.7, 0.0], [0.7, -0.6, 0.0], [0.5, 0.6, 0.0]])
    factors = rng.normal(size=(600, N_GENES))
    blocks = []
    for own in loadings:
        donor = np.flatnonzero(rng.random(600) < 0.8)
        noise = np.sqrt(1 - own**2) * rng.normal(size=(len(donor), N_GENES))
        blocks.append((donor, factors[donor] * own + noise))
    return blocks, loadings


def test_em_finds_what_was_planted(rng: np.random.Generator) -> None:
    blocks, loadings = planted(rng)
    fitted = fit_gene_factors(blocks, 600, ridge=0.0, n_iterations=200)
    np.testing.assert_allclose(fitted.loadings[:, :2], loadings[:, :2], atol=0.15)
    np.testing.assert_allclose(fitted.noise[:, :2], 1 - loadings[:, :2] ** 2, atol=0.15)


def test_a_gene_whose_tissues_share_nothing_is_left_alone(rng: np.random.Generator) -> None:
    blocks, _ = planted(rng)
    fitted = fit_gene_factors(blocks, 600, ridge=100.0, n_iterations=50)
    mean, _ = fitted.posterior({0: rng.normal(size=(200, N_GENES))})
    predicted = fitted.loadings[1] * mean
    assert predicted[:, 0].std() > 0.3
    assert predicted[:, 2].std() < 0.05


def test_genes_do_not_touch_each_other(rng: np.random.Generator) -> None:
    blocks, _ = planted(rng)
    together = fit_gene_factors(blocks, 600, ridge=10.0, n_iterations=5)
    alone = fit_gene_factors(
        [(donor, r[:, 1:2]) for donor, r in blocks], 600, ridge=10.0, n_iterations=5
    )
    np.testing.assert_allclose(together.loadings[:, 1], alone.loadings[:, 0])
    np.testing.assert_allclose(together.noise[:, 1], alone.noise[:, 0])
