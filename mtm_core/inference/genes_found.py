"""A table of which some of the model's genes are missing: whether it can be used, and its scale.

Shapes: N samples, G genes of the model.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.notes import name_some
from mtm_core.data.units import check_totals
from mtm_core.errors import ExpressionError

_LEAST_SHARE = 0.5
"""Share of the model's genes that a table must have."""


def is_covered(found: NDArray[np.bool_]) -> bool:
    """Tell whether enough of the model's genes are found (G,)."""
    return bool(found.mean() >= _LEAST_SHARE)


def check_coverage(genes: pd.Index, found: NDArray[np.bool_]) -> None:
    """Refuse a table that has too few of the model's ``genes`` (G,).

    Raises
    ------
    ExpressionError
        If fewer than half of them are found.
    """
    if not is_covered(found):
        raise ExpressionError(
            f"{int(found.sum()):,} of the model's {len(found):,} genes are in the table; at least"
            f" half are needed. Missing, for example: {name_some(genes[~found], 3)}. Give"
            " the table before genes were filtered out, with Ensembl ids, symbols or Entrez ids of"
            " human genes."
        )


def on_genes_found(linear: pd.DataFrame, found: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return ``linear`` (N, G) as an array, 0 where a gene is missing."""
    expression: NDArray[np.float32] = linear.to_numpy(dtype=np.float32, copy=True)
    expression[:, ~found] = 0
    return expression


def panel_normalise(
    linear: pd.DataFrame,
    found: NDArray[np.bool_],
    reference_mean: ArrayLike,
    normalisation: Normalisation,
) -> pd.DataFrame:
    """Scale samples as the model's reference was scaled, whatever genes are missing.

    For ``"panel-cpm"`` each sample is scaled so that its genes found sum to what they make up of a
    million in the reference; so a missing gene does not raise the others. With all genes found this
    is :func:`mtm_core.data.cohort.normalise.normalise`. For ``"none"`` (TPM) nothing is changed.

    Parameters
    ----------
    linear
        (N, G), 0 or more, NaN where a gene is missing.
    found
        (G,) bool.
    reference_mean
        (G,) mean linear expression of the reference in the source tissue.
    normalisation
        Normalisation of the model's cohort.

    Raises
    ------
    ExpressionError
        If fewer than half of the genes are found, or a sample has no expression in them.
    """
    check_coverage(linear.columns, found)
    if normalisation == "none":
        return linear
    reference = np.asarray(reference_mean, dtype=np.float64)
    total = 1e6 * reference[found].sum() / reference.sum()
    # In one order of summation whatever the number of rows: a sample's sum is its own, to the bit.
    values = np.ascontiguousarray(linear.to_numpy(dtype=np.float64)[:, found])
    totals = pd.Series(values.sum(axis=1), index=linear.index)
    check_totals(totals)
    return linear.mul(total / totals, axis=0)
