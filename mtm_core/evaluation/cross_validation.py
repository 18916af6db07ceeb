"""Out-of-fold predictions: every donor predicted by a method that never saw them.

The container is an ``xarray.Dataset`` with dims (pair, gene): ``predicted`` and ``observed``, both
z-scores of log2(1 + expression) on the fold's training donors, whatever a method models inside;
coordinates ``donor``, ``tissue`` and ``fold`` along ``pair``. A method with calibrated intervals
adds ``lower_90``, ``upper_90`` and so on for each of its levels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

import anndata as ad
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mtm_core.data.splits import DonorFolds
from mtm_core.methods.held_out import HeldOutTissue, fit_scorer, predict_held_out
from mtm_core.methods.protocol import Method


def predict_fold(
    method: Method, cohort: ad.AnnData, folds: DonorFolds, fold: int, *, source: str
) -> xr.Dataset:
    """Fit ``method`` on the training donors of ``fold`` and predict the held-out ones."""
    training = folds.training(fold)
    fitted = method.fit(cohort, training)
    parts = predict_held_out(
        fitted, cohort, folds.held_out(fold), fit_scorer(cohort, training), source=source
    )
    genes = cohort.var_names.to_numpy().astype(str)
    return xr.concat([_as_dataset(part, fold, genes) for part in parts], dim="pair")


def cross_validate(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    *,
    source: str = "Whole Blood",
    folder: Path | None = None,
    settings: Mapping[str, object] | None = None,
    only: Collection[int] | None = None,
) -> xr.Dataset:
    """Predict every donor of ``cohort`` out of fold, from ``source`` to all other tissues.

    With a ``folder``, each fold is kept there as NetCDF when it is done, and taken from there if it
    was made under the same ``settings``. ``only`` names the folds to run, from 0; ``None``: all.
    """
    key = json.dumps(settings, sort_keys=True, default=str)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    parts = []
    for fold in range(len(folds.folds)) if only is None else only:
        kept = folder / f"{method.name}-{digest}-{fold}.nc" if folder is not None else None
        if kept is not None and kept.exists():
            with xr.open_dataset(kept, engine="h5netcdf") as saved:
                parts.append(saved.load())
            continue
        part = predict_fold(method, cohort, folds, fold, source=source)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".partial")
            part.to_netcdf(partial, engine="h5netcdf")
            partial.replace(kept)
        parts.append(part)
    return xr.concat(parts, dim="pair").assign_attrs(method=method.name, source=source)


def _as_dataset(part: HeldOutTissue, fold: int, genes: NDArray[np.str_]) -> xr.Dataset:
    dims, n_pairs = ("pair", "gene"), len(part.donor)
    values = {"predicted": (dims, part.predicted), "observed": (dims, part.observed)}
    if part.sd is not None and part.multipliers is not None:
        for level, multiplier in part.multipliers.items():
            values[f"lower_{level}"] = (dims, part.predicted - multiplier * part.sd)
            values[f"upper_{level}"] = (dims, part.predicted + multiplier * part.sd)
    return xr.Dataset(
        values,
        coords={
            "donor": ("pair", part.donor),
            "tissue": ("pair", np.full(n_pairs, part.tissue)),
            "fold": ("pair", np.full(n_pairs, fold)),
            "gene": genes,
        },
    )
