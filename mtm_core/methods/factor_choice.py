"""Choice of a factor model's settings by inner folds of its training donors.

The best number of factors, ridge and shrinkage differ between 59 and 19,291 genes. They are
therefore chosen inside the fit, by how well training donors are predicted when they are held out
(:mod:`mtm_core.methods.inner_folds`).

A candidate replaces the current settings only if it is better by more than chance: if the mean gain
in rho is above its standard error over folds and target tissues.

Shapes: B folds x target tissues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mtm_core.methods.factors import Array, FactorSettings, TrainingDonors
from mtm_core.methods.inner_folds import FittedInnerFold, InnerFold, make_inner_folds


@dataclass(frozen=True)
class Grid:
    """Candidate settings, each list in order, searched by hill climbing from the current value.

    Attributes
    ----------
    ridge, shrinkage
        Candidates for the settings of these names
        (:class:`~mtm_core.methods.factors.FactorSettings`).
    sizes
        Candidates for ``n_factors``. Ridge and shrinkage are chosen with the current sizes,
        because an average of several models needs less of both than one model.
    """

    ridge: tuple[float, ...] = (30.0, 100.0, 300.0, 1000.0, 3000.0)
    shrinkage: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
    sizes: tuple[tuple[int, ...], ...] = ((5, 8, 12), (8, 12, 16, 22, 30), (15, 30, 45), (30, 60))


@dataclass(frozen=True)
class Choice:
    """The chosen settings, with the score of every candidate.

    Attributes
    ----------
    settings
        The chosen settings.
    trial
        The inner folds and their fits, which serve further choices.
    """

    settings: FactorSettings
    trial: _Trial

    @property
    def scores(self) -> dict[FactorSettings, float]:
        """Mean gene-wise rho in held-out inner donors, over genes, target tissues and folds."""
        return {settings: float(rho.mean()) for settings, rho in self.trial.rho.items()}

    def fitted_folds(self) -> tuple[FittedInnerFold, ...]:
        """Return the inner folds, fitted with the chosen settings."""
        return self.trial.fit(self.settings)


def use_settings(
    training: TrainingDonors, source: int, settings: FactorSettings, *, seed: int = 0
) -> Choice:
    """Make the inner folds of :func:`choose_settings`, but use ``settings`` without a search."""
    return Choice(settings, _Trial(make_inner_folds(training, source, seed), seed))


def choose_settings(
    training: TrainingDonors,
    source: int,
    start: FactorSettings,
    *,
    grid: Grid | None = None,
    seed: int = 0,
) -> Choice:
    """Choose settings by how well held-out inner donors are predicted from tissue ``source``.

    Shrinkage is chosen first, then ridge, then the numbers of factors, then shrinkage again.

    Parameters
    ----------
    source
        Index of the tissue to predict from.
    start
        Settings to start from, which remain unless others are clearly better.
    grid
        Candidates; ``None`` for the default grid.
    seed
        Seed of the folds, the scored genes and the initial loadings.
    """
    grid = grid or Grid()
    trial = _Trial(make_inner_folds(training, source, seed), seed)
    best = start
    for name, values in (
        ("shrinkage", grid.shrinkage),
        ("ridge", grid.ridge),
        ("n_factors", grid.sizes),
        ("shrinkage", grid.shrinkage),
    ):
        best = trial.climb(best, name, values)
    return Choice(best, trial)


@dataclass
class _Trial:
    """Inner folds, with the scores of all settings tried on them."""

    folds: tuple[InnerFold, ...]
    seed: int
    rho: dict[FactorSettings, Array] = field(default_factory=dict)
    _best: tuple[FactorSettings, tuple[FittedInnerFold, ...]] | None = None
    _latest: tuple[FactorSettings, tuple[FittedInnerFold, ...]] | None = None

    def fit(self, settings: FactorSettings) -> tuple[FittedInnerFold, ...]:
        """Fit all folds; the fits of the best settings so far and of the latest are reused."""
        for fitted in (self._best, self._latest):
            if fitted is not None and fitted[0] == settings:
                return fitted[1]
        folds = tuple(fold.fit(settings, self.seed) for fold in self.folds)
        self._latest = (settings, folds)
        return folds

    def climb(self, best: FactorSettings, name: str, values: Sequence[Any]) -> FactorSettings:
        """Move the setting ``name`` along ``values``, up or else down, while the score improves."""
        present = getattr(best, name)
        below = [value for value in values if value < present]
        above = [value for value in values if value > present]
        for direction in (above, below[::-1]):
            for value in direction:
                candidate = replace(best, **{name: value})
                if not self._is_better(candidate, best):
                    break
                best = candidate
            if getattr(best, name) != present:
                break
        return best

    def _is_better(self, candidate: FactorSettings, present: FactorSettings) -> bool:
        """Tell whether ``candidate`` is better than ``present`` by more than chance."""
        before, after = self.score(present), self.score(candidate)
        better = exceeds_standard_error(after - before)
        if self._best is None or better:
            best = candidate if better else present
            self._best = (best, self.fit(best))
        return better

    def score(self, settings: FactorSettings) -> Array:
        """Return the mean gene-wise rho (B,) of every fold and target tissue."""
        if settings not in self.rho:
            self.rho[settings] = np.concatenate([fold.rho() for fold in self.fit(settings)])
        return self.rho[settings]


def exceeds_standard_error(gain: Array) -> bool:
    """Tell whether the mean of ``gain`` (B,) is above its standard error."""
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))
