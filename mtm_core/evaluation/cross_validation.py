"""Out-of-fold predictions: every donor predicted by a method that never saw them.

The container is an ``xarray.Dataset`` with dims (pair, gene): ``predicted`` and ``observed``, both
z-scores of log2(1 + expression) on the fold's training donors, whatever a method models inside;
coordinates ``donor``, ``tissue`` and ``fold`` along ``pair``. A method with calibrated intervals
adds ``lower_90``, ``upper_90`` and so on for each of its levels. Folds that are stored in a folder
stay there: their values are read when they are asked for (:mod:`mtm_core.evaluation.fold_store`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import anndata as ad
import h5netcdf
import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.evaluation.combinations import complete_donors
from mtm_core.evaluation.fold_store import StoredFold, out_of_fold, write_fold
from mtm_core.methods.cached import identity
from mtm_core.methods.held_out import HeldOutTissue, fit_scorer, predict_held_out
from mtm_core.methods.protocol import Method
from mtm_core.safe_output import whole_file

_PAIRS_AT_ONCE = 256


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
    parts, _ = _tissues_of_fold(
        method,
        cohort,
        folds,
        fold,
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
    )
    return _in_memory(parts, fold, cohort)


def _tissues_of_fold(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    fold: int,
    *,
    source: str,
    further_sources: Sequence[str],
    with_phenotypes: bool,
    complete: bool = False,
) -> tuple[Iterator[HeldOutTissue], TissueScaler]:
    """Return the predictions of a fold, a tissue at a time, and the scale they are on."""
    training = folds.training(fold)
    fitted = method.fit(cohort, training)
    scorer = fit_scorer(cohort, training)
    held_out = folds.held_out(fold)
    if complete:
        known = complete_donors(cohort, (source, *further_sources))
        held_out = tuple(donor for donor in held_out if donor in known)
    parts = predict_held_out(
        fitted,
        cohort,
        held_out,
        scorer,
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
    )
    return parts, scorer


def cross_validate(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    *,
    source: str = "Whole Blood",
    further_sources: Sequence[str] = (),
    complete: bool = False,
    with_phenotypes: bool = True,
    folder: Path | None = None,
    settings: Mapping[str, object] | None = None,
    only: Collection[int] | None = None,
    on_fold: Callable[[int], None] | None = None,
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
    complete
        Predict only the donors who give the source and every further tissue.
    with_phenotypes
        Whether a method that reads age and sex gets them.
    folder
        Where each fold is stored when it is done, and taken from if it was made under the same
        ``settings``; its values stay there until they are asked for.
    settings
        JSON values that tell this run from any other of the same method: cohort, folds, source.
        Needed with ``folder``.
    only
        Folds to run, from 0; ``None``: all.
    on_fold
        Called with how many folds are done, where they run one at a time.

    Raises
    ------
    ValueError
        If there is a ``folder`` but no ``settings``.
    """
    if folder is not None and settings is None:
        raise ValueError("expected settings that tell this run from others in the folder, got none")

    def fold_place(folder: Path, fold: int) -> Path:
        given = {"further_sources": list(further_sources), "with_phenotypes": with_phenotypes}
        given |= {"complete": True} if complete else {}
        what = {"settings": settings, "method": identity(method), **given}
        key = json.dumps(what, sort_keys=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return folder / f"{method.name}-{digest}-{fold}.h5"

    predicted = partial(
        _tissues_of_fold,
        method,
        cohort,
        folds,
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
        complete=complete,
    )

    def run(done: int, fold: int) -> xr.Dataset | StoredFold:
        if on_fold is not None:
            on_fold(done)
        if folder is None:
            return _in_memory(predicted(fold=fold)[0], fold, cohort)
        place = fold_place(folder, fold)
        if not place.exists():
            parts, scorer = predicted(fold=fold)
            write_fold(parts, scorer, place)
        return StoredFold.open(place, fold)

    chosen = range(len(folds.folds)) if only is None else only
    parts = Parallel()(delayed(run)(done, fold) for done, fold in enumerate(chosen))
    joined = out_of_fold(parts, cohort) if folder else xr.concat(parts, dim="pair")
    return joined.assign_attrs(method=method.name, source=source)


def write_netcdf(predictions: xr.Dataset, path: Path) -> None:
    """Write out-of-fold predictions to ``path``, some pairs at a time.

    Raises
    ------
    OSError
        If there is no room.
    """
    values = [name for name, part in predictions.items() if part.dims == ("pair", "gene")]
    values = [name for name in values if name != "sd"]  # in the bounds
    about = predictions.drop_vars(predictions.data_vars)
    with whole_file(path) as raw:
        about.to_netcdf(raw, engine="h5netcdf")
        with h5netcdf.File(raw, "a") as file:
            for name in values:
                variable = file.create_variable(
                    name, ("pair", "gene"), np.float32, fillvalue=np.float32(np.nan)
                )
                variable.attrs["coordinates"] = "donor tissue fold"
                for start in range(0, predictions.sizes["pair"], _PAIRS_AT_ONCE):
                    rows = slice(start, start + _PAIRS_AT_ONCE)
                    variable[rows] = predictions[name].isel(pair=rows).to_numpy()


def _in_memory(parts: Iterable[HeldOutTissue], fold: int, cohort: ad.AnnData) -> xr.Dataset:
    genes = cohort.var_names.to_numpy().astype(str)
    return xr.concat([_as_dataset(part, fold, genes) for part in parts], dim="pair")


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
