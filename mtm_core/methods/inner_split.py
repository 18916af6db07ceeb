"""Inner splits of the training donors, into those who are held out and the rest.

Shapes: D donors, n samples of a tissue, m held-out samples of the source, P held-out donors who
have both the source and a target, G genes, g scored genes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factors import Array, TrainingDonors

N_FURTHER_TISSUES = 3
"""Number of tissues, in addition to the source, to calibrate intervals for several tissues with."""
N_FOLDS = 3
N_SCORED_GENES = 1000
_MIN_PAIRS = 10
"""Targets with fewer held-out donors are not scored: their correlations are too noisy."""
_ScoredPairs = dict[int, tuple[NDArray[np.int64], Array]]


@dataclass(frozen=True)
class InnerSplit:
    """One inner split: the held-out donors, their samples, and what they are scored on.

    Attributes
    ----------
    is_held_out
        Which of the donors (D,) are held out.
    held_out_samples
        For each tissue: which of its samples (n,) are of held-out donors.
    scored
        For each tissue: z-scores (n, g) of all its samples for the scored genes.
    scored_pairs
        By target: rows (P,) among the held-out source samples, and the same donors' observed
        z-scores (P, g) in the target.
    further
        Indices of the further tissues, those that most donors have in addition to the source.
    further_rows
        For each further tissue: the row (m,), among its held-out samples, of the donor of each
        held-out source sample; -1 where that donor lacks the tissue.
    """

    is_held_out: NDArray[np.bool_]
    held_out_samples: Sequence[NDArray[np.bool_]]
    scored: Sequence[Array]
    scored_pairs: _ScoredPairs
    further: tuple[int, ...]
    further_rows: tuple[NDArray[np.intp], ...]

    @property
    def has_further(self) -> NDArray[np.bool_]:
        """Which held-out source samples (m,) are of donors with at least one further tissue."""
        n_samples = len(self.further_rows[0]) if self.further_rows else 0
        has: NDArray[np.bool_] = np.zeros(n_samples, dtype=bool)
        for rows in self.further_rows:
            has |= rows >= 0
        return has

    def target_pairs(
        self, training: TrainingDonors, source: int
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Iterate over the targets of the held-out donors who also have the source.

        Yields
        ------
        target
            Index of the target tissue.
        rows
            Their rows (P,) among the held-out source samples, in the order of the donors.
        samples
            Their samples (P,) of the target.
        """
        source_row = _row_of_donor(training, self.held_out_samples, source)
        for t, (donor, _) in enumerate(training.samples):
            samples = np.flatnonzero(self.held_out_samples[t] & (source_row[donor] >= 0))
            samples = samples[np.argsort(donor[samples])]
            if t != source and len(samples):
                yield t, source_row[donor[samples]], samples


def make_splits(training: TrainingDonors, source: int, seed: int) -> list[InnerSplit]:
    """Split the training donors into ``N_FOLDS`` folds, and draw the genes that are scored.

    Parameters
    ----------
    training
        Training data of all donors.
    source
        Index of the source tissue.
    seed
        Seed of the folds and of the scored genes.
    """
    rng = np.random.default_rng(seed)
    n_scored = min(N_SCORED_GENES, training.n_genes)
    genes = np.sort(rng.choice(training.n_genes, n_scored, replace=False))
    scored = [np.asarray(y[:, genes], dtype=np.float64) for _, y in training.samples]
    fold_of = _assign_folds(training.n_donors, training.samples[source][0], rng)
    further = further_tissues(training, source)
    splits = []
    for f in range(N_FOLDS):
        held_out = [fold_of[donor] == f for donor, _ in training.samples]
        pairs = _pair_with_source(training, held_out, source, scored)
        rows = tuple(_further_rows(training, held_out, source, t) for t in further)
        splits.append(InnerSplit(fold_of == f, held_out, scored, pairs, further, rows))
    return splits


def further_tissues(training: TrainingDonors, source: int) -> tuple[int, ...]:
    """Return the indices of the tissues that most donors of ``source`` also have."""
    source_donors = training.samples[source][0]
    counts = np.array([np.isin(donor, source_donors).sum() for donor, _ in training.samples])
    counts[source] = 0
    order = np.argsort(-counts, kind="stable")[:N_FURTHER_TISSUES]
    n_tissues = int((counts > 0).sum())
    return tuple(int(t) for t in order[: max(n_tissues - 1, 0)])  # at least one remains a target


def _row_of_donor(
    training: TrainingDonors, held_out: Sequence[NDArray[np.bool_]], tissue: int
) -> NDArray[np.intp]:
    """Return each donor's row (D,) among the held-out samples of ``tissue``, -1 for none."""
    row_of_donor = np.full(training.n_donors, -1, dtype=np.intp)
    donors = training.samples[tissue][0][held_out[tissue]]
    row_of_donor[donors] = np.arange(len(donors))
    return row_of_donor


def _further_rows(
    training: TrainingDonors, held_out: Sequence[NDArray[np.bool_]], source: int, further: int
) -> NDArray[np.intp]:
    """Return, for each held-out source sample, the row of its donor in the tissue ``further``."""
    source_donors = training.samples[source][0][held_out[source]]
    return _row_of_donor(training, held_out, further)[source_donors]


def _pair_with_source(
    training: TrainingDonors,
    held_out: Sequence[NDArray[np.bool_]],
    source: int,
    scored: Sequence[Array],
) -> _ScoredPairs:
    """Pair held-out source samples with the same donors' samples of each target."""
    source_row = _row_of_donor(training, held_out, source)
    pairs = {}
    for t, ((donor, _), held, y) in enumerate(zip(training.samples, held_out, scored, strict=True)):
        rows = source_row[donor[held]]
        if t != source and (rows >= 0).sum() >= _MIN_PAIRS:
            pairs[t] = (rows[rows >= 0], y[held][rows >= 0])
    return pairs


def _assign_folds(
    n_donors: int, source_donors: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Assign donors to folds (D,) at random, spreading those with the source evenly."""
    fold: NDArray[np.int64] = np.empty(n_donors, dtype=np.int64)
    rest = np.setdiff1d(np.arange(n_donors), source_donors)
    order = np.concatenate([rng.permutation(source_donors), rng.permutation(rest)])
    fold[order] = np.arange(n_donors) % N_FOLDS
    return fold
