"""Factor models fitted without the held-out donors of an inner split.

EM reads a tissue's samples through their Gram matrix alone (:mod:`mtm_core.methods.factor_noise`).
The Gram matrix of the remaining donors is a submatrix of that of all donors, and, with the diagonal
noise fixed at each gene's own variance, it is the same for all settings. So where genes outnumber
samples it is computed once, and an EM step costs n x n x K whatever G is.

Shapes: n samples of a tissue (of the remaining donors), m held-out samples of the source, G genes,
C covariates, K factors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtm_core.methods.factor_fit import (
    WIDE_STEPS,
    covariate_block,
    expectation_maximisation,
    fit_blocks,
    is_wide,
    leading_factors,
    spectral_factors,
    start_from,
)
from mtm_core.methods.factor_noise import EMBlock, FittedBlock, GramBlock, GramEigenbasis
from mtm_core.methods.factors import (
    Array,
    FactorSettings,
    TrainingDonors,
    leave_one_tissue_out_factors,
)
from mtm_core.methods.inner_split import InnerSplit

N_EM_STEPS = 20
ByCovariates = tuple[Array, Array]
"""Estimates without covariates, and with them: to be indexed by ``with_covariates``."""


@dataclass(frozen=True)
class InnerFit:
    """A factor model fitted without the held-out donors, with its posterior mean factors.

    Attributes
    ----------
    loading_coefficients
        For each tissue: coefficients ``A'`` (n, K), which give its loadings as ``Y' A'``, where Y
        are the samples of the remaining donors.
    held_out_factors
        Factors (m, K) of the held-out donors, estimated from their source sample.
    held_out_factors_from_several
        The same, estimated from their source sample and their samples of further tissues.
    remaining_factors
        Factors (n, K) of the remaining donors with the source, estimated from their source sample.
    leave_source_out_factors
        Factors (n, K) of the same donors, estimated from everything but the source.
    """

    loading_coefficients: Sequence[Array]
    held_out_factors: ByCovariates
    held_out_factors_from_several: ByCovariates
    remaining_factors: ByCovariates
    leave_source_out_factors: Array


FitOne = Callable[[FactorSettings, int], InnerFit]
"""Fits one model, given settings with one number of factors, and a seed."""


def inner_fitter(training: TrainingDonors, split: InnerSplit, source: int) -> FitOne:
    """Return the function that fits a model without the held-out donors of ``split``."""
    fitter = _SampleSpaceFitter if is_wide(training) else _GeneSpaceFitter
    return fitter(training, split, source)


class _GeneSpaceFitter:
    """Fits models in the space of genes."""

    def __init__(self, training: TrainingDonors, split: InnerSplit, source: int) -> None:
        new_number = np.cumsum(~split.is_held_out) - 1
        self._training = replace(
            training,
            samples=tuple(
                (new_number[donor[~held]], y[~held])
                for (donor, y), held in zip(training.samples, split.held_out_samples, strict=True)
            ),
            covariates=training.covariates[~split.is_held_out],
        )
        donor, y = training.samples[source]
        held = split.held_out_samples[source]
        self._split, self._source = split, source
        self._y_source = np.asarray(y[held], dtype=np.float64)
        self._covariates = training.covariates[donor[held]]
        self._y_further = [
            np.asarray(training.samples[t][1][split.held_out_samples[t]], dtype=np.float64)
            for t in split.further
        ]

    def __call__(self, settings: FactorSettings, seed: int) -> InnerFit:
        (n_factors,) = settings.n_factors
        *tissues, covariate_part = fit_blocks(
            self._training,
            n_factors,
            n_iterations=N_EM_STEPS,
            ridge=settings.ridge,
            shrinkage=settings.shrinkage,
            seed=seed,
        )
        held_out = _HeldOutMeans(
            self._y_source @ tissues[self._source].loadings()[1],
            [
                y @ tissues[t].loadings()[1]
                for t, y in zip(self._split.further, self._y_further, strict=True)
            ],
            self._covariates,
        )
        n_donors = self._training.n_donors
        return _inner_fit(tissues, covariate_part, held_out, n_donors, self._split, self._source)


class _SampleSpaceFitter:
    """Fits models in the space of samples, for many genes."""

    def __init__(self, training: TrainingDonors, split: InnerSplit, source: int) -> None:
        new_number = np.cumsum(~split.is_held_out) - 1
        self._remaining_covariates = training.covariates[~split.is_held_out]
        self._split, self._source = split, source
        self._tissues = [
            (new_number[donor[~held]], GramEigenbasis(gram[np.ix_(~held, ~held)]))
            for (donor, _), held, gram in zip(
                training.samples, split.held_out_samples, training.grams, strict=True
            )
        ]
        self._initial_factors: dict[float, Array] = {}
        held = split.held_out_samples[source]
        self._covariates = training.covariates[training.samples[source][0][held]]
        # Gram matrices of held-out samples (rows) with the remaining ones (columns).
        self._cross_source = training.grams[source][np.ix_(held, ~held)]
        self._cross_further = [
            training.grams[t][np.ix_(split.held_out_samples[t], ~split.held_out_samples[t])]
            for t in split.further
        ]

    def __call__(self, settings: FactorSettings, seed: int) -> InnerFit:
        (n_factors,), ridge, shrinkage = settings.n_factors, settings.ridge, settings.shrinkage
        n_donors = len(self._remaining_covariates)
        if shrinkage not in self._initial_factors:
            donors, bases = zip(*self._tissues, strict=True)
            self._initial_factors[shrinkage] = spectral_factors(donors, bases, n_donors, shrinkage)
        tissues = [
            GramBlock(donor, basis.multiplier(shrinkage), None, ridge, shrinkage)
            for donor, basis in self._tissues
        ]
        covariate_part = covariate_block(self._remaining_covariates, n_factors, ridge, shrinkage)
        blocks: list[EMBlock] = [*tissues, covariate_part]
        start_from(leading_factors(self._initial_factors[shrinkage], n_factors), blocks)
        expectation_maximisation(blocks, n_donors, n_factors, WIDE_STEPS)
        source = tissues[self._source]
        held_out = _HeldOutMeans(
            self._cross_source / (1 - source.s) @ source.weight_coefficients,
            [
                cross / (1 - tissues[t].s) @ tissues[t].weight_coefficients
                for t, cross in zip(self._split.further, self._cross_further, strict=True)
            ],
            self._covariates,
        )
        return _inner_fit(tissues, covariate_part, held_out, n_donors, self._split, self._source)


@dataclass(frozen=True)
class _HeldOutMeans:
    """Precision-weighted means ``Y Psi^-1 W`` of the held-out donors' factors.

    Attributes
    ----------
    source
        From their source samples (m, K).
    further
        From the held-out samples of each further tissue.
    covariates
        The covariates (m, C) of the held-out source samples' donors.
    """

    source: Array
    further: Sequence[Array]
    covariates: Array


def _inner_fit(
    tissues: Sequence[EMBlock],
    covariate_part: FittedBlock,
    held_out: _HeldOutMeans,
    n_donors: int,
    split: InnerSplit,
    source: int,
) -> InnerFit:
    """Estimate all factors that an :class:`InnerFit` holds from a fitted model."""
    block = tissues[source]
    _, covariate_weights, _ = covariate_part.loadings()
    covariate_mean = held_out.covariates @ covariate_weights
    precision = np.eye(len(block.precision)) + block.precision
    with_covariates = precision + covariate_part.precision
    likelihoods = [(b.donor, b.precision, b.weighted_mean) for b in (*tissues, covariate_part)]
    (leave_source_out,) = leave_one_tissue_out_factors(likelihoods, n_donors, [source])
    return InnerFit(
        loading_coefficients=[b.loading_coefficients for b in tissues],
        held_out_factors=(
            _posterior_mean(precision, held_out.source),
            _posterior_mean(with_covariates, held_out.source + covariate_mean),
        ),
        held_out_factors_from_several=_from_several_tissues(
            tissues, covariate_part, held_out, precision, split
        ),
        remaining_factors=(
            _posterior_mean(precision, block.weighted_mean),
            _posterior_mean(
                with_covariates, block.weighted_mean + covariate_part.weighted_mean[block.donor]
            ),
        ),
        leave_source_out_factors=leave_source_out,
    )


def _from_several_tissues(
    tissues: Sequence[EMBlock],
    covariate_part: FittedBlock,
    held_out: _HeldOutMeans,
    source_precision: Array,
    split: InnerSplit,
) -> ByCovariates:
    """Estimate held-out donors' factors (m, K) from the source and their further tissues."""
    weighted_mean = held_out.source.copy()
    plain, with_covariates = np.empty_like(weighted_mean), np.empty_like(weighted_mean)
    for rows, further in zip(split.further_rows, held_out.further, strict=True):
        weighted_mean[rows >= 0] += further[rows[rows >= 0]]
    shifted = weighted_mean + held_out.covariates @ covariate_part.loadings()[1]
    # The posterior precision is the same for all donors who have the same tissues.
    has = np.zeros((len(weighted_mean), len(split.further)), dtype=bool)
    for i, rows in enumerate(split.further_rows):
        has[:, i] = rows >= 0
    for pattern in np.unique(has, axis=0):
        same = (has == pattern).all(axis=1)
        precision = source_precision + sum(
            tissues[split.further[i]].precision for i in np.flatnonzero(pattern)
        )
        plain[same] = _posterior_mean(precision, weighted_mean[same])
        with_covariates[same] = _posterior_mean(precision + covariate_part.precision, shifted[same])
    return plain, with_covariates


def _posterior_mean(precision: Array, weighted_mean: Array) -> Array:
    """Return the posterior mean factors (N, K) from precision-weighted means (N, K)."""
    return np.asarray(np.linalg.solve(precision, weighted_mean.T).T, dtype=np.float64)
