"""Out-of-fold accuracy of the model beside each row of a table of genes by tissue."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.studies.own_cohort import MEASURED


def with_accuracy(table: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """Put the held-out accuracy of each gene in its tissue beside it.

    Parameters
    ----------
    table
        With :data:`mtm_core.studies.cohort_comparison.KEYS`.
    held_out
        ``rho_by_fold`` and ``rho_pooled`` by (``tissue``, ``gene_id``); empty if the model was
        not evaluated.

    Returns
    -------
    pandas.DataFrame
        With ``rho_by_fold``, ``rho_pooled`` and ``predictable``: ``"measured"``, ``"yes"`` above
        the paper's pooled rho of 0.3, ``"no"``, or ``"not evaluated"``.
    """
    places = _places_of(table, held_out.index)
    found = places >= 0
    rho = {}
    for name in ("rho_by_fold", "rho_pooled"):
        rho[name] = np.full(len(table), np.nan)
        rho[name][found] = held_out[name].to_numpy(dtype=np.float64)[places[found]]
    predictable = np.select(
        [
            (table["origin"] == MEASURED).to_numpy(),
            rho["rho_pooled"] > PREDICTABLE_RHO,
            found,
        ],
        ["measured", "yes", "no"],
        "not evaluated",
    )
    return table.assign(**rho, predictable=predictable)


def _places_of(table: pd.DataFrame, known: pd.MultiIndex) -> NDArray[np.intp]:
    """Return the row of ``known``, by tissue and gene, that each row of ``table`` is; -1: none.

    Of one tissue genes alone are looked up: pairs of names take ten times as long.
    """
    tissues = table["tissue"].unique()
    if len(tissues) == len(known.levels[0]) == 1 and tissues[0] == known.levels[0][0]:
        genes = known.get_level_values(1)
        if np.array_equal(genes.to_numpy(), table["gene_id"].to_numpy()):
            return np.arange(len(table))
        return np.asarray(genes.get_indexer(table["gene_id"]))
    return np.asarray(known.get_indexer(pd.MultiIndex.from_frame(table[["tissue", "gene_id"]])))
