"""Factor models fitted without some of the training donors, to see how well these are predicted.

A tissue's samples enter EM through their Gram matrix alone (:mod:`mtm_core.methods.factor_noise`).
That of some of the donors is a part of that of all, and with the diagonal noise held at each gene's
own variance it is the same for every setting: so where genes outnumber samples it is made once, and
a step costs n x n x K whatever G is. Held-out donors are scored on some genes drawn at random.

Shapes: n samples of a tissue, m held-out samples of the source, G genes, g of them scored, K
factors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_fit import (
    WIDE_STEPS,
    begin_with,
    expectation_maximisation,
    first_factors,
    fit_parts,
    is_wide,
    known_of,
    like_donors,
)
from mtm_core.methods.factor_noise import GramBasis, SampleSteps, Steps, TissuePart
from mtm_core.methods.factors import Array, TrainingDonors, by_other_tissues
from mtm_core.methods.protocol import Floats

N_FURTHER = 3
"""Tissues beside the source that intervals for several tissues are learnt with."""
N_FOLDS = 3
N_STEPS = 20
N_SCORED = 1000
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
    """A model fitted without the donors held out.

    Attributes
    ----------
    coefficients
        By tissue (n, K): what the other donors' samples ``Y`` bring to loadings, ``Y' A'``.
    factors, linear
        Without covariates, and with them: factors (m, K) of the held-out source samples, and
        (n, K) of the other donors who have the source, by the source alone.
    others
        (n, K) of these other donors by all but the source.
    together
        As ``factors``, of what the held-out donors give of the source and of
        :attr:`Deal.further`.
    """

    coefficients: Sequence[Array]
    factors: tuple[Array, Array]
    linear: tuple[Array, Array]
    others: Array
    together: tuple[Array, Array]


Codes = Callable[[InnerFit], Array]
"""Returns the factors (m, K) of a fit's held-out source samples."""


def by_expression(fit: InnerFit) -> Array:
    """Return the factors of held-out samples as the model itself guesses them."""
    return fit.factors[0]


@dataclass(frozen=True)
class InnerFold:
    """Donors held out, and the models of the others.

    Attributes
    ----------
    deal
        Who is held out.
    fits
        The models to average.
    """

    deal: Deal
    fits: tuple[InnerFit, ...]

    def rho(self, codes: Codes = by_expression) -> Array:
        """Return gene-wise rho of each target, mean over scored genes."""
        mixtures = self.mixtures(codes)
        return np.array(
            [
                _gene_rho(mixtures(t)[rows] @ self.deal.scored[t][~self.deal.held[t]], observed)
                for t, (rows, observed) in self.deal.pairs.items()
            ]
        )

    def mixtures(self, codes: Codes) -> Callable[[int], Array]:
        """Return, by tissue, the mixture (m, n) of the other donors' samples that is predicted."""
        factors = [codes(fit) / len(self.fits) for fit in self.fits]

        def mixture(t: int) -> Array:
            pairs = zip(factors, self.fits, strict=True)
            total: Array = np.sum([own @ fit.coefficients[t].T for own, fit in pairs], axis=0)
            return total

        return mixture

    def decode(self, training: TrainingDonors, t: int, mixture: Array) -> Floats:
        """Bring mixtures (P, n) of the other donors' samples of tissue ``t`` to genes (P, G)."""
        samples = training.samples[t][1]
        if len(samples) == 0:
            return np.zeros((len(mixture), training.n_genes), dtype=np.float32)
        # With 0 for those held out no copy of the others is made.
        padded = np.zeros((len(mixture), len(samples)), dtype=np.float32)
        padded[:, ~self.deal.held[t]] = mixture
        return np.asarray(padded @ samples, dtype=np.float32)

    def left_of(self, training: TrainingDonors, source: int, codes: Codes) -> Floats:
        """Return what is left (m, G) of the held-out source samples."""
        shown = self.decode(training, source, self.mixtures(codes)(source))
        left: Floats = training.samples[source][1][self.deal.held[source]] - shown
        return left


