"""Factor models fitted without some of the training donors, to see how well these are predicted.

A tissue's samples enter EM through their Gram matrix alone (:mod:`mtm_core.methods.factor_noise`).
That of some of the donors is a part of that of all, and with the diagonal noise held at each gene's
own variance it is the same for every setting: so where genes outnumber samples it is made once, and
a step costs n x n x K whatever G is. Held-out donors are scored on some genes drawn at random.

Shapes: n samples of a tissue, m held-out samples of the source, G genes, g of them scored, K
factors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_fit import expectation_maximisation, fit_factors, is_wide
from mtm_core.methods.factor_noise import (
    GeneSpace,
    SampleSteps,
    Steps,
    gram_of,
    mean_square,
    sharing,
)
from mtm_core.methods.factors import LEAST_NOISE, Array, Told, TrainingDonors, by_other_tissues

N_FOLDS = 3
N_STEPS = 20
N_SCORED = 1000
_NEGLIGIBLE = 1e-6
_LEAST_PAIRS = 10
"""Held-out donors below which a tissue's correlations say too little to be counted."""
_Pairs = dict[int, tuple[NDArray[np.int64], Array]]


@dataclass(frozen=True, order=True)
class FactorSettings:
    """Settings of a factor model.

    Attributes
    ----------
    n_factors
        Sizes of the models to average.
    ridge
        Donors' worth of prior on the loadings.
    shrinkage
        A tissue of n donors keeps n / (n + shrinkage) of its noise correlations.
    """

    n_factors: tuple[int, ...]
    ridge: float
    shrinkage: float


@dataclass(frozen=True)
class InnerFit:
    """A model fitted without the donors held out; the scored genes stand for all.

    Attributes
    ----------
    factors
        (m, K) of the held-out source samples, by these alone.
    loadings
        (g, K) of each target.
    linear, others
        (n, K) of the other donors who have the source: by it alone, and by all but it.
    all_loadings
        Gives (G, K) of any tissue.
    """

    factors: Array
    loadings: Mapping[int, Array]
    linear: Array
    others: Array
    all_loadings: Callable[[int], NDArray[np.floating]]


@dataclass(frozen=True)
class InnerFold:
    """Donors held out, paired with what was seen of them, and the models of the others.

    Attributes
    ----------
    fits
        The models to average.
    pairs
        By target: rows among the held-out source samples, and what was observed (pairs, g).
    held_out
        (D,) which donors are held out.
    """

    fits: tuple[InnerFit, ...]
    pairs: _Pairs
    held_out: NDArray[np.bool_]

    def rho(self, factors: Callable[[InnerFit], Array] | None = None) -> Array:
        """Give gene-wise rho of each target, mean over scored genes.

        ``factors`` gives other factors than a fit's own for its held-out samples.
        """
        codes = [fit.factors if factors is None else factors(fit) for fit in self.fits]
        rho = []
        for t, (rows, observed) in self.pairs.items():
            predicted = [
                own[rows] @ fit.loadings[t].T for own, fit in zip(codes, self.fits, strict=True)
            ]
            rho.append(_gene_rho(np.mean(predicted, axis=0), observed))
        return np.array(rho)


_Fit = Callable[[FactorSettings, int, Collection[int]], InnerFit]
"""Fits one model to the other donors, with loadings of the targets asked for."""


@dataclass(frozen=True)
class DonorFold:
    """Donors held out, and how the others are fitted."""

    fit: _Fit
    pairs: _Pairs
    held_out: NDArray[np.bool_]

    def fitted(self, settings: FactorSettings, seed: int) -> InnerFold:
        """Fit the models to average."""
        each = [replace(settings, n_factors=(k,)) for k in settings.n_factors]
        fits = tuple(self.fit(one, seed, self.pairs) for one in each)
        return InnerFold(fits, self.pairs, self.held_out)


