"""Out-of-fold predictions: every donor predicted by a method that never saw them.

The container is an ``xarray.Dataset`` with dims (pair, gene): ``predicted`` and ``observed``, both
z-scores of log2(1 + expression) on the fold's training donors, whatever a method models inside;
coordinates ``donor``, ``tissue`` and ``fold`` along ``pair``. A method with calibrated intervals
adds ``lower_90``, ``upper_90`` and so on for each of its levels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mtm_core.data.splits import DonorFolds
from mtm_core.methods.held_out import HeldOutTissue, fit_scorer, predict_held_out
from mtm_core.methods.kept import identity
from mtm_core.methods.protocol import Method
from mtm_core.safe_output import replacing, whole_file


def predict_fold(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    fold: int,
    *,
    source: str,
    further_sources: Sequence[str] = (),
    with_phenotypes: bool = True,
) -> xr.Dataset:
    """Fit ``method`` on the training donors of ``fold`` and predict the held-out ones."""
    training = folds.training(fold)
    fitted = method.fit(cohort, training)
    parts = predict_held_out(
        fitted,
        cohort,
        folds.held_out(fold),
        fit_scorer(cohort, training),
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
    )
    genes = cohort.var_names.to_numpy().astype(str)
    return xr.concat([_as_dataset(part, fold, genes) for part in parts], dim="pair")


def cross_validate(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    *,
    source: str = "Whole Blood",
    further_sources: Sequence[str] = (),
    with_phenotypes: bool = True,
    folder: Path | None = None,
    settings: Mapping[str, object] | None = None,
    only: Collection[int] | None = None,
) -> xr.Dataset:
    """Predict every donor of ``cohort`` out of fold.

    Folds run in parallel where ``joblib.parallel_config`` says so, on any backend of joblib's:
    processes of this machine, Dask or Ray.

    Parameters
    ----------
    source
        Tissue to predict all others from.
    further_sources
        Tissues that a donor gives too, where there; they are no targets.
    with_phenotypes
        Whether a method that reads age and sex is told them.
    folder
        Where each fold is kept as NetCDF when it is done, and taken from if it was made under the
        same ``settings``.
    settings
        JSON values that tell this run from any other of the same method: cohort, folds, source.
        Needed with ``folder``.
    only
        Folds to run, from 0; ``None``: all.

    Raises
    ------
    ValueError
        If there is a ``folder`` but no ``settings``.
    """
    if folder is not None and settings is None:
        raise ValueError("expected settings that tell this run from others in the folder, got none")

    def kept_at(folder: Path, fold: int) -> Path:
        told = {"further_sources": list(further_sources), "with_phenotypes": with_phenotypes}
        what = {"settings": settings, "method": identity(method), **told}
        key = json.dumps(what, sort_keys=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return folder / f"{method.name}-{digest}-{fold}.nc"

    def run(fold: int) -> xr.Dataset:
        kept = kept_at(folder, fold) if folder is not None else None
        if kept is not None and kept.exists():
            with xr.open_dataset(kept, engine="h5netcdf") as saved:
                return saved.load()
        part = predict_fold(
            method,
            cohort,
            folds,
            fold,
            source=source,
            further_sources=further_sources,
            with_phenotypes=with_phenotypes,
        )
        if kept is not None:
            with replacing(kept) as place:
                write_netcdf(part, place)
        return part

    chosen = range(len(folds.folds)) if only is None else only
    parts: list[xr.Dataset] = Parallel()(delayed(run)(fold) for fold in chosen)
    return xr.concat(parts, dim="pair").assign_attrs(method=method.name, source=source)


def write_netcdf(predictions: xr.Dataset, path: Path) -> None:
    """Write out-of-fold predictions to ``path``.

    Raises
    ------
    OSError
        If there is no room.
    """
    with whole_file(path) as file:
        predictions.to_netcdf(file, engine="h5netcdf")


def _as_dataset(part: HeldOutTissue, fold: int, genes: NDArray[np.str_]) -> xr.Dataset:
    dims, n_pairs = ("pair", "gene"), len(part.donor)
    values = {"predicted": (dims, part.predicted), "observed": (dims, part.observed)}
    if part.sd is not None and part.multipliers is not None:
        for level, multiplier in part.multipliers.items():
            half_width = multiplier[:, None] * part.sd
            values[f"lower_{level}"] = (dims, part.predicted - half_width)
            values[f"upper_{level}"] = (dims, part.predicted + half_width)
    return xr.Dataset(
        values,
        coords={
            "donor": ("pair", part.donor),
            "tissue": ("pair", np.full(n_pairs, part.tissue)),
            "fold": ("pair", np.full(n_pairs, fold)),
            "gene": genes,
        },
    )
