"""A gene's own value in the source tissue, beside the factors that it shares with other genes.

A common variant steers some genes in many tissues and touches no other gene, so factors miss it.
Of what the factors leave of gene g in the source, ``r_s``, a target t then shows a part:

    ``r_t = b_tg r_s + e``.

Residuals are of donors that the factors were fitted without: a fit leaves less of its own donors,
above all in small tissues, and b would come out too small.

Most genes have no such effect. Over genes, the slopes are a mixture of one class without and a grid
of classes with effects of several sizes, of which a part is alike in all tissues,

    ``b_tg = m + u_g + d_tg``,  ``u_g ~ N(0, nu)``,  ``d_tg ~ N(0, omega)``,

fitted by EM on the mixture weights (adaptive shrinkage: Stephens 2017, Biostatistics 18:275-294;
over tissues: Urbut et al. 2019, Nat Genet 51:187-195). The class without is what most genes show,
which is not quite 0: factors of fewer donors leave a little that genes share. A gene more likely
without than with an effect gets 0, every other its posterior mean.

Shapes: F folds, T tissues, G genes, J genes with an effect, N samples, P donors with both tissues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_choice import by_more_than_chance
from mtm_core.methods.factors import Array, TrainingDonors
from mtm_core.methods.inner_folds import Codes, InnerFold, by_expression
from mtm_core.methods.protocol import Floats, Genes, check_shape

_SIZES = 0.01 * 2.0 ** np.arange(7)
"""Variances of slopes in the classes with an effect: slopes of 0.1 to 0.8."""
_ALIKE = (0.0, 0.5, 0.9, 1.0)
"""Shares of such a variance that all tissues have in common."""
_PRIOR_GENES = 10
"""Genes without an effect that are taken to have been seen beforehand."""
_PRIOR_DONORS = 20
"""Donors' worth of a tissue's typical error in the error of each gene."""
_LEAST_PAIRS = 10
"""Donors with both tissues below which a tissue gets no slopes."""
_N_STEPS = 200
_MAD_TO_SD = 1.4826
_TINY = 1e-12


@dataclass(frozen=True)
class OwnGenes:
    """Slopes of the genes that have an effect of their own.

    Attributes
    ----------
    source
        Code of the tissue whose values are read.
    genes
        (J,) positions, ascending.
    slopes
        (T, J); 0 for the source itself.
    """

    source: int
    genes: NDArray[np.intp]
    slopes: Floats

    def add(self, mean: Floats, target: int, left: Array, genes: Genes, n_genes: int) -> None:
        """Add to ``mean`` (N, genes asked for) what ``left`` (N, J) of the source tells of it.

        ``genes`` are those asked for, of ``n_genes``.
        """
        place = np.full(n_genes, -1)
        place[self.genes] = np.arange(len(self.genes))
        asked = place[genes]
        there = np.flatnonzero(asked >= 0)
        own = asked[there]
        mean[:, there] += (self.slopes[target, own] * left[:, own]).astype(np.float32)

    def dense(self, n_genes: int) -> Floats:
        """Return the slopes (T, G), 0 where there is no effect."""
        slopes: Floats = np.zeros((len(self.slopes), n_genes), dtype=np.float32)
        slopes[:, self.genes] = self.slopes
        return slopes

    @classmethod
    def of_dense(
        cls, source: int, slopes: NDArray[np.floating], shape: tuple[int, ...]
    ) -> OwnGenes:
        """Put together what :meth:`dense` gave, of T tissues and G genes.

        Raises
        ------
        ValueError
            If slopes are of other shape, not finite, or the source's own are not 0.
        """
        check_shape("own_genes", slopes, shape)
        if not 0 <= source < len(slopes):
            raise ValueError(f"own genes are read in tissue {source} of {len(slopes)}")
        if not np.isfinite(slopes).all() or slopes[source].any():
            raise ValueError("expected finite slopes of own genes, and 0 in their source")
        genes = np.flatnonzero(slopes.any(axis=0))
        return cls(source, genes, np.asarray(slopes[:, genes], dtype=np.float32))


@dataclass(frozen=True)
class LeftOver:
    """What factors leave of held-out donors, added up by fold.

    Attributes
    ----------
    n
        (F, T) donors with both tissues.
    crossed, of_source, of_target
        (F, T, G): sums over them of ``r_s r_t``, ``r_s^2`` and ``r_t^2``.
    source
        Code of the source tissue.
    """

    n: Array
    crossed: Array
    of_source: Array
    of_target: Array
    source: int

    @classmethod
    def empty(cls, n_folds: int, n_tissues: int, n_genes: int, source: int) -> LeftOver:
        """Begin with no donor."""
        crossed, of_source, of_target = (np.zeros((n_folds, n_tissues, n_genes)) for _ in range(3))
        return cls(np.zeros((n_folds, n_tissues)), crossed, of_source, of_target, source)

    def add(
        self, fold: int, target: int, left_source: NDArray[np.floating], left: NDArray[np.floating]
    ) -> None:
        """Add donors of ``fold``: residuals (P, G) of their source and of their target."""
        self.n[fold, target] += len(left)
        for sums, a, b in (
            (self.crossed, left_source, left),
            (self.of_source, left_source, left_source),
            (self.of_target, left, left),
        ):
            sums[fold, target] += np.einsum("pg,pg->g", a, b, dtype=np.float64)

    @property
    def n_folds(self) -> int:
        """F."""
        return len(self.n)

    def some(self, folds: Sequence[int]) -> LeftOver:
        """Return what these folds show."""
        own = list(folds)
        return LeftOver(
            self.n[own], self.crossed[own], self.of_source[own], self.of_target[own], self.source
        )


def leave_over(
    folds: Sequence[InnerFold],
    training: TrainingDonors,
    source: int,
    codes: Codes = by_expression,
) -> LeftOver:
    """Add up what inner folds leave of the donors whom they hold out, all genes.

    ``codes`` gives the factors of their source samples.
    """
    n_tissues, n_genes = len(training.tissues), training.n_genes
    left_over = LeftOver.empty(len(folds), n_tissues, n_genes, source)
    for f, fold in enumerate(folds):
        left_of_source = fold.left_of(training, source, codes)
        mixture = fold.mixtures(codes)
        for t, rows, samples in fold.deal.held_out(training, source):
            left = training.samples[t][1][samples] - fold.decode(training, t, mixture(t)[rows])
            left_over.add(f, t, left_of_source[rows], left)
    return left_over


def choose_own_genes(left: LeftOver) -> OwnGenes | None:
    """Fit own genes where held-out donors gain by them more than chance; else ``None``.

    Slopes of the other folds are tried on each fold: what share they explain, of each tissue's sum
    of squares, is a function of the sums.
    """
    gains = []
    for fold in range(left.n_folds):
        slopes = slopes_without(left, fold)
        explained = 2 * slopes * left.crossed[fold] - slopes**2 * left.of_source[fold]
        total = left.of_target[fold].sum(axis=1)
        known = (total > 0) & (left.n[fold] >= _LEAST_PAIRS)
        gains.append(explained.sum(axis=1)[known] / total[known])
    gain = np.concatenate(gains)
    if len(gain) < 2 or not by_more_than_chance(gain):
        return None
    slopes = fit_slopes(left)
    genes = np.flatnonzero(slopes.any(axis=0))
    if not len(genes):
        return None
    return OwnGenes(left.source, genes, slopes[:, genes].astype(np.float32))


def slopes_without(left: LeftOver, fold: int) -> Array:
    """Return the slopes (T, G) that the other folds show."""
    return fit_slopes(left.some([f for f in range(left.n_folds) if f != fold]))


def fit_slopes(left: LeftOver) -> Array:
    """Return the shrunk slopes (T, G) of what the sums show; 0 for genes without an effect."""
    n, crossed = left.n.sum(axis=0), left.crossed.sum(axis=0)
    slopes: Array = np.zeros_like(crossed)
    used = np.flatnonzero((n >= _LEAST_PAIRS) & (np.arange(len(n)) != left.source))
    if not len(used):
        return slopes
    of_source = np.maximum(left.of_source.sum(axis=0)[used], _TINY)
    crossed, n = crossed[used], n[used, None]
    raw = crossed / of_source
    error = np.maximum(left.of_target.sum(axis=0)[used] - raw * crossed, 0)
    typical = np.maximum((error / n).mean(axis=1, keepdims=True), _TINY)
    variance = (error + _PRIOR_DONORS * typical) / (n + _PRIOR_DONORS) / of_source
    mean, without = _without_effect(raw, variance)
    centred = raw - mean
    with_effect = [
        (without[0] + size * alike, without[1] + size * (1 - alike))
        for size in _SIZES
        for alike in _ALIKE
    ]
    odds = np.stack([_log_likelihood(centred, variance, *c) for c in (without, *with_effect)])
    probability = _mix(odds)
    genes = np.flatnonzero(probability[0] < 0.5)
    centred, variance = centred[:, genes], variance[:, genes]
    expected = np.zeros_like(centred)
    for share, (nu, omega) in zip(probability[1:, genes], with_effect, strict=True):
        weight, common = _common(centred, variance, nu, omega)
        expected += share * (mean + common + omega * weight * (centred - common))
    slopes[np.ix_(used, genes)] = expected
    return slopes


def _without_effect(raw: Array, variance: Array) -> tuple[float, tuple[float, float]]:
    """Return mean, nu and omega of slopes (T, G) without an effect: robust, of all genes."""
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


def _common(centred: Array, variance: Array, nu: float, omega: float) -> tuple[Array, Array]:
    """Return the weights (T, G) of a gene's tissues, and the posterior mean (G,) of u_g."""
    weight: Array = 1 / (variance + omega)
    common: Array = nu * (weight * centred).sum(axis=0) / (1 + nu * weight.sum(axis=0))
    return weight, common


def _log_likelihood(centred: Array, variance: Array, nu: float, omega: float) -> Array:
    """Return log N(centred; 0, diag(variance + omega) + nu) of each gene (G,), up to a constant."""
    weight, common = _common(centred, variance, nu, omega)
    square = (weight * centred * (centred - common)).sum(axis=0)
    determinant = np.log1p(nu * weight.sum(axis=0)) - np.log(weight).sum(axis=0)
    likelihood: Array = -(square + determinant) / 2
    return likelihood


def _mix(odds: Array) -> Array:
    """Fit the weights of classes to log-likelihoods (classes, G): each gene's probabilities."""
    prior = np.zeros(len(odds))
    prior[0] = _PRIOR_GENES
    shares = np.full(len(odds), 1 / len(odds))
    relative = np.exp(odds - odds.max(axis=0))
    probability: Array = relative
    for _ in range(_N_STEPS):
        probability = shares[:, None] * relative
        probability /= np.maximum(probability.sum(axis=0), _TINY)
        shares = probability.sum(axis=1) + prior
        shares /= shares.sum()
    return probability
