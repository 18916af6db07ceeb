"""Fit the factors that all tissues of a donor share, by EM.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76; the parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770.

Shapes: D donors, T tissues, G genes, K factors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_noise import GeneSpace, GramBasis, SampleSpace, Steps, TissuePart
from mtm_core.methods.factors import Array, Factors, TrainingDonors

WIDE_STEPS = 5
"""Steps of EM in the space of samples, where it begins near its end."""
_MOST_FACTORS = 200
RENEWALS = 0
"""How often diagonal noise is fitted anew in the space of samples, evenly over the steps.

It costs a Gram matrix for each model and tissue and gained nothing at width (docs/genome.md)."""


def fit_factors(
    training: TrainingDonors,
    n_factors: int,
    *,
    n_iterations: int,
    ridge: float,
    shrinkage: float,
    seed: int,
    renewals: int = RENEWALS,
) -> Factors:
    """Fit K factors, as :func:`fit_parts` does, and bring them to genes."""
    return collect(
        fit_parts(
            training,
            n_factors,
            n_iterations=n_iterations,
            ridge=ridge,
            shrinkage=shrinkage,
            seed=seed,
            renewals=renewals,
        )
    )


def fit_parts(
    training: TrainingDonors,
    n_factors: int,
    *,
    n_iterations: int,
    ridge: float,
    shrinkage: float,
    seed: int,
    renewals: int = RENEWALS,
) -> list[TissuePart]:
    """Fit K factors; what each tissue, and the covariates at last, have of them.

    The same model in the form that its shape calls for: with at most as many genes as the largest
    tissue has samples, noise (G, G) is held; with more, nothing is wider than the samples.

    Parameters
    ----------
    n_iterations, ridge, shrinkage
        As in :class:`mtm_core.methods.joint_gaussian.JointGaussianMethod`.
    seed
        Of the loadings to begin with, where there are few genes.
    renewals
        In the space of samples: how often diagonal noise is fitted anew.
    """
    parts: list[TissuePart] = []
    renew = {round((i + 1) * n_iterations / (renewals + 2)) for i in range(renewals)}
    if is_wide(training):
        bases = [GramBasis(gram) for gram in training.grams]
        donors = [donor for donor, _ in training.samples]
        start = like_donors(donors, bases, training.n_donors, shrinkage)
        for block, basis in zip(training.samples, bases, strict=True):
            parts.append(SampleSpace(block, None, ridge, shrinkage, basis))
        parts.append(known_of(training.covariates, n_factors, ridge, shrinkage))
        begin_with(first_factors(start, n_factors), parts)
        expectation_maximisation(parts, training.n_donors, n_factors, n_iterations, renew)
        return parts
    rng = np.random.default_rng(seed)
    for block in training.blocks:
        shape = (block[1].shape[1], n_factors)
        loadings: Array = 0.3 * rng.standard_normal(shape) / np.sqrt(n_factors)
        parts.append(GeneSpace(block, loadings, ridge, shrinkage))
    expectation_maximisation(parts, training.n_donors, n_factors, n_iterations, renew)
    return parts


def collect(parts: Sequence[TissuePart]) -> Factors:
    """Bring what was fitted to genes, a tissue at a time."""
    *tissues, known = parts
    for t, part in enumerate(tissues):
        fitted = part.loadings()
        if t == 0:
            kind = fitted[0].dtype
            arrays = [np.empty((len(tissues), *array.shape), kind) for array in fitted]
        for array, own in zip(arrays, fitted, strict=True):
            array[t] = own
    loadings, weights, noise = arrays
    covariate_loadings, covariate_weights, _ = known.loadings()
    return Factors(
        loadings,
        weights,
        noise,
        np.asarray(covariate_loadings, dtype=np.float64),
        np.asarray(covariate_weights, dtype=np.float64),
    )


def like_donors(
    donors: Sequence[NDArray[np.int64]],
    bases: Sequence[GramBasis],
    n_donors: int,
    shrinkage: float,
) -> Array:
    """Return factors (D, F) to begin with: donors who are alike in many tissues are near in them.

    They are the eigenvectors of how alike two donors are, mean over the tissues that both have, the
    leading first. EM begun from random loadings needs 40 steps to come as far as from here in 2.
    """
    alike, both = np.zeros((n_donors, n_donors)), np.zeros((n_donors, n_donors))
    for donor, basis in zip(donors, bases, strict=True):
        place = np.ix_(donor, donor)
        alike[place] += basis.likeness(shrinkage)
        both[place] += 1
    np.fill_diagonal(alike, 0)  # a sample's own noise is not how donors are alike
    _, vectors = np.linalg.eigh(alike / np.maximum(both, 1))
    factors: Array = vectors[:, : -_MOST_FACTORS - 1 : -1] * np.sqrt(n_donors)
    return factors


def first_factors(start: Array, n_factors: int) -> Array:
    """Return the first K of factors (D, F); factors that are not there are 0."""
    factors = np.zeros((len(start), n_factors))
    factors[:, : start.shape[1]] = start[:, :n_factors]
    return factors


def known_of(covariates: Array, n_factors: int, ridge: float, shrinkage: float) -> GeneSpace:
    """Return the part of the covariates (D, C), which every donor has."""
    blank = np.zeros((covariates.shape[1], n_factors))
    return GeneSpace((np.arange(len(covariates)), covariates), blank, ridge, shrinkage)


def begin_with(factors: Array, parts: Sequence[Steps]) -> None:
    """Fit every part to factors (D, K) as if they were known."""
    unknown = np.zeros((factors.shape[1], factors.shape[1]))
    for part in parts:
        part.maximise(factors[part.donor], unknown, renew=False)


def is_wide(training: TrainingDonors) -> bool:
    """Tell whether there are more genes than the largest tissue has samples."""
    return training.n_genes > max(len(donor) for donor, _ in training.samples)


def expectation_maximisation(
    parts: Sequence[Steps],
    n_donors: int,
    n_factors: int,
    n_iterations: int,
    renew: Collection[int] = (),
) -> None:
    """Take ``n_iterations`` steps; at those of ``renew`` diagonal noise is fitted anew."""
    given = np.zeros((len(parts), n_donors))
    for i, part in enumerate(parts):
        given[i, part.donor] = 1
    for step in range(n_iterations):
        precisions = np.stack([part.precision for part in parts])
        precision = np.eye(n_factors) + _added_up(given.T, precisions)
        projected = np.zeros((n_donors, n_factors))
        for part in parts:
            projected[part.donor] += part.projected
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = np.einsum("dkl,dl->dk", covariance, projected)
        # Rescale the factors to unit second moment: the same model, in far fewer steps.
        moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
        inverse = np.linalg.inv(np.linalg.cholesky(moment))
        mean = mean @ inverse.T
        spread = inverse @ _added_up(given, covariance) @ inverse.T
        for part, own in zip(parts, spread, strict=True):
            part.maximise(mean[part.donor], own, renew=step in renew)


def _added_up(which: Array, matrices: Array) -> Array:
    """Add up, for each row of ``which`` (A, B), the ``matrices`` (B, K, K) that it marks."""
    total: Array = (which @ matrices.reshape(len(matrices), -1)).reshape(-1, *matrices.shape[1:])
    return total
