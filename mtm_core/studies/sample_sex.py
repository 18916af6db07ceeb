"""Sex of samples by the genes that tell it, against what the metadata say.

XIST is expressed from the silenced X chromosome of women; genes of the Y chromosome by men alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.inference.marker_genes import Markers, find_markers
from mtm_core.inference.measured import as_measured
from mtm_core.inference.prepared import Prepared

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


def known_sex(log2: pd.DataFrame, stated: pd.Series | None = None) -> pd.Series:
    """Return the sex of samples as the metadata state it or, where they do not, as genes tell it.

    Parameters
    ----------
    log2
        As in :func:`sex_of_samples`; without columns, only what is stated is known.
    stated
        ``"female"`` or ``"male"`` by sample, NaN where not known; ``None`` without metadata.

    Returns
    -------
    pandas.Series
        ``"female"`` or ``"male"`` by sample; NaN where neither says it, or the genes are of both.
    """
    nothing = pd.Series(np.nan, log2.index, dtype=object)
    sex = nothing if stated is None else stated.reindex(log2.index).astype(object)
    if sex.isin([FEMALE, MALE]).all():
        return sex.rename("sex")
    found = sex_of_samples(log2) if log2.shape[1] else None
    genes = nothing if found is None else found["sex_by_genes"]
    genes = genes.where(genes.isin([FEMALE, MALE]), np.nan)
    return sex.where(sex.isin([FEMALE, MALE]), genes).rename("sex")


def sex_of_people(
    table: ExpressionTable, prepared: Prepared, stated: pd.Series | None = None
) -> pd.Series:
    """Return the sex of the samples of a table, as :func:`known_sex`.

    Parameters
    ----------
    table, prepared
        The table, and its samples as they were prepared for a model.
    stated
        ``"female"`` or ``"male"`` by sample, NaN where not known; ``None`` without metadata.
    """
    samples = pd.Index(prepared.samples)
    if stated is not None and stated.reindex(samples).isin([FEMALE, MALE]).all():
        return known_sex(pd.DataFrame(index=samples), stated)
    no_symbols = pd.Series(dtype=object)
    measured = as_measured(table.values, prepared.unit, prepared.match, no_symbols)
    return known_sex(measured.log2.set_axis(samples), stated)


def sex_disagreements(by_genes: pd.Series, stated: pd.Series) -> pd.Series:
    """Tell which samples' genes say one sex and the metadata the other; ``False`` if one is not."""
    sure = by_genes.isin([FEMALE, MALE]) & stated.isin([FEMALE, MALE])
    return sure & (by_genes != stated)
