"""Predictions of donors that a fitted method has not seen, on one scale for all methods.

Shapes: P pairs (a held-out donor's source and target sample), G genes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.methods.protocol import FittedMethod, Floats, PredictedProfiles, tissue_index

SCORED_ON = ScalingConfig(scale="log2")
"""All methods are scored on z-scores of log2(1 + expression), whatever they model inside."""


@dataclass(frozen=True)
class HeldOutTissue:
    """One target tissue of the held-out donors.

    Attributes
    ----------
    tissue
        Target.
    donor
        (P,) ids.
    predicted, observed
        (P, G) z-scores of the scorer.
    sd
        (P, G) expected error of the prediction, where the method gives one.
    multipliers
        Half-widths (P,) of its intervals by level, in units of ``sd``, where it is calibrated.
    """

    tissue: str
    donor: NDArray[np.str_]
    predicted: Floats
    observed: Floats
    sd: Floats | None
    multipliers: Mapping[int, Floats] | None


def fit_scorer(cohort: ad.AnnData, donors: tuple[str, ...]) -> TissueScaler:
    """Fit the common scale on the training ``donors``."""
    rows = rows_of(cohort.obs["donor"], donors)
    return TissueScaler.fit(
        np.asarray(cohort.X),
        tissue_codes(cohort)[rows],
        len(tissue_names(cohort)),
        SCORED_ON,
        rows=rows,
    )


def predict_held_out(
    fitted: FittedMethod,
    cohort: ad.AnnData,
    donors: tuple[str, ...],
    scorer: TissueScaler,
    *,
    source: str,
    further_sources: Sequence[str] = (),
    with_phenotypes: bool = True,
) -> Iterator[HeldOutTissue]:
    """Predict every other tissue of ``donors`` from their ``source``, for those who have both.

    Of ``further_sources`` each donor gives those that are there; none of them is a target. Without
    ``with_phenotypes`` the method reads nothing but expression. Tissues come one at a time: of a
    wide cohort there is not room for all.
    """
    names = tissue_names(cohort)
    rows = rows_of(cohort.obs["donor"], donors)
    donor = cohort.obs["donor"].to_numpy()[rows].astype(str)
    tissue = tissue_codes(cohort)[rows]
    expression = np.asarray(cohort.X[rows])
    given = fitted.scaler.transform(expression, tissue)
    observed = scorer.transform(expression, tissue)
    phenotypes: pd.DataFrame = cohort.uns["donors"]
    sources = [tissue_index(names, name) for name in (source, *further_sources)]
    row_of = pd.DataFrame({"donor": donor, "tissue": tissue, "row": np.arange(len(rows))}).pivot(
        index="donor", columns="tissue", values="row"
    )
    row_of = row_of[row_of[sources[0]].notna()]
    for target in row_of.columns.difference(sources):
        wanted = row_of[row_of[target].notna()]
        if wanted.empty:
            continue
        # Donors who give the same sources are predicted together.
        there = wanted[sources].notna()
        groups = [
            (group, [sources[i] for i in np.flatnonzero(pattern)])
            for pattern, group in wanted.groupby([there[s] for s in sources])
        ]
        results = [
            fitted.predict(
                {names[s]: given[group[s].astype(int)] for s in used},
                names[target],
                phenotypes.loc[group.index] if with_phenotypes else None,
            )
            for group, used in groups
        ]
        predicted, sd = _rescale(
            np.concatenate([result.mean for result in results]),
            _concatenated(results),
            fitted.scaler,
            scorer,
            int(target),
        )
        ordered = pd.concat([group for group, _ in groups])
        yield HeldOutTissue(
            names[target],
            ordered.index.to_numpy().astype(str),
            predicted,
            observed[ordered[target].astype(int)],
            sd,
            _joined_multipliers(results),
        )


def _concatenated(results: Sequence[PredictedProfiles]) -> Floats | None:
    """Join spreads, NaN where a group has none; ``None`` if none has."""
    if all(result.sd is None for result in results):
        return None
    return np.concatenate([np.full_like(r.mean, np.nan) if r.sd is None else r.sd for r in results])


def _joined_multipliers(results: Sequence[PredictedProfiles]) -> dict[int, Floats] | None:
    """Join half-widths, NaN where a group has none; ``None`` if none has."""
    levels = next((list(r.multipliers) for r in results if r.multipliers is not None), None)
    if levels is None:
        return None
    return {
        level: np.concatenate(
            [
                np.full(len(r.mean), np.nan, dtype=np.float32)
                if r.multipliers is None
                else r.multipliers[level]
                for r in results
            ]
        )
        for level in levels
    }


def _rescale(
    z: Floats, sd: Floats | None, own: TissueScaler, scorer: TissueScaler, tissue: int
) -> tuple[Floats, Floats | None]:
    """Bring z-scores of a method's scaler, and their spread, to the common one."""
    codes = np.full(len(z), tissue)
    if own.scale != scorer.scale:
        # A spread has no counterpart across a logarithm: such a method gives none.
        return scorer.transform(own.inverse(z, codes), codes), None
    # Linear in each other: nothing is cut off at 0.
    ratio = own.sd[codes] / scorer.sd[codes]
    shift = (own.mean[codes] - scorer.mean[codes]) / scorer.sd[codes]
    mean = np.asarray(z * ratio + shift, dtype=np.float32)
    return mean, None if sd is None else np.asarray(sd * ratio, dtype=np.float32)
