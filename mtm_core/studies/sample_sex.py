"""Sex of samples by the genes that tell it, against what the metadata say.

XIST is expressed from the silenced X chromosome of women; genes of the Y chromosome by men alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.inference.marker_genes import Markers, find_markers

FEMALE, MALE, BOTH, UNCLEAR = "female", "male", "both", "unclear"
_APART = 1.0
"""Least difference of XIST and the median Y gene, in log2."""
_PRESENT = 2.0
"""Level of log2(1 + x) from which a gene alone tells that it is there."""
_MIXED_SHARE = 0.05
"""Share of the other sex's usual level from which a sample has the genes of both."""
_MIXED_LEVEL = 4.5
"""The same where too few samples of the other sex are there to tell their usual level."""
_FEWEST_USUAL = 3


def sex_of_samples(log2: pd.DataFrame, markers: Markers | None = None) -> pd.DataFrame | None:
    """Tell the sex of samples by their expression.

    Parameters
    ----------
    log2
        (samples, genes) log2(1 + x) of CPM or TPM; every gene of the table, not the model's alone.
    markers
        Result of :func:`mtm_core.inference.marker_genes.find_markers`, where they are known.

    Returns
    -------
    pandas.DataFrame
        By sample: ``xist`` and ``y`` (median of the Y genes found), log2, NaN where none is in the
        table; ``sex_by_genes``: ``"female"``, ``"male"``, ``"both"`` (the genes of both: a mixture
        of two people, or more than one X chromosome in a man) or ``"unclear"``. ``None`` if no
        such gene is in the table.
    """
    if markers is None:
        markers = find_markers([str(gene) for gene in log2.columns])
    on_x, on_y = markers["XIST"], markers["Y"]
    if not len(on_x) and not len(on_y):
        return None
    nothing = np.full(len(log2), np.nan)
    xist = log2.iloc[:, on_x].max(axis=1).to_numpy() if len(on_x) else nothing
    y = log2.iloc[:, on_y].median(axis=1).to_numpy() if len(on_y) else nothing
    return pd.DataFrame({"xist": xist, "y": y, "sex_by_genes": _sex(xist, y)}, index=log2.index)


def _sex(xist: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.object_]:
    if np.isnan(y).all():
        return np.where(xist >= _PRESENT, FEMALE, MALE).astype(object)
    if np.isnan(xist).all():
        return np.where(y >= _PRESENT, MALE, FEMALE).astype(object)
    female, male = xist - y > _APART, y - xist > _APART
    sex = np.select([female, male], [FEMALE, MALE], UNCLEAR).astype(object)
    for own, other, level in ((female, male, y), (male, female, xist)):
        usual = level[other & ~own]
        least = _MIXED_LEVEL
        if len(usual) >= _FEWEST_USUAL:  # log2 of the share of what the other sex has
            least = max(float(np.median(usual)) + np.log2(_MIXED_SHARE), _PRESENT)
        sex[own & (level >= least)] = BOTH
    sex[~female & ~male & (xist >= _MIXED_LEVEL)] = BOTH
    return sex


def sex_disagreements(by_genes: pd.Series, stated: pd.Series) -> pd.Series:
    """Tell which samples' genes say one sex and the metadata the other; ``False`` if one is not."""
    sure = by_genes.isin([FEMALE, MALE]) & stated.isin([FEMALE, MALE])
    return sure & (by_genes != stated)
