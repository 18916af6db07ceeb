"""Choose the settings of a factor model by inner folds of its training donors.

What serves on 59 genes does not on 19,291: how many factors donors share, and how far the noise of
a tissue's few samples may be trusted, change with the panel. A tissue's samples enter EM through
their Gram matrix alone (:mod:`mtm_core.methods.factor_noise`), that of a part of its donors is a part
of it, and with the diagonal noise held at each gene's own variance it is the same for every setting:
so it is made once, and a candidate costs steps of n x n x K. Candidates are scored on the other
donors and on some genes drawn at random.

Shapes: n samples of a tissue, G genes, g of them scored, K factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factor_fit import expectation_maximisation
from mtm_core.methods.factor_noise import (
    GeneSpace,
    SampleSteps,
    TissuePart,
    gram_of,
    mean_square,
    sharing,
)
from mtm_core.methods.factors import LEAST_NOISE, Array, TrainingDonors

N_FOLDS = 3
N_STEPS = 10
N_SCORED = 1500
_LEAST_PAIRS = 10
"""Held-out donors below which a tissue's correlations say too little to be counted."""


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
class Grid:
    """Candidates, each tried with the best of the others."""

    n_factors: tuple[int, ...] = (8, 12, 16, 22, 30, 45, 60)
    ridge: tuple[float, ...] = (30.0, 100.0, 300.0, 1000.0)
    shrinkage: tuple[float, ...] = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
    start: FactorSettings = FactorSettings((22,), 300.0, 1000.0)


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how every candidate fared.

    Attributes
    ----------
    settings
        The best.
    scores
        Gene-wise rho of held-out inner donors, mean over genes, tissues and folds, by candidate.
    """

    settings: FactorSettings
    scores: Mapping[FactorSettings, float]


@dataclass(frozen=True)
class _Tissue:
    """What candidates need of one tissue.

    Attributes
    ----------
    donor
        (n,).
    gram
        (n, n): ``Y diag(1 / v) Y'``, v each gene's own variance.
    scored
        (n, g) z-scores.
    """

    donor: NDArray[np.int64]
    gram: Array
    scored: Array


class _Samples(SampleSteps):
    """The training part of a tissue, in the eigenvectors of its Gram matrix."""

    def __init__(self, tissue: _Tissue, own: NDArray[np.int64]) -> None:
        self._own, self.tissue = own, tissue
        values, vectors = np.linalg.eigh(tissue.gram[np.ix_(own, own)])
        used = values > 1e-6 * max(values.max(initial=0.0), 1.0)
        self._values, self._vectors = values[used], vectors[:, used]

    def begin(self, start: Array, settings: FactorSettings) -> None:
        """Make ready for steps with ``settings`` from loadings ``start`` (g, K) of scored genes."""
        n = len(self._own)
        kept, c = sharing(n, settings.shrinkage)
        values = self._values / (1 - kept)
        through = values / (1 + c * values)
        told = self.tissue.scored[self._own] @ start
        super().__init__(
            self.tissue.donor[self._own],
            lambda z: self._vectors @ (through[:, None] * (self._vectors.T @ z)),
            (start.T @ start, told),
            settings.ridge,
            settings.shrinkage,
        )

    def project(self, held_out: NDArray[np.int64]) -> Array:
        """Give ``Y Psi^-1 W`` (m, K) of samples that were not trained on."""
        crossed = self.tissue.gram[np.ix_(held_out, self._own)] / (1 - self.kept)
        projected: Array = crossed @ self.left
        return projected

    def scored_loadings(self) -> Array:
        """Give ``W`` (g, K) of the scored genes."""
        loadings: Array = self.tissue.scored[self._own].T @ self.coefficients
        return loadings


def choose_settings(
    training: TrainingDonors, source: int, *, grid: Grid | None = None, seed: int = 0
) -> Choice:
    """Choose by how well held-out inner donors are predicted from their tissue ``source``.

    Shrinkage first, then ridge, the number of factors, and shrinkage once more; at last it is tried
    whether the average of the best few sizes does better than the best.

    Parameters
    ----------
    source
        Code of the tissue to predict from.
    grid
        Candidates; ``None`` for the default.
    seed
        Of folds, of scored genes and of loadings to begin with.
    """
    grid = grid or Grid()
    trial = _Trial.of(training, source, seed)
    best = grid.start
    for name in ("shrinkage", "ridge", "n_factors", "shrinkage"):
        values = [(k,) for k in grid.n_factors] if name == "n_factors" else getattr(grid, name)
        best = trial.best(replace(best, **{name: value}) for value in values)
    sizes = sorted(
        ((k,) for k in grid.n_factors),
        key=lambda size: -trial.score(replace(best, n_factors=size)),
    )
    averages = [sum(sizes[:n], ()) for n in range(1, len(sizes) + 1)]
    best = trial.best(replace(best, n_factors=tuple(sorted(size))) for size in averages)
    return Choice(best, dict(trial.scores))


@dataclass
class _Trial:
    """Inner folds of the training donors, with the scores of what was tried on them."""

    training: TrainingDonors
    source: int
    folds: tuple[_Fold, ...]
    seed: int
    scores: dict[FactorSettings, float]

    @classmethod
    def of(cls, training: TrainingDonors, source: int, seed: int) -> _Trial:
        rng = np.random.default_rng(seed)
        genes = np.sort(rng.choice(training.n_genes, min(N_SCORED, training.n_genes), False))
        tissues = []
        for donor, y in training.samples:
            values = np.asarray(y, dtype=np.float32)
            own = np.maximum(mean_square(values), LEAST_NOISE)
            scored = np.asarray(values[:, genes], dtype=np.float64)
            tissues.append(_Tissue(donor, gram_of(values, own), scored))
        fold_of = _deal(training.n_donors, training.samples[source][0], rng)
        folds = tuple(_Fold(training, tissues, fold_of == f, source) for f in range(N_FOLDS))
        return cls(training, source, folds, seed, {})

    def best(self, candidates: Iterable[FactorSettings]) -> FactorSettings:
        """Give the candidate of the highest score; of equals, the first."""
        return max(candidates, key=self.score)

    def score(self, settings: FactorSettings) -> float:
        """Give the mean rho over folds."""
        if settings not in self.scores:
            self.scores[settings] = float(
                np.mean([fold.score(settings, self.seed) for fold in self.folds])
            )
        return self.scores[settings]


class _Fold:
    """Donors held out, and what the others tell of them under each setting."""

    def __init__(
        self,
        training: TrainingDonors,
        tissues: Sequence[_Tissue],
        held_out: NDArray[np.bool_],
        source: int,
    ) -> None:
        self._training, self._source = training, source
        self._held_out = [np.flatnonzero(held_out[tissue.donor]) for tissue in tissues]
        self._parts = [
            _Samples(tissue, np.flatnonzero(~held_out[tissue.donor])) for tissue in tissues
        ]
        trained = np.flatnonzero(~held_out)
        self._covariates = (trained, training.covariates[trained])
        self._predicted: dict[FactorSettings, list[Array]] = {}
        self._pairs = self._paired(tissues)

    def _paired(self, tissues: Sequence[_Tissue]) -> dict[int, tuple[NDArray[np.int64], Array]]:
        """Give, of each target, rows of the held-out source samples and what was observed."""
        givers = tissues[self._source].donor[self._held_out[self._source]]
        place = np.full(self._training.n_donors, -1)
        place[givers] = np.arange(len(givers))
        pairs = {}
        for t, (tissue, rows) in enumerate(zip(tissues, self._held_out, strict=True)):
            row = place[tissue.donor[rows]]
            if t != self._source and (row >= 0).sum() >= _LEAST_PAIRS:
                pairs[t] = (row[row >= 0], tissue.scored[rows[row >= 0]])
        return pairs

    def score(self, settings: FactorSettings, seed: int) -> float:
        """Give rho, mean over scored genes and targets, of the average of the models."""
        parts = [self._predict(replace(settings, n_factors=(k,)), seed) for k in settings.n_factors]
        rho = [
            _gene_rho(np.mean(predicted, axis=0), observed)
            for predicted, (_, observed) in zip(
                zip(*parts, strict=True), self._pairs.values(), strict=True
            )
        ]
        return float(np.mean(rho)) if rho else 0.0

    def _predict(self, settings: FactorSettings, seed: int) -> list[Array]:
        """Give predictions (pairs, g) of every target; the last few are remembered."""
        if settings not in self._predicted:
            self._predicted[settings] = self._fit(settings, seed)
        return self._predicted[settings]

    def _fit(self, settings: FactorSettings, seed: int) -> list[Array]:
        (k,) = settings.n_factors
        rng = np.random.default_rng(seed)
        n_scored = self._parts[0].tissue.scored.shape[1]
        for part in self._parts:
            part.begin(0.3 * rng.standard_normal((n_scored, k)) / np.sqrt(k), settings)
        start = 0.3 * rng.standard_normal((self._covariates[1].shape[1], k)) / np.sqrt(k)
        known = GeneSpace(self._covariates, start, settings.ridge, settings.shrinkage)
        everyone: list[TissuePart] = [*self._parts, known]
        expectation_maximisation(everyone, self._training.n_donors, k, N_STEPS)
        source = self._parts[self._source]
        precision = np.eye(k) + source.precision
        factors = np.linalg.solve(precision, source.project(self._held_out[self._source]).T).T
        return [
            (factors[rows] @ self._parts[t].scored_loadings().T).astype(np.float32)
            for t, (rows, _) in self._pairs.items()
        ]


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