def deal_folds(training: TrainingDonors, source: int, seed: int) -> tuple[DonorFold, ...]:
    """Deal the training donors into folds, and draw the genes that are scored."""
    rng = np.random.default_rng(seed)
    n_scored = min(N_SCORED, training.n_genes)
    genes = np.sort(rng.choice(training.n_genes, n_scored, replace=False))
    scored = [np.asarray(y[:, genes], dtype=np.float64) for _, y in training.samples]
    grams = [_gram(y) for _, y in training.samples] if is_wide(training) else []
    fold_of = _deal(training.n_donors, training.samples[source][0], rng)
    folds = []
    for f in range(N_FOLDS):
        held_out = [fold_of[donor] == f for donor, _ in training.samples]
        fit: _Fit = (
            _InSamples(training, fold_of == f, held_out, source, grams, scored)
            if grams
            else _InGenes(training, fold_of == f, held_out, source)
        )
        folds.append(DonorFold(fit, _paired(training, held_out, source, scored), fold_of == f))
    return tuple(folds)


class _InGenes:
    """Fits in the space of genes: few genes, all of them scored."""

    def __init__(
        self,
        training: TrainingDonors,
        is_held_out: NDArray[np.bool_],
        held_out: Sequence[NDArray[np.bool_]],
        source: int,
    ) -> None:
        number = np.cumsum(~is_held_out) - 1
        self._training = replace(
            training,
            samples=tuple(
                (number[donor[~held]], y[~held])
                for (donor, y), held in zip(training.samples, held_out, strict=True)
            ),
            covariates=training.covariates[~is_held_out],
        )
        self._source = source
        self._given = np.asarray(training.samples[source][1][held_out[source]], dtype=np.float64)

    def __call__(self, settings: FactorSettings, seed: int, targets: Collection[int]) -> InnerFit:
        (k,) = settings.n_factors
        model = fit_factors(
            self._training,
            k,
            n_iterations=N_STEPS,
            ridge=settings.ridge,
            shrinkage=settings.shrinkage,
            seed=seed,
        )
        factors, _ = model.posterior({self._source: self._given}, np.empty((len(self._given), 0)))
        loadings = {t: model.loadings[t] for t in targets}
        told = model.told(self._training)
        return _inner_fit(
            factors,
            loadings,
            told,
            self._source,
            self._training.n_donors,
            model.loadings.__getitem__,
        )


class _InSamples:
    """Fits in the space of samples: many genes, of which some are scored."""

    def __init__(
        self,
        training: TrainingDonors,
        is_held_out: NDArray[np.bool_],
        held_out: Sequence[NDArray[np.bool_]],
        source: int,
        grams: Sequence[Array],
        scored: Sequence[Array],
    ) -> None:
        number = np.cumsum(~is_held_out) - 1
        self._covariates = training.covariates[~is_held_out]
        self._source = source
        self._profiles = [y for _, y in training.samples]
        self._kept = [np.flatnonzero(~held) for held in held_out]
        self._tissues = [
            _Samples(number[donor[~held]], gram[np.ix_(~held, ~held)], y[~held])
            for (donor, _), held, gram, y in zip(
                training.samples, held_out, grams, scored, strict=True
            )
        ]
        own = held_out[source]
        self._crossed = grams[source][np.ix_(own, ~own)]

    def __call__(self, settings: FactorSettings, seed: int, targets: Collection[int]) -> InnerFit:
        (k,) = settings.n_factors
        rng = np.random.default_rng(seed)

        def start(width: int) -> Array:
            loadings: Array = 0.3 * rng.standard_normal((width, k)) / np.sqrt(k)
            return loadings

        n_scored = self._tissues[0].scored.shape[1]
        parts = [tissue.steps(start(n_scored), settings) for tissue in self._tissues]
        n_donors, n_covariates = self._covariates.shape
        known = GeneSpace(
            (np.arange(n_donors), self._covariates),
            start(n_covariates),
            settings.ridge,
            settings.shrinkage,
        )
        everyone: list[Steps] = [*parts, known]
        expectation_maximisation(everyone, n_donors, k, N_STEPS)
        source = parts[self._source]
        projected = self._crossed / (1 - source.kept) @ source.left
        factors = np.linalg.solve(np.eye(k) + source.precision, projected.T).T
        loadings = {t: self._tissues[t].scored.T @ parts[t].coefficients for t in targets}
        told = [(part.donor, part.precision, part.projected) for part in everyone]
        coefficients = [part.coefficients for part in parts]

        def all_loadings(t: int) -> NDArray[np.floating]:
            # With 0 for those held out no copy of the others is made.
            y = self._profiles[t]
            padded = np.zeros((len(y), k), dtype=np.float32)
            padded[self._kept[t]] = coefficients[t]
            by_gene: NDArray[np.floating] = y.T @ padded
            return by_gene

        return _inner_fit(np.asarray(factors), loadings, told, self._source, n_donors, all_loadings)


