"""Adjustment of accuracy for the cell composition of the blood that was predicted from.

Blood predicts other tissues in part because donors differ in their neutrophils, and the tissues
with them. So predictions and measurements are also correlated with the shares of blood cells
regressed out of both. Estimated shares remove composition incompletely, so the adjusted correlation
is then an upper bound.

Shapes: P pairs of a donor and a tissue, C cell types.
"""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.errors import SelectionError
from mtm_core.inference.blood_cells import (
    blood_signature,
    estimate_composition,
    is_enough,
    markers_found,
)
from mtm_core.methods.protocol import tissue_index

Array = NDArray[np.float64]

BLOOD = "Whole Blood"
_NO_SHARES = frozenset({"pvalue", "p", "correlation", "rmse", "fit", "absolutescoresigscore"})
"""Columns that deconvolution programs write besides the shares, in lower-case letters."""


def estimated_composition(cohort: ad.AnnData, source: str) -> pd.DataFrame | None:
    """Estimate the shares of blood cells of the donors of a cohort.

    Returns
    -------
    pandas.DataFrame
        Indexed by donor; ``None`` if the source is not whole blood, or the cohort has too few
        marker genes.
    """
    if source != BLOOD or not is_enough(markers_found([str(name) for name in cohort.var_names])):
        return None
    rows = _rows_of(cohort, source)
    known = {name.partition(".")[0] for name in blood_signature().genes.index}
    genes = np.array([str(name).partition(".")[0] in known for name in cohort.var_names])
    linear = pd.DataFrame(
        np.asarray(cohort.X[rows])[:, genes].astype(np.float64),
        cohort.obs["donor"].to_numpy()[rows].astype(str),
        cohort.var_names[genes],
    )
    if not is_enough(markers_found([str(name) for name in linear.columns])):
        return None  # gene ids are not Ensembl ids
    shares = estimate_composition(linear).shares
    return shares[~shares.index.duplicated()]


def read_composition(path: Path, cohort: ad.AnnData, source: str) -> pd.DataFrame:
    """Read cell shares of the cohort's samples, or donors, from a table.

    Parameters
    ----------
    path
        Table with one row for each sample of ``source``, or donor. Its numeric columns are shares
        or scores of cell types; columns of the fit (p, correlation, RMSE) are left out.

    Returns
    -------
    pandas.DataFrame
        Indexed by donor.

    Raises
    ------
    InputFileError
        If it cannot be read as a table.
    SelectionError
        If it names neither samples nor donors of the cohort, or has no column of numbers.
    """
    rows = _rows_of(cohort, source)
    samples = [str(name) for name in cohort.obs_names[rows]]
    donors = [str(name) for name in cohort.obs["donor"].to_numpy()[rows]]
    for names in (samples, donors):
        known = read_metadata(path, samples=names)
        if not known.match.matched:
            continue
        columns = [
            column.name
            for column in known.columns
            if column.kind == "number"
            and "".join(filter(str.isalpha, column.name)).lower() not in _NO_SHARES
        ]
        if not columns:
            raise SelectionError(f"{path.name} has no column of numbers: expected shares of cells.")
        table = pd.DataFrame({name: known.numbers(name) for name in columns})
        table = table.set_axis(donors)
        return table[~table.index.duplicated()]
    raise SelectionError(
        f"{path.name} names no sample of {source!r} and no donor of the cohort. Write the same"
        f" names, such as {samples[0]!r} or {donors[0]!r}."
    )


def composition_design(composition: pd.DataFrame, donors: ArrayLike) -> Array:
    """Return a design (P, 1 + C) of intercept and shares of ``donors`` (P,); NaN if unknown."""
    own = composition.reindex(pd.Index(np.asarray(donors).astype(str))).to_numpy(np.float64)
    return np.column_stack([np.ones(len(own)), own])


def _rows_of(cohort: ad.AnnData, source: str) -> NDArray[np.int64]:
    code = tissue_index(tissue_names(cohort), source)
    return np.flatnonzero(tissue_codes(cohort) == code)
