"""Inner folds: how well factor models predict training donors who were held out of the fit.

They choose the settings of a factor model (:mod:`mtm_core.methods.factor_choice`), and give the
out-of-fold predictions from which a stack is calibrated (:mod:`mtm_core.methods.factor_stack`).
Held-out donors are scored on some genes, drawn at random.

Loadings are linear combinations of the remaining donors' samples Y, ``W = Y' A'``. A predicted
profile ``z W'`` is therefore ``(z A) Y``: a mixture of these samples, with mixing weights ``z A``.

Shapes: n samples of a tissue (of the remaining donors), m held-out samples of the source, P of them
whose donors also have a target, G genes, K factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mtm_core.methods.factors import Array, FactorSettings, TrainingDonors
from mtm_core.methods.inner_fits import FitOne, InnerFit, inner_fitter
from mtm_core.methods.inner_split import InnerSplit, make_splits
from mtm_core.methods.protocol import Floats

FactorEstimator = Callable[[InnerFit], Array]
"""Returns the estimated factors (m, K) of the held-out source samples."""


def posterior_mean_factors(fit: InnerFit) -> Array:
    """Return the posterior mean factors (m, K) of the held-out source samples."""
    return fit.held_out_factors[False]


@dataclass(frozen=True)
class FittedInnerFold:
    """An inner split, and the models fitted without its held-out donors.

    Attributes
    ----------
    split
        The held-out donors and their samples.
    fits
        The fitted models, one for each number of factors; their predictions are averaged.
    """

    split: InnerSplit
    fits: tuple[InnerFit, ...]

    def rho(self, estimate: FactorEstimator = posterior_mean_factors) -> Array:
        """Score the predictions of held-out donors.

        Parameters
        ----------
        estimate
            Estimator of their factors.

        Returns
        -------
        numpy.ndarray
            Gene-wise rho of each target in ``split.scored_pairs``, averaged over scored genes.
        """
        mixing_weights = self.mixing_weights(estimate)
        held_out, scored = self.split.held_out_samples, self.split.scored
        return np.array(
            [
                _mean_gene_rho(mixing_weights(t)[rows] @ scored[t][~held_out[t]], observed)
                for t, (rows, observed) in self.split.scored_pairs.items()
            ]
        )

    def mixing_weights(self, estimate: FactorEstimator) -> Callable[[int], Array]:
        """Return the function from a tissue's index to its mixing weights (m, n)."""
        factors = [estimate(fit) / len(self.fits) for fit in self.fits]

        def mixing_weights(t: int) -> Array:
            pairs = zip(factors, self.fits, strict=True)
            total: Array = np.sum([z @ fit.loading_coefficients[t].T for z, fit in pairs], axis=0)
            return total

        return mixing_weights

    def predict(self, training: TrainingDonors, t: int, mixing_weights: Array) -> Floats:
        """Predict squashed z-scores of one tissue.

        Parameters
        ----------
        training
            Training data of all donors.
        t
            Index of the tissue.
        mixing_weights
            Mixing weights (P, n) of the remaining donors' samples.

        Returns
        -------
        numpy.ndarray
            Predicted squashed z-scores (P, G).
        """
        samples = training.samples[t][1]
        if len(samples) == 0:
            return np.zeros((len(mixing_weights), training.n_genes), dtype=np.float32)
        # Weights of 0 for the held-out samples cost less than a copy of all others.
        padded = np.zeros((len(mixing_weights), len(samples)), dtype=np.float32)
        padded[:, ~self.split.held_out_samples[t]] = mixing_weights
        return np.asarray(padded @ samples, dtype=np.float32)

    def source_residuals(
        self, training: TrainingDonors, source: int, estimate: FactorEstimator
    ) -> Floats:
        """Return the residuals (m, G) of the held-out source samples."""
        fitted = self.predict(training, source, self.mixing_weights(estimate)(source))
        observed = training.samples[source][1][self.split.held_out_samples[source]]
        residuals: Floats = observed - fitted
        return residuals


@dataclass(frozen=True)
class InnerFold:
    """An inner split, and the function that fits a model to its remaining donors."""

    split: InnerSplit
    fit_one: FitOne

    def fit(self, settings: FactorSettings, seed: int) -> FittedInnerFold:
        """Fit one model for each number of factors of ``settings``."""
        each = [replace(settings, n_factors=(k,)) for k in settings.n_factors]
        return FittedInnerFold(self.split, tuple(self.fit_one(one, seed) for one in each))


def make_inner_folds(training: TrainingDonors, source: int, seed: int) -> tuple[InnerFold, ...]:
    """Split the training donors into inner folds, to be predicted from the tissue ``source``.

    Parameters
    ----------
    training
        Training data of all donors.
    source
        Index of the source tissue.
    seed
        Seed of the folds and of the scored genes.
    """
    splits = make_splits(training, source, seed)
    return tuple(InnerFold(split, inner_fitter(training, split, source)) for split in splits)


def _mean_gene_rho(predicted: Array, observed: Array) -> float:
    """Return Pearson's rho across donors, averaged over the genes that vary."""
    p, o = predicted - predicted.mean(axis=0), observed - observed.mean(axis=0)
    scale = np.sqrt((p**2).sum(axis=0) * (o**2).sum(axis=0))
    return float(np.mean((p * o).sum(axis=0)[scale > 0] / scale[scale > 0]))