class _Samples:
    """Samples of a tissue that are trained on, in the eigenvectors of their Gram matrix.

    Attributes
    ----------
    donor
        (n,).
    scored
        (n, g) z-scores.
    """

    def __init__(self, donor: NDArray[np.int64], gram: Array, scored: Array) -> None:
        self.donor, self.scored = donor, scored
        values, vectors = np.linalg.eigh(gram)
        used = values > _NEGLIGIBLE * max(values.max(initial=0.0), 1.0)
        self._values, self._vectors = values[used], vectors[:, used]

    def steps(self, start: Array, settings: FactorSettings) -> SampleSteps:
        """Begin EM with ``settings`` from loadings ``start`` (g, K) of the scored genes."""
        kept, c = sharing(len(self.donor), settings.shrinkage)
        values = self._values / (1 - kept)
        through = (values / (1 + c * values))[:, None]

        def apply(factors: Array) -> Array:
            applied: Array = self._vectors @ (through * (self._vectors.T @ factors))
            return applied

        told = (start.T @ start, self.scored @ start)
        return SampleSteps(self.donor, apply, told, settings.ridge, settings.shrinkage)


def _inner_fit(
    factors: Array,
    loadings: Mapping[int, Array],
    told: Sequence[Told],
    source: int,
    n_donors: int,
    all_loadings: Callable[[int], NDArray[np.floating]],
) -> InnerFit:
    _, precision, projected = told[source]
    linear = np.linalg.solve(np.eye(len(precision)) + precision, projected.T).T
    (others,) = by_other_tissues(told, n_donors, [source])
    by_source = np.asarray(linear, dtype=np.float64)
    return InnerFit(factors, loadings, by_source, others, all_loadings)


def _gram(y: NDArray[np.floating[Any]]) -> Array:
    """Give ``Y diag(1 / v) Y'`` (n, n), v each gene's own variance."""
    values = np.asarray(y, dtype=np.float32)
    return gram_of(values, np.maximum(mean_square(values), LEAST_NOISE))


def _paired(
    training: TrainingDonors,
    held_out: Sequence[NDArray[np.bool_]],
    source: int,
    scored: Sequence[Array],
) -> _Pairs:
    """Pair held-out source samples with the same donors' other tissues."""
    place = np.full(training.n_donors, -1)
    givers = training.samples[source][0][held_out[source]]
    place[givers] = np.arange(len(givers))
    pairs = {}
    for t, ((donor, _), held, y) in enumerate(zip(training.samples, held_out, scored, strict=True)):
        rows = place[donor[held]]
        if t != source and (rows >= 0).sum() >= _LEAST_PAIRS:
            pairs[t] = (rows[rows >= 0], y[held][rows >= 0])
    return pairs


def _deal(n_donors: int, givers: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal donors into folds (D,), those who give the source evenly."""
    fold: NDArray[np.int64] = np.empty(n_donors, dtype=np.int64)
    others = np.setdiff1d(np.arange(n_donors), givers)
    order = np.concatenate([rng.permutation(givers), rng.permutation(others)])
    fold[order] = np.arange(n_donors) % N_FOLDS
    return fold


def _gene_rho(predicted: Array, observed: Array) -> float:
    """Give Pearson's rho of each gene over donors, mean over the genes that vary."""
    p, o = predicted - predicted.mean(axis=0), observed - observed.mean(axis=0)
    scale = np.sqrt((p**2).sum(axis=0) * (o**2).sum(axis=0))
    return float(np.mean((p * o).sum(axis=0)[scale > 0] / scale[scale > 0]))
