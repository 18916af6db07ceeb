"""Choose the settings of a factor model by inner folds of its training donors.

What serves on 59 genes does not on 19,291: how many factors donors share, and how far the noise of
a tissue's few samples may be trusted, change with the panel. So settings are chosen in the fit, by
how well its own donors are predicted without themselves (:mod:`mtm_core.methods.inner_folds`).

A candidate takes the place of the present settings only where it is better by more than chance
makes it: by more than the standard error of the difference over folds and tissues.

Shapes: B folds x target tissues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mtm_core.methods.factors import Array, TrainingDonors
from mtm_core.methods.inner_folds import DonorFold, FactorSettings, InnerFold, deal_folds


@dataclass(frozen=True)
class Grid:
    """Candidates, in order; from the present settings a neighbour is taken as long as it is better.

    Attributes
    ----------
    sizes
        Of the models to average. Ridge and shrinkage are chosen with the present sizes: what suits
        one model alone is too much for an average of several.
    """

    ridge: tuple[float, ...] = (30.0, 100.0, 300.0, 1000.0, 3000.0)
    shrinkage: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
    sizes: tuple[tuple[int, ...], ...] = ((5, 8, 12), (8, 12, 16, 22, 30), (15, 30, 45), (30, 60))


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how every candidate fared.

    Attributes
    ----------
    settings
        The best.
    trial
        The inner folds, for what else is to be chosen by them.
    """

    settings: FactorSettings
    trial: _Trial

    @property
    def scores(self) -> dict[FactorSettings, float]:
        """Gene-wise rho of held-out inner donors, mean over genes, tissues and folds."""
        return {settings: float(rho.mean()) for settings, rho in self.trial.rho.items()}

    def inner_fits(self) -> tuple[InnerFold, ...]:
        """Return every inner fold with the models that have the chosen settings."""
        return self.trial.fitted(self.settings)


def keep_settings(
    training: TrainingDonors, source: int, present: FactorSettings, *, seed: int = 0
) -> Choice:
    """Deal inner folds as :func:`choose_settings` does, and choose nothing by them."""
    return Choice(present, _Trial(deal_folds(training, source, seed), seed))


def choose_settings(
    training: TrainingDonors,
    source: int,
    present: FactorSettings,
    *,
    grid: Grid | None = None,
    seed: int = 0,
) -> Choice:
    """Choose by how well held-out inner donors are predicted from their tissue ``source``.

    Shrinkage first, then ridge, then the sizes, and shrinkage once more.

    Parameters
    ----------
    source
        Code of the tissue to predict from.
    present
        Settings to begin with, which hold where nothing is clearly better.
    grid
        Candidates; ``None`` for the default.
    seed
        Of folds, of scored genes and of loadings to begin with.
    """
    grid = grid or Grid()
    trial = _Trial(deal_folds(training, source, seed), seed)
    best = present
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
    """Inner folds of the training donors, with how what was tried on them fared."""

    folds: tuple[DonorFold, ...]
    seed: int
    rho: dict[FactorSettings, Array] = field(default_factory=dict)
    _best: tuple[FactorSettings, tuple[InnerFold, ...]] | None = None
    _latest: tuple[FactorSettings, tuple[InnerFold, ...]] | None = None

    def fitted(self, settings: FactorSettings) -> tuple[InnerFold, ...]:
        """Fit all folds; what is best so far, and what was fitted last, is fitted once."""
        for known in (self._best, self._latest):
            if known is not None and known[0] == settings:
                return known[1]
        folds = tuple(fold.fitted(settings, self.seed) for fold in self.folds)
        self._latest = (settings, folds)
        return folds

    def climb(self, best: FactorSettings, name: str, values: Sequence[Any]) -> FactorSettings:
        """Go from one of ``values`` of the setting ``name`` to the next while it is better."""
        present = getattr(best, name)
        below = [value for value in values if value < present]
        above = [value for value in values if value > present]
        for way in (above, below[::-1]):
            for value in way:
                candidate = replace(best, **{name: value})
                if not self._is_better(candidate, best):
                    break
                best = candidate
            if getattr(best, name) != present:
                break
        return best

    def _is_better(self, candidate: FactorSettings, present: FactorSettings) -> bool:
        """Tell whether ``candidate`` is better than ``present`` by more than chance."""
        before, now = self.try_out(present), self.try_out(candidate)
        better = by_more_than_chance(now - before)
        if self._best is None or better:
            best = candidate if better else present
            self._best = (best, self.fitted(best))
        return better

    def try_out(self, settings: FactorSettings) -> Array:
        """Return rho (B,) of every fold and target tissue."""
        if settings not in self.rho:
            self.rho[settings] = np.concatenate([fold.rho() for fold in self.fitted(settings)])
        return self.rho[settings]


def by_more_than_chance(gain: Array) -> bool:
    """Tell whether the mean of ``gain`` (B,) is above its standard error."""
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))
