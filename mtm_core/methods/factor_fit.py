"""Fit the factors shared by all tissues of a donor, by EM.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76. The parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770.

Shapes: D donors, T tissues, G genes, C covariates, K factors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_noise import (
    EMBlock,
    FittedBlock,
    GeneSpaceBlock,
    GramEigenbasis,
    SampleSpaceBlock,
)
from mtm_core.methods.factors import Array, Factors, TrainingDonors

WIDE_STEPS = 5
"""EM steps where there are more genes than samples: the initial factors are then close."""
_MAX_FACTORS = 200
NOISE_REFITS = 0
"""How often the diagonal noise is fitted again in the space of samples, evenly over the steps.

Each costs a Gram matrix per model and tissue, and gained nothing at genome width
(docs/genome.md)."""


def fit_blocks(
    training: TrainingDonors,
    n_factors: int,
    *,
    n_iterations: int,
    ridge: float,
    shrinkage: float,
    seed: int,
    noise_refits: int = NOISE_REFITS,
) -> list[FittedBlock]:
    """Fit a model of K factors, one block for each tissue and a last one for the covariates.

    With at most as many genes as the largest tissue has samples, the noise covariance (G, G) is
    stored. With more, the same model is fitted in the space of samples.

    Parameters
    ----------
    n_factors
        K.
    n_iterations
        Number of EM steps.
    ridge, shrinkage
        See :class:`~mtm_core.methods.factors.FactorSettings`.
    seed
        Seed of the random initial loadings. Not used in the space of samples, where EM starts from
        :func:`spectral_factors`.
    noise_refits
        How often the diagonal noise is fitted again in the space of samples.
    """
    blocks: list[FittedBlock] = []
    refit_at = {round((i + 1) * n_iterations / (noise_refits + 2)) for i in range(noise_refits)}
    if is_wide(training):
        bases = [GramEigenbasis(gram) for gram in training.grams]
        donors = [donor for donor, _ in training.samples]
        start = spectral_factors(donors, bases, training.n_donors, shrinkage)
        for samples, basis in zip(training.samples, bases, strict=True):
            blocks.append(SampleSpaceBlock(samples, None, ridge, shrinkage, basis))
        blocks.append(covariate_block(training.covariates, n_factors, ridge, shrinkage))
        start_from(leading_factors(start, n_factors), blocks)
        expectation_maximisation(blocks, training.n_donors, n_factors, n_iterations, refit_at)
        return blocks
    rng = np.random.default_rng(seed)
    for observed in training.blocks:
        shape = (observed[1].shape[1], n_factors)
        loadings: Array = 0.3 * rng.standard_normal(shape) / np.sqrt(n_factors)
        blocks.append(GeneSpaceBlock(observed, loadings, ridge, shrinkage))
    expectation_maximisation(blocks, training.n_donors, n_factors, n_iterations, refit_at)
    return blocks


def collect_factors(blocks: Sequence[FittedBlock]) -> Factors:
    """Collect the parameters of fitted blocks, the covariates' last, one tissue at a time."""
    *tissues, covariates = blocks
    for t, block in enumerate(tissues):
        fitted = block.loadings()
        if t == 0:
            dtype = fitted[0].dtype
            arrays = [np.empty((len(tissues), *array.shape), dtype) for array in fitted]
        for array, of_tissue in zip(arrays, fitted, strict=True):
            array[t] = of_tissue
    loadings, weights, noise = arrays
    covariate_loadings, covariate_weights, _ = covariates.loadings()
    return Factors(
        loadings,
        weights,
        noise,
        np.asarray(covariate_loadings, dtype=np.float64),
        np.asarray(covariate_weights, dtype=np.float64),
    )


def spectral_factors(
    donors: Sequence[NDArray[np.int64]],
    bases: Sequence[GramEigenbasis],
    n_donors: int,
    shrinkage: float,
) -> Array:
    """Return initial factors (D, F): leading eigenvectors of the similarity of donors.

    The similarity of two donors is their entry of the whitened Gram matrix, averaged over the
    tissues that both have. From random loadings, EM needs 40 steps to come as far as 2 steps from
    here.
    """
    similarity, n_shared = np.zeros((n_donors, n_donors)), np.zeros((n_donors, n_donors))
    for donor, basis in zip(donors, bases, strict=True):
        place = np.ix_(donor, donor)
        similarity[place] += basis.whitened_gram(shrinkage)
        n_shared[place] += 1
    np.fill_diagonal(similarity, 0)  # a sample's own noise is no similarity of donors
    _, vectors = np.linalg.eigh(similarity / np.maximum(n_shared, 1))
    factors: Array = vectors[:, : -_MAX_FACTORS - 1 : -1] * np.sqrt(n_donors)
    return factors


def leading_factors(factors: Array, n_factors: int) -> Array:
    """Return the first K columns of ``factors`` (D, F), padded with 0 where K is above F."""
    leading = np.zeros((len(factors), n_factors))
    leading[:, : factors.shape[1]] = factors[:, :n_factors]
    return leading


def covariate_block(
    covariates: Array, n_factors: int, ridge: float, shrinkage: float
) -> GeneSpaceBlock:
    """Return the block of the covariates (D, C), which are known for every donor."""
    zeros = np.zeros((covariates.shape[1], n_factors))
    return GeneSpaceBlock((np.arange(len(covariates)), covariates), zeros, ridge, shrinkage)


def start_from(factors: Array, blocks: Sequence[EMBlock]) -> None:
    """Fit every block to initial factors (D, K), taken as known without error."""
    no_covariance = np.zeros((factors.shape[1], factors.shape[1]))
    for block in blocks:
        block.maximise(factors[block.donor], no_covariance, refit_noise=False)


def is_wide(training: TrainingDonors) -> bool:
    """Tell whether there are more genes than the largest tissue has samples."""
    return training.n_genes > max(len(donor) for donor, _ in training.samples)


def expectation_maximisation(
    blocks: Sequence[EMBlock],
    n_donors: int,
    n_factors: int,
    n_iterations: int,
    refit_at: Collection[int] = (),
) -> None:
    """Take ``n_iterations`` EM steps; the steps in ``refit_at`` also fit the diagonal noise."""
    observed = np.zeros((len(blocks), n_donors))
    for i, block in enumerate(blocks):
        observed[i, block.donor] = 1
    for step in range(n_iterations):
        precisions = np.stack([block.precision for block in blocks])
        precision = np.eye(n_factors) + _sum_marked(observed.T, precisions)
        weighted_mean = np.zeros((n_donors, n_factors))
        for block in blocks:
            weighted_mean[block.donor] += block.weighted_mean
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = np.einsum("dkl,dl->dk", covariance, weighted_mean)
        # Rescale the factors to unit second moment: the same model, in far fewer steps.
        moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
        inverse = np.linalg.inv(np.linalg.cholesky(moment))
        mean = mean @ inverse.T
        summed = inverse @ _sum_marked(observed, covariance) @ inverse.T
        for block, block_covariance in zip(blocks, summed, strict=True):
            block.maximise(mean[block.donor], block_covariance, refit_noise=step in refit_at)


def _sum_marked(marks: Array, matrices: Array) -> Array:
    """Sum, for each row of ``marks`` (A, B), the ``matrices`` (B, K, K) that it marks with 1."""
    total: Array = (marks @ matrices.reshape(len(matrices), -1)).reshape(-1, *matrices.shape[1:])
    return total
