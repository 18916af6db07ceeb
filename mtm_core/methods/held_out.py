"""Predictions of held-out donors, on one scale for all methods.

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
from mtm_core.data.cohort.scaling import TissueScaler, fit_scaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.methods.protocol import FittedMethod, Floats, PredictedProfiles, tissue_index

SCORED_ON = ScalingConfig(scale="log2")
"""Scale for scoring: z-scores of log2(1 + expression), whatever scale a method models."""


@dataclass(frozen=True)
class HeldOutTissue:
    """Predicted and observed expression of held-out donors in one target tissue.

    Attributes
    ----------
    tissue
        Name of the target.
    donor
        Ids (P,) of the donors.
    predicted, observed
        z-scores (P, G) on the common scale.
    sd
        Expected error (P, G) of the prediction; ``None`` if the method has none.
    multipliers
        Half-widths (P,) of the intervals by level, in units of ``sd``; ``None`` if the method is
        not calibrated.
    """

    tissue: str
    donor: NDArray[np.str_]
    predicted: Floats
    observed: Floats
    sd: Floats | None
    multipliers: Mapping[int, Floats] | None


def fit_scorer(cohort: ad.AnnData, donors: tuple[str, ...]) -> TissueScaler:
    """Fit the scaler of the common scale to the training ``donors``."""
    return fit_scaler(cohort, rows_of(cohort.obs["donor"], donors), SCORED_ON)


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
    """Predict the other tissues of ``donors`` from their ``source``, for those who have both.

    Parameters
    ----------
    fitted
        A method that was not fitted to ``donors``.
    cohort
        Cohort with the samples of ``donors``.
    donors
        Held-out donors.
    scorer
        Scaler of the common scale, from :func:`fit_scorer`.
    source
        Source tissue.
    further_sources
        Further source tissues, used for the donors who have them; they are not predicted.
    with_phenotypes
        Whether the method gets the donors' age and sex.

    Yields
    ------
    HeldOutTissue
        One target tissue at a time, because a wide cohort may not fit in memory twice.
    """
    names = tissue_names(cohort)
    rows = rows_of(cohort.obs["donor"], donors)
    donor = cohort.obs["donor"].to_numpy()[rows].astype(str)
    tissue = tissue_codes(cohort)[rows]
    expression = np.asarray(cohort.X[rows])
    z = fitted.scaler.transform(expression, tissue)
    observed = scorer.transform(expression, tissue)
    phenotypes: pd.DataFrame = cohort.uns["donors"]
    sources = [tissue_index(names, name) for name in (source, *further_sources)]
    row_of = pd.DataFrame({"donor": donor, "tissue": tissue, "row": np.arange(len(rows))}).pivot(
        index="donor", columns="tissue", values="row"
    )
    row_of = row_of[row_of[sources[0]].notna()]
    for target in row_of.columns.difference(sources):
        with_target = row_of[row_of[target].notna()]
        if with_target.empty:
            continue
        # Donors with the same source tissues are predicted together.
        has_source = with_target[sources].notna()
        groups = [
            (group, [sources[i] for i in np.flatnonzero(pattern)])
            for pattern, group in with_target.groupby([has_source[s] for s in sources])
        ]
        results = [
            fitted.predict(
                {names[s]: z[group[s].astype(int)] for s in used},
                names[target],
                phenotypes.loc[group.index] if with_phenotypes else None,
            )
            for group, used in groups
        ]
        predicted, sd = _rescale(
            np.concatenate([result.mean for result in results]),
            _joined_sd(results),
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


def _joined_sd(results: Sequence[PredictedProfiles]) -> Floats | None:
    """Join the groups' errors, NaN for a group without; ``None`` if no group has any."""
    if all(result.sd is None for result in results):
        return None
    return np.concatenate([np.full_like(r.mean, np.nan) if r.sd is None else r.sd for r in results])


def _joined_multipliers(results: Sequence[PredictedProfiles]) -> dict[int, Floats] | None:
    """Join the groups' half-widths, NaN for a group without; ``None`` if no group has any."""
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
    z: Floats, sd: Floats | None, scaler: TissueScaler, scorer: TissueScaler, tissue: int
) -> tuple[Floats, Floats | None]:
    """Convert z-scores of a method's own scaler, and their errors, to the common scale."""
    codes = np.full(len(z), tissue)
    if scaler.scale != scorer.scale:
        # An SD cannot be carried through a logarithm, so such a method has no errors here.
        return scorer.transform(scaler.inverse(z, codes), codes), None
    # The two scales are linear in each other, so nothing needs to be cut off at 0.
    ratio = scaler.sd[codes] / scorer.sd[codes]
    shift = (scaler.mean[codes] - scorer.mean[codes]) / scorer.sd[codes]
    mean = np.asarray(z * ratio + shift, dtype=np.float32)
    return mean, None if sd is None else np.asarray(sd * ratio, dtype=np.float32)
