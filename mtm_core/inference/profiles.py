"""Samples to predict from, of one tissue or several, as a method takes them.

A method takes donors who all give the same tissues. Here each person gives one or more of them:
those who give the same are predicted together, and put back in their order. Of several tissues,
people who lack the one that intervals were calibrated on get none.

Letters: N people, G genes, n samples of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.methods.protocol import (
    INTERVAL_LEVELS,
    FittedMethod,
    Floats,
    Genes,
    PredictedProfiles,
    TargetPredictor,
    target_predictor,
)

Index = NDArray[np.intp]
GIVEN_TISSUE = "given_tissue"
"""Dimension of a prediction from several tissues: those that its people give."""


@dataclass(frozen=True)
class GivenTissue:
    """One tissue of some of the people.

    Attributes
    ----------
    tissue
        Its name.
    z
        (n, G) z-scores.
    rows
        (N,) row of each person in ``z``, -1 of those who have none; ``None`` if ``z`` has all
        people, in order.
    """

    tissue: str
    z: Floats
    rows: Index | None = None

    def of(self, people: Index) -> Index:
        """Return the rows in ``z`` of ``people``, -1 where there is none."""
        return people if self.rows is None else self.rows[people]

    @property
    def n_people(self) -> int:
        """N."""
        return len(self.z) if self.rows is None else len(self.rows)


@dataclass(frozen=True)
class Profiles:
    """People to predict from.

    Attributes
    ----------
    method
        Method that predicts.
    given
        One tissue or more; each person is in at least one.
    phenotypes
        Age and sex, a row a person; ``None`` if nothing is known.
    """

    method: FittedMethod
    given: tuple[GivenTissue, ...]
    phenotypes: pd.DataFrame | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """N, G."""
        return self.given[0].n_people, self.given[0].z.shape[1]

    @property
    def n_bytes(self) -> int:
        """Bytes of the z-scores."""
        return sum(int(one.z.nbytes) for one in self.given)

    def begin(self, samples: Index | None = None) -> TargetPredictor:
        """Do what all targets have in common, for all or some of the people."""
        people = np.arange(self.shape[0]) if samples is None else samples
        rows = [one.of(people) for one in self.given]
        there = np.stack([own >= 0 for own in rows])
        if there.all():
            return self._begin(samples, range(len(self.given)), rows)
        patterns, which = np.unique(there, axis=1, return_inverse=True)
        groups = []
        for number, pattern in enumerate(patterns.T):
            own = np.flatnonzero(which.ravel() == number)
            given = np.flatnonzero(pattern).tolist()
            of_group = [part[own] for part in rows]
            names = {self.given[i].tissue for i in given}
            groups.append((own, names, self._begin(people[own], given, of_group)))

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            parts = []
            for own, names, begun in groups:
                part = begun(target, genes)
                if part.calibrated_from and part.calibrated_from not in names:
                    part = replace(part, sd=None, multipliers=None)
                parts.append((own, part))
            return joined(parts, len(people))

        return predict

    def _begin(
        self, people: Index | None, given: Sequence[int], rows: Sequence[Index]
    ) -> TargetPredictor:
        """Begin with people who all give the same tissues; ``None`` is all of them."""
        known = self.phenotypes
        if known is not None and people is not None:
            known = known.iloc[people]
        profiles = {}
        for i in given:
            one = self.given[i]
            is_whole = people is None and one.rows is None
            profiles[one.tissue] = one.z if is_whole else one.z[rows[i]]
        return target_predictor(self.method, profiles, known)


def joined(parts: Sequence[tuple[Index, PredictedProfiles]], n: int) -> PredictedProfiles:
    """Put groups of people back in their order; an interval that a group lacks is NaN.

    Parameters
    ----------
    parts
        The places of each group among ``n`` people, and what was predicted for it.
    """
    shape = (n, parts[0][1].mean.shape[1])
    mean = np.empty(shape, dtype=np.float32)
    for rows, part in parts:
        mean[rows] = part.mean
    calibrated = [
        (rows, part.sd, part.multipliers, part.calibrated_from)
        for rows, part in parts
        if part.sd is not None and part.multipliers is not None
    ]
    if not calibrated:
        return PredictedProfiles(mean)
    sd = np.full(shape, np.nan, dtype=np.float32)
    multipliers = {level: np.full(n, np.nan, dtype=np.float32) for level in INTERVAL_LEVELS}
    for rows, spread, widths, _ in calibrated:
        sd[rows] = spread
        for level, own in widths.items():
            multipliers[level][rows] = own
    return PredictedProfiles(mean, sd, multipliers, calibrated[0][3])
