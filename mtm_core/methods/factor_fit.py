"""Fit the factors that all tissues of a donor share, by EM.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76; the parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770.

Shapes: D donors, T tissues, G genes, K factors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from mtm_core.methods.factor_noise import GeneSpace, SampleSpace, Steps, TissuePart
from mtm_core.methods.factors import Array, Factors, TrainingDonors, gather

RENEWALS = 2
"""How often diagonal noise is fitted anew in the space of samples, evenly over the steps."""


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
    """Fit K factors.

    The same model in the form that its shape calls for: with at most as many genes as the largest
    tissue has samples, noise (G, G) is held; with more, nothing is wider than the samples.

    Parameters
    ----------
    n_iterations, ridge, shrinkage
        As in :class:`mtm_core.methods.joint_gaussian.JointGaussianMethod`.
    seed
        Of the loadings to begin with.
    renewals
        In the space of samples: how often diagonal noise is fitted anew.
    """
    rng = np.random.default_rng(seed)
    wide = is_wide(training)
    parts: list[TissuePart] = []
    for i, block in enumerate(training.blocks):
        width = block[1].shape[1]
        start = 0.3 * rng.standard_normal((width, n_factors)) / np.sqrt(n_factors)
        of_genes = i < len(training.samples)
        form = SampleSpace if wide and of_genes else GeneSpace
        parts.append(form(block, start, ridge, shrinkage))
    renew = {round((i + 1) * n_iterations / (renewals + 2)) for i in range(renewals)}
    expectation_maximisation(parts, training.n_donors, n_factors, n_iterations, renew)
    *fitted, (covariate_loadings, covariate_weights, _) = [part.loadings() for part in parts]
    return Factors(
        np.stack([loadings for loadings, _, _ in fitted]),
        np.stack([weights for _, weights, _ in fitted]),
        np.stack([noise for _, _, noise in fitted]),
        covariate_loadings,
        covariate_weights,
    )


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
    for step in range(n_iterations):
        told = ((part.donor, part.precision, part.projected) for part in parts)
        precision, projected = gather(told, n_donors, n_factors)
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = np.einsum("dkl,dl->dk", covariance, projected)
        # Rescale the factors to unit second moment: the same model, in far fewer steps.
        moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
        inverse = np.linalg.inv(np.linalg.cholesky(moment))
        mean = mean @ inverse.T
        covariance = inverse @ covariance @ inverse.T
        for part in parts:
            own = part.donor
            part.maximise(mean[own], covariance[own].sum(axis=0), renew=step in renew)
