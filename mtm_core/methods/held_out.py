"""Predictions of donors that a fitted method has not seen, on one scale for all methods.

Shapes: P pairs (a held-out donor's source and target sample), G genes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.pairs import ordered_pairs
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import rows_of
from mtm_core.methods.protocol import FittedMethod, Floats, tissue_index

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
        Half-widths of its intervals by level, in units of ``sd``, where it is calibrated.
    """

    tissue: str
    donor: NDArray[np.str_]
    predicted: Floats
    observed: Floats
    sd: Floats | None
    multipliers: Mapping[int, float] | None


def fit_scorer(cohort: ad.AnnData, donors: tuple[str, ...]) -> TissueScaler:
    """Fit the common scale on the training ``donors``."""
    rows = rows_of(cohort.obs["donor"], donors)
    return TissueScaler.fit(
        np.asarray(cohort.X[rows]),
        tissue_codes(cohort)[rows],
        len(tissue_names(cohort)),
        SCORED_ON,
    )


def predict_held_out(
    fitted: FittedMethod,
    cohort: ad.AnnData,
    donors: tuple[str, ...],
    scorer: TissueScaler,
    *,
    source: str,
) -> list[HeldOutTissue]:
    """Predict every other tissue of ``donors`` from their ``source``, for those who have both."""
    names = tissue_names(cohort)
    rows = rows_of(cohort.obs["donor"], donors)
    donor = cohort.obs["donor"].to_numpy()[rows].astype(str)
    tissue = tissue_codes(cohort)[rows]
    expression = np.asarray(cohort.X[rows])
    given = fitted.scaler.transform(expression, tissue)
    observed = scorer.transform(expression, tissue)
    phenotypes: pd.DataFrame = cohort.uns["donors"]
    pairs = ordered_pairs(donor)
    pairs = pairs[tissue[pairs[:, 0]] == tissue_index(names, source)]
    parts = []
    for target in np.unique(tissue[pairs[:, 1]]):
        sources, targets = pairs[tissue[pairs[:, 1]] == target].T
        result = fitted.predict(
            {source: given[sources]}, names[target], phenotypes.loc[donor[targets]]
        )
        predicted, sd = _rescale(result.mean, result.sd, fitted.scaler, scorer, int(target))
        parts.append(
            HeldOutTissue(
                names[target], donor[targets], predicted, observed[targets], sd, result.multipliers
            )
        )
    return parts


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
