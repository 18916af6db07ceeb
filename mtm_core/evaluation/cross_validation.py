"""Out-of-fold predictions: every donor predicted by a method that never saw them.

The container is an ``xarray.Dataset`` with dims (pair, gene): ``predicted`` and ``observed``, both
z-scores of log2(1 + expression) on the fold's training donors, whatever a method models inside;
coordinates ``donor``, ``tissue`` and ``fold`` along ``pair``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

import anndata as ad
import numpy as np
import xarray as xr

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.pairs import ordered_pairs
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import DonorFolds, rows_of
from mtm_core.methods.protocol import FittedMethod, Floats, Method, tissue_index

SCORED_ON = ScalingConfig(scale="log2")


def predict_fold(
    method: Method, cohort: ad.AnnData, folds: DonorFolds, fold: int, *, source: str
) -> xr.Dataset:
    """Fit ``method`` on the training donors of ``fold`` and predict the held-out ones."""
    training = rows_of(cohort.obs["donor"], folds.training(fold))
    codes, names = tissue_codes(cohort), tissue_names(cohort)
    scorer = TissueScaler.fit(
        np.asarray(cohort.X[training]), codes[training], len(names), SCORED_ON
    )
    fitted = method.fit(cohort, folds.training(fold))

    held_out = rows_of(cohort.obs["donor"], folds.held_out(fold))
    donor, tissue = cohort.obs["donor"].to_numpy()[held_out], codes[held_out]
    expression = np.asarray(cohort.X[held_out])
    given = fitted.scaler.transform(expression, tissue)
    observed = scorer.transform(expression, tissue)
    pairs = ordered_pairs(donor)
    pairs = pairs[tissue[pairs[:, 0]] == tissue_index(names, source)]
    parts = []
    for target in np.unique(tissue[pairs[:, 1]]):
        sources, targets = pairs[tissue[pairs[:, 1]] == target].T
        predicted = fitted.predict({source: given[sources]}, names[target]).mean
        parts.append(
            xr.Dataset(
                {
                    "predicted": (("pair", "gene"), _rescale(predicted, fitted, scorer, target)),
                    "observed": (("pair", "gene"), observed[targets]),
                },
                coords={
                    "donor": ("pair", donor[targets].astype(str)),
                    "tissue": ("pair", np.full(len(targets), names[target])),
                    "fold": ("pair", np.full(len(targets), fold)),
                    "gene": cohort.var_names.to_numpy().astype(str),
                },
            )
        )
    return xr.concat(parts, dim="pair")


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


def _rescale(z: Floats, fitted: FittedMethod, scorer: TissueScaler, target: int) -> Floats:
    """Bring z-scores of the method's scaler to the common one."""
    tissue = np.full(len(z), target)
    if fitted.scaler.scale == scorer.scale:  # linear in each other: nothing is cut off at 0
        value = z * fitted.scaler.sd[tissue] + fitted.scaler.mean[tissue]
        return np.asarray((value - scorer.mean[tissue]) / scorer.sd[tissue], dtype=np.float32)
    return scorer.transform(fitted.scaler.inverse(z, tissue), tissue)
