"""A gene's own value in the source tissue, used in addition to the shared factors.

A common variant may change a few genes in many tissues and no other gene, so joint factors miss its
effect. The residual of such a gene g in the source, ``r_s``, then predicts its residual in a target
t:

    ``r_t = b_tg r_s + e``.

The residuals are of donors held out of the factor model: residuals of the donors it was fitted to
are too small, above all in small tissues, and b would be underestimated.

Most genes have no such effect. The slopes are therefore modelled as a mixture of one null class and
a grid of classes with effects of several sizes, some of it shared by all tissues,

    ``b_tg = m + u_g + d_tg``,  ``u_g ~ N(0, nu)``,  ``d_tg ~ N(0, omega)``,

fitted by EM on the class probabilities (adaptive shrinkage: Stephens 2017, Biostatistics
18:275-294; over tissues: Urbut et al. 2019, Nat Genet 51:187-195). The null class is estimated from
most genes and is not quite 0: a model fitted to fewer donors leaves some shared variation in the
residuals. A gene more probably null than not gets slopes of 0, every other its posterior mean.

Shapes: F folds, T tissues, G genes, J genes with an effect, N samples, P donors with both tissues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_choice import exceeds_standard_error
from mtm_core.methods.factors import Array, TrainingDonors
from mtm_core.methods.inner_folds import (
    FactorEstimator,
    FittedInnerFold,
    posterior_mean_factors,
)
from mtm_core.methods.protocol import Floats, Genes, check_shape

_EFFECT_VARIANCES = 0.01 * 2.0 ** np.arange(7)
"""Variances of the slopes in the classes with an effect: SDs of 0.1 to 0.8."""
_SHARED_FRACTIONS = (0.0, 0.5, 0.9, 1.0)
"""Fractions of such a variance that are shared by all tissues."""
_PRIOR_NULL_GENES = 10
"""Pseudo-count of null genes in the class probabilities."""
_PRIOR_DONORS = 20
"""Donors' worth of a tissue's mean error variance in the error variance of each gene."""
_MIN_PAIRS = 10
"""A tissue that fewer donors have together with the source gets slopes of 0."""
_N_EM_STEPS = 200
_MAD_TO_SD = 1.4826
_TINY = 1e-12


@dataclass(frozen=True)
class OwnGenes:
    """Slopes of target residuals on source residuals, for the genes with such an effect.

    Attributes
    ----------
    source
        Index of the source tissue.
    genes
        Positions (J,) of the genes, ascending.
    slopes
        Slopes (T, J); 0 for the source itself.
    """

    source: int
    genes: NDArray[np.intp]
    slopes: Floats

    def add(self, mean: Floats, target: int, residuals: Array, genes: Genes, n_genes: int) -> None:
        """Add the predicted residuals of ``target`` to a prediction, in place.

        Parameters
        ----------
        mean
            Prediction (N, number of ``genes``).
        target
            Index of the target tissue.
        residuals
            Source residuals (N, J) of the genes with an effect.
        genes
            The predicted genes, of ``n_genes``.
        """
        column_of_gene = np.full(n_genes, -1)
        column_of_gene[self.genes] = np.arange(len(self.genes))
        columns = column_of_gene[genes]
        has_effect = np.flatnonzero(columns >= 0)
        columns = columns[has_effect]
        change = self.slopes[target, columns] * residuals[:, columns]
        mean[:, has_effect] += change.astype(np.float32)

    def dense(self, n_genes: int) -> Floats:
        """Return the slopes (T, G) of all genes, 0 for those without an effect."""
        slopes: Floats = np.zeros((len(self.slopes), n_genes), dtype=np.float32)
        slopes[:, self.genes] = self.slopes
        return slopes

    @classmethod
    def from_dense(
        cls, source: int, slopes: NDArray[np.floating], shape: tuple[int, ...]
    ) -> OwnGenes:
        """Restore slopes from what :meth:`dense` returned.

        Parameters
        ----------
        shape
            Expected (T, G).

        Raises
        ------
        ValueError
            If the shape differs, a slope is not finite, or one of the source itself is not 0.
        """
        check_shape("own_genes", slopes, shape)
        if not 0 <= source < len(slopes):
            raise ValueError(f"own genes are read in tissue {source} of {len(slopes)}")
        if not np.isfinite(slopes).all() or slopes[source].any():
            raise ValueError("expected finite slopes of own genes, and 0 in their source")
        genes = np.flatnonzero(slopes.any(axis=0))
        return cls(source, genes, np.asarray(slopes[:, genes], dtype=np.float32))


@dataclass(frozen=True)
class ResidualSums:
    """Sums of squares and products of held-out donors' residuals, by fold, target and gene.

    They are sufficient to fit the slopes and to score them on another fold.

    Attributes
    ----------
    n
        Number of held-out donors (F, T) with both source and target.
    products
        Sums ``r_s r_t`` (F, T, G) over these donors.
    source_squares, target_squares
        Sums ``r_s^2`` and ``r_t^2`` (F, T, G).
    source
        Index of the source tissue.
    """

    n: Array
    products: Array
    source_squares: Array
    target_squares: Array
    source: int

    @classmethod
    def zeros(cls, n_folds: int, n_tissues: int, n_genes: int, source: int) -> ResidualSums:
        """Return sums over no donor."""
        products, source_squares, target_squares = (
            np.zeros((n_folds, n_tissues, n_genes)) for _ in range(3)
        )
        n = np.zeros((n_folds, n_tissues))
        return cls(n, products, source_squares, target_squares, source)

    def add(
        self,
        fold: int,
        target: int,
        source_residuals: NDArray[np.floating],
        target_residuals: NDArray[np.floating],
    ) -> None:
        """Add the residuals (P, G) of donors of ``fold``, in place."""
        self.n[fold, target] += len(target_residuals)
        for sums, a, b in (
            (self.products, source_residuals, target_residuals),
            (self.source_squares, source_residuals, source_residuals),
            (self.target_squares, target_residuals, target_residuals),
        ):
            sums[fold, target] += np.einsum("pg,pg->g", a, b, dtype=np.float64)

    @property
    def n_folds(self) -> int:
        """Number of folds, F."""
        return len(self.n)

    def select(self, folds: Sequence[int]) -> ResidualSums:
        """Return the sums of some folds."""
        rows = list(folds)
        return ResidualSums(
            self.n[rows],
            self.products[rows],
            self.source_squares[rows],
            self.target_squares[rows],
            self.source,
        )


def sum_residuals(
    folds: Sequence[FittedInnerFold],
    training: TrainingDonors,
    source: int,
    estimate: FactorEstimator = posterior_mean_factors,
) -> ResidualSums:
    """Sum the residuals of the donors that inner folds hold out, in all tissues and genes.

    Parameters
    ----------
    source
        Index of the source tissue.
    estimate
        Estimator of the held-out donors' factors.
    """
    n_tissues, n_genes = len(training.tissues), training.n_genes
    sums = ResidualSums.zeros(len(folds), n_tissues, n_genes, source)
    for f, fold in enumerate(folds):
        source_residuals = fold.source_residuals(training, source, estimate)
        mixing_weights = fold.mixing_weights(estimate)
        for t, rows, samples in fold.split.target_pairs(training, source):
            predicted = fold.predict(training, t, mixing_weights(t)[rows])
            target_residuals = training.samples[t][1][samples] - predicted
            sums.add(f, t, source_residuals[rows], target_residuals)
    return sums


def choose_own_genes(sums: ResidualSums) -> OwnGenes | None:
    """Fit the slopes; return ``None`` unless they improve held-out predictions beyond chance.

    Each fold is scored with slopes fitted to the other folds: the gain is the fraction of each
    tissue's residual sum of squares that they explain.
    """
    gains = []
    for fold in range(sums.n_folds):
        slopes = slopes_without_fold(sums, fold)
        explained = 2 * slopes * sums.products[fold] - slopes**2 * sums.source_squares[fold]
        total = sums.target_squares[fold].sum(axis=1)
        scored = (total > 0) & (sums.n[fold] >= _MIN_PAIRS)
        gains.append(explained.sum(axis=1)[scored] / total[scored])
    gain = np.concatenate(gains)
    if len(gain) < 2 or not exceeds_standard_error(gain):
        return None
    slopes = fit_slopes(sums)
    genes = np.flatnonzero(slopes.any(axis=0))
    if not len(genes):
        return None
    return OwnGenes(sums.source, genes, slopes[:, genes].astype(np.float32))


def slopes_without_fold(sums: ResidualSums, fold: int) -> Array:
    """Return the slopes (T, G) fitted to all folds but one."""
    return fit_slopes(sums.select([f for f in range(sums.n_folds) if f != fold]))


def fit_slopes(sums: ResidualSums) -> Array:
    """Return the posterior mean slopes (T, G), 0 for genes without an effect."""
    n, products = sums.n.sum(axis=0), sums.products.sum(axis=0)
    slopes: Array = np.zeros_like(products)
    used = np.flatnonzero((n >= _MIN_PAIRS) & (np.arange(len(n)) != sums.source))
    if not len(used):
        return slopes
    source_squares = np.maximum(sums.source_squares.sum(axis=0)[used], _TINY)
    products, n = products[used], n[used, None]
    raw = products / source_squares
    error = np.maximum(sums.target_squares.sum(axis=0)[used] - raw * products, 0)
    mean_error = np.maximum((error / n).mean(axis=1, keepdims=True), _TINY)
    variance = (error + _PRIOR_DONORS * mean_error) / (n + _PRIOR_DONORS) / source_squares
    mean, null = _null_class(raw, variance)
    centred = raw - mean
    effects = [
        (null[0] + size * shared, null[1] + size * (1 - shared))
        for size in _EFFECT_VARIANCES
        for shared in _SHARED_FRACTIONS
    ]
    log_likelihood = np.stack([_log_likelihood(centred, variance, *c) for c in (null, *effects)])
    probability = _class_probabilities(log_likelihood)
    genes = np.flatnonzero(probability[0] < 0.5)
    centred, variance = centred[:, genes], variance[:, genes]
    expected = np.zeros_like(centred)
    for p, (nu, omega) in zip(probability[1:, genes], effects, strict=True):
        weight, shared_effect = _shared_effect(centred, variance, nu, omega)
        expected += p * (mean + shared_effect + omega * weight * (centred - shared_effect))
    slopes[np.ix_(used, genes)] = expected
    return slopes


def _null_class(raw: Array, variance: Array) -> tuple[float, tuple[float, float]]:
    """Return mean m, and variances nu and omega, of the slopes of genes without an effect.

    Robust estimates from the raw slopes (T, G) of all genes, most of which are null.
    """
    weight = 1 / variance
    total = weight.sum(axis=0)
    by_gene = (weight * raw).sum(axis=0) / total
    # DerSimonian & Laird 1986, Control Clin Trials 7:177-188, of the median gene.
    excess = np.median((weight * (raw - by_gene) ** 2).sum(axis=0)) - (len(raw) - 1)
    per_unit = np.median(total - (weight**2).sum(axis=0) / total)
    omega = max(0.0, float(excess / max(per_unit, _TINY)))
    weight = 1 / (variance + omega)
    total = weight.sum(axis=0)
    by_gene = (weight * raw).sum(axis=0) / total
    mean = float(np.median(by_gene))
    spread = (_MAD_TO_SD * float(np.median(np.abs(by_gene - mean)))) ** 2
    return mean, (max(0.0, spread - float(np.median(1 / total))), omega)


def _shared_effect(centred: Array, variance: Array, nu: float, omega: float) -> tuple[Array, Array]:
    """Return the tissues' weights (T, G), and the posterior mean (G,) of the shared effect u_g."""
    weight: Array = 1 / (variance + omega)
    shared: Array = nu * (weight * centred).sum(axis=0) / (1 + nu * weight.sum(axis=0))
    return weight, shared


def _log_likelihood(centred: Array, variance: Array, nu: float, omega: float) -> Array:
    """Return log N(centred; 0, diag(variance + omega) + nu) of each gene (G,), up to a constant."""
    weight, shared = _shared_effect(centred, variance, nu, omega)
    square = (weight * centred * (centred - shared)).sum(axis=0)
    determinant = np.log1p(nu * weight.sum(axis=0)) - np.log(weight).sum(axis=0)
    likelihood: Array = -(square + determinant) / 2
    return likelihood


def _class_probabilities(log_likelihood: Array) -> Array:
    """Return each gene's posterior class probabilities (classes, G), class frequencies by EM."""
    prior = np.zeros(len(log_likelihood))
    prior[0] = _PRIOR_NULL_GENES
    frequency = np.full(len(log_likelihood), 1 / len(log_likelihood))
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=0))
    probability: Array = likelihood
    for _ in range(_N_EM_STEPS):
        probability = frequency[:, None] * likelihood
        probability /= np.maximum(probability.sum(axis=0), _TINY)
        frequency = probability.sum(axis=1) + prior
        frequency /= frequency.sum()
    return probability