@dataclass(frozen=True)
class Deal:
    """Donors held out of one fold, paired with what was seen of them.

    Attributes
    ----------
    is_held_out
        (D,) of the donors.
    held
        By tissue: which samples are held out.
    scored
        By tissue: z-scores (n, g) of the scored genes, of all samples.
    pairs
        By target: rows among the held-out source samples, and what was observed (pairs, g).
    further
        Codes of the tissues that most donors give beside the source.
    beside
        By further tissue: (m,) which of its held-out samples is of the same donor as each held-out
        source sample, -1 where there is none.
    """

    is_held_out: NDArray[np.bool_]
    held: Sequence[NDArray[np.bool_]]
    scored: Sequence[Array]
    pairs: _Pairs
    further: tuple[int, ...]
    beside: tuple[NDArray[np.intp], ...]

    @property
    def gives_further(self) -> NDArray[np.bool_]:
        """(m,) who of the held-out source samples' donors gives a further tissue."""
        gives: NDArray[np.bool_] = np.zeros(len(self.beside[0]) if self.beside else 0, dtype=bool)
        for rows in self.beside:
            gives |= rows >= 0
        return gives

    def held_out(
        self, training: TrainingDonors, source: int
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Return, for each tissue, the held-out donors who gave it and the source.

        Yields
        ------
        t
            Target.
        rows
            (P,) among the held-out samples of the source, in the order of the donors.
        samples
            (P,) among the target's samples.
        """
        place = np.full(training.n_donors, -1)
        givers = training.samples[source][0][self.held[source]]
        place[givers] = np.arange(len(givers))
        for t, (donor, _) in enumerate(training.samples):
            samples = np.flatnonzero(self.held[t] & (place[donor] >= 0))
            samples = samples[np.argsort(donor[samples])]
            if t != source and len(samples):
                yield t, place[donor[samples]], samples


_Fit = Callable[[FactorSettings, int], InnerFit]
"""Fits one model to the other donors."""


@dataclass(frozen=True)
class DonorFold:
    """Donors held out, and how the others are fitted."""

    deal: Deal
    fit: _Fit

    def fitted(self, settings: FactorSettings, seed: int) -> InnerFold:
        """Fit the models to average."""
        each = [replace(settings, n_factors=(k,)) for k in settings.n_factors]
        return InnerFold(self.deal, tuple(self.fit(one, seed) for one in each))


def deal_folds(training: TrainingDonors, source: int, seed: int) -> tuple[DonorFold, ...]:
    """Deal the training donors into folds, and draw the genes that are scored."""
    rng = np.random.default_rng(seed)
    n_scored = min(N_SCORED, training.n_genes)
    genes = np.sort(rng.choice(training.n_genes, n_scored, replace=False))
    scored = [np.asarray(y[:, genes], dtype=np.float64) for _, y in training.samples]
    fold_of = _deal(training.n_donors, training.samples[source][0], rng)
    further = further_tissues(training, source)
    folds = []
    for f in range(N_FOLDS):
        held = [fold_of[donor] == f for donor, _ in training.samples]
        pairs = _paired(training, held, source, scored)
        beside = tuple(_beside(training, held, source, t) for t in further)
        deal = Deal(fold_of == f, held, scored, pairs, further, beside)
        fit = _InSamples if is_wide(training) else _InGenes
        folds.append(DonorFold(deal, fit(training, deal, source)))
    return tuple(folds)


def further_tissues(training: TrainingDonors, source: int) -> tuple[int, ...]:
    """Return the codes of the tissues that most donors of ``source`` give beside it."""
    givers = training.samples[source][0]
    counts = np.array([np.isin(donor, givers).sum() for donor, _ in training.samples])
    counts[source] = 0
    order = np.argsort(-counts, kind="stable")[:N_FURTHER]
    n_tissues = int((counts > 0).sum())
    return tuple(int(t) for t in order[: max(n_tissues - 1, 0)])  # one is left to predict


def _beside(
    training: TrainingDonors, held: Sequence[NDArray[np.bool_]], source: int, further: int
) -> NDArray[np.intp]:
    """Return which held-out sample of ``further`` is of each held-out source sample's donor."""
    place = np.full(training.n_donors, -1, dtype=np.intp)
    givers = training.samples[further][0][held[further]]
    place[givers] = np.arange(len(givers))
    return place[training.samples[source][0][held[source]]]


class _InGenes:
    """Fits in the space of genes."""

    def __init__(self, training: TrainingDonors, deal: Deal, source: int) -> None:
        number = np.cumsum(~deal.is_held_out) - 1
        self._training = replace(
            training,
            samples=tuple(
                (number[donor[~held]], y[~held])
                for (donor, y), held in zip(training.samples, deal.held, strict=True)
            ),
            covariates=training.covariates[~deal.is_held_out],
        )
        donor, y = training.samples[source]
        own = deal.held[source]
        self._source, self._given = source, np.asarray(y[own], dtype=np.float64)
        self._given_covariates = training.covariates[donor[own]]
        self._deal = deal
        self._further = [
            np.asarray(training.samples[t][1][deal.held[t]], dtype=np.float64) for t in deal.further
        ]

    def __call__(self, settings: FactorSettings, seed: int) -> InnerFit:
        (k,) = settings.n_factors
        parts = fit_parts(
            self._training,
            k,
            n_iterations=N_STEPS,
            ridge=settings.ridge,
            shrinkage=settings.shrinkage,
            seed=seed,
        )
        *tissues, known = parts
        projected = self._given @ tissues[self._source].loadings()[1]
        n_donors = self._training.n_donors
        further = [
            given @ tissues[t].loadings()[1]
            for t, given in zip(self._deal.further, self._further, strict=True)
        ]
        covariates = self._given_covariates
        return _inner_fit(
            tissues, known, projected, covariates, self._source, n_donors, self._deal, further
        )


class _InSamples:
    """Fits in the space of samples: many genes."""

    def __init__(self, training: TrainingDonors, deal: Deal, source: int) -> None:
        number = np.cumsum(~deal.is_held_out) - 1
        self._covariates = training.covariates[~deal.is_held_out]
        self._source = source
        self._tissues = [
            (number[donor[~held]], GramBasis(gram[np.ix_(~held, ~held)]))
            for (donor, _), held, gram in zip(
                training.samples, deal.held, training.grams, strict=True
            )
        ]
        self._starts: dict[float, Array] = {}
        own = deal.held[source]
        self._crossed = training.grams[source][np.ix_(own, ~own)]
        self._given_covariates = training.covariates[training.samples[source][0][own]]
        self._deal = deal
        self._further = [
            training.grams[t][np.ix_(deal.held[t], ~deal.held[t])] for t in deal.further
        ]

    def __call__(self, settings: FactorSettings, seed: int) -> InnerFit:
        (k,), ridge, shrinkage = settings.n_factors, settings.ridge, settings.shrinkage
        n_donors = len(self._covariates)
        if shrinkage not in self._starts:
            donors, bases = zip(*self._tissues, strict=True)
            self._starts[shrinkage] = like_donors(donors, bases, n_donors, shrinkage)
        parts = [
            SampleSteps(donor, basis.apply(shrinkage), None, ridge, shrinkage)
            for donor, basis in self._tissues
        ]
        known = known_of(self._covariates, k, ridge, shrinkage)
        begin_with(first_factors(self._starts[shrinkage], k), [*parts, known])
        expectation_maximisation([*parts, known], n_donors, k, WIDE_STEPS)
        source = parts[self._source]
        projected = self._crossed / (1 - source.share) @ source.left
        further = [
            crossed / (1 - parts[t].share) @ parts[t].left
            for t, crossed in zip(self._deal.further, self._further, strict=True)
        ]
        covariates = self._given_covariates
        return _inner_fit(
            parts, known, projected, covariates, self._source, n_donors, self._deal, further
        )


def _inner_fit(
    tissues: Sequence[Steps],
    known: TissuePart,
    projected: Array,
    covariates: Array,
    source: int,
    n_donors: int,
    deal: Deal,
    further: Sequence[Array],
) -> InnerFit:
    """Take from what was fitted all that held-out donors are predicted by.

    Parameters
    ----------
    projected
        (m, K): held-out source samples on the weights.
    covariates
        (m, C): their covariates.
    further
        By further tissue of ``deal``: its held-out samples on the weights.
    """
    own = tissues[source]
    _, covariate_weights, _ = known.loadings()
    alone = np.eye(len(own.precision)) + own.precision
    with_covariates = alone + known.precision
    shown = [(part.donor, part.precision, part.projected) for part in (*tissues, known)]
    (others,) = by_other_tissues(shown, n_donors, [source])
    return InnerFit(
        [part.coefficients for part in tissues],
        (
            _solved(alone, projected),
            _solved(with_covariates, projected + covariates @ covariate_weights),
        ),
        (
            _solved(alone, own.projected),
            _solved(with_covariates, own.projected + known.projected[own.donor]),
        ),
        others,
        _together(tissues, known, projected, covariates, alone, deal, further),
    )


def _together(
    tissues: Sequence[Steps],
    known: TissuePart,
    projected: Array,
    covariates: Array,
    alone: Array,
    deal: Deal,
    further: Sequence[Array],
) -> tuple[Array, Array]:
    """Return factors (m, K) of all that held-out donors give, without covariates and with them."""
    there = np.stack([rows >= 0 for rows in deal.beside], axis=1) if further else None
    total = projected.copy()
    plain, with_covariates = np.empty_like(projected), np.empty_like(projected)
    for rows, own in zip(deal.beside, further, strict=True):
        total[rows >= 0] += own[rows[rows >= 0]]
    shifted = total + covariates @ known.loadings()[1]
    patterns = np.zeros((1, 0), dtype=bool) if there is None else np.unique(there, axis=0)
    for pattern in patterns:
        mine = np.ones(len(total), bool) if there is None else (there == pattern).all(axis=1)
        precision = alone + sum(tissues[deal.further[i]].precision for i in np.flatnonzero(pattern))
        plain[mine] = _solved(precision, total[mine])
        with_covariates[mine] = _solved(precision + known.precision, shifted[mine])
    return plain, with_covariates


def _solved(precision: Array, projected: Array) -> Array:
    """Return factors (N, K)."""
    return np.asarray(np.linalg.solve(precision, projected.T).T, dtype=np.float64)


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
    """Return Pearson's rho of each gene over donors, mean over the genes that vary."""
    p, o = predicted - predicted.mean(axis=0), observed - observed.mean(axis=0)
    scale = np.sqrt((p**2).sum(axis=0) * (o**2).sum(axis=0))
    return float(np.mean((p * o).sum(axis=0)[scale > 0] / scale[scale > 0]))
